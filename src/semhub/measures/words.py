"""From words to tokens: which positions and which single-token forms a lens case is scored with."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from semhub.models.base import Adapter, Encoded, UnknownGrid
from semhub.types import Area, Content, Kept, LensCase, LensSet

RANDOM = "random_tokens"
SIMILAR_RANKS = 50
FEW_WORDS = 8  # of fewer distinct words there are too few permutations: random words stand in for them
N_STAND_INS = 100  # for each of few words
NO_TOKEN = "no token before the position"
NOT_WHOLE = "the word is not one token in this text"
MERGED = "the position's token reaches into what follows"
BLANK = "white space has a token of its own here"
NO_PATCH = "the part of the picture covers no patch"


@dataclass(frozen=True, slots=True)
class Ready:
    """A lens set in terms of tokens.

    encoded: the distinct contents. cases, content [case], position [case]: where each case is read.
    areas [case]: the positions that each case is read at, ascending; empty where no case of the set has an area. The
    position of a case with an area is -1.
    words: name -> index; forms [word, form] target indices padded with -1; targets [target]: token ids.
    groups: condition -> per case the indices of its words (empty: the case has none under that condition).
    required: the conditions that every case has words for. stand_ins: dominant word -> random words of as many tokens
    and of similar frequency; empty where there are enough distinct words to permute.
    """

    encoded: list[Encoded]
    cases: list[LensCase]
    content: np.ndarray
    position: np.ndarray
    targets: Tensor
    forms: Tensor
    word_names: list[str]
    groups: dict[str, list[tuple[int, ...]]]
    kept: Kept
    required: tuple[str, ...] = ("dominant", "surface")
    stand_ins: dict[int, tuple[int, ...]] = field(default_factory=dict)
    areas: list[tuple[int, ...]] = field(default_factory=list)


def make_ready(adapter: Adapter, lens_set: LensSet, frequency: np.ndarray, seed: int) -> Ready:
    """Maps characters to positions and words to tokens; cases that cannot be scored are counted by reason.

    frequency [n_tokens]: how often each token occurs in text, for random tokens of similar frequency.
    """
    contents: dict[Content, int] = {}
    for case in lens_set.cases:
        contents.setdefault(case.content, len(contents))
    encoded = adapter.encode(list(contents), special_tokens=lens_set.special_tokens)
    required = ("dominant", "surface") if lens_set.surface_language else ("dominant",)
    forms, find = _FormTable(adapter), AreaFinder(adapter)
    dropped: Counter[str] = Counter(lens_set.kept.dropped)
    cases, owner, positions = [], [], []
    areas: list[tuple[int, ...]] = []
    for case in lens_set.cases:
        where, position = encoded[contents[case.content]], -1
        area: tuple[int, ...] = ()
        if case.area is not None:
            area, reason = find(case.content, where, case.area)
        else:
            position, reason = locate(case, where)
            if not reason and case.next_token:
                case = _with_surface(case, where, position + 1, forms)
        reason = reason or _unspellable(case, forms, required, where.ids[position + 1 : position + 2])
        if reason:
            dropped[reason] += 1
            continue
        cases.append(case)
        owner.append(contents[case.content])
        positions.append(position)
        areas.append(area or (position,))
    groups: dict[str, list[tuple[int, ...]]] = {}
    for condition in dict.fromkeys(name for case in cases for name in case.words):
        groups[condition] = [
            tuple(forms.index(word) for word in _scorable(case, condition, forms)) for case in cases
        ]
    stand_ins: dict[int, tuple[int, ...]] = {}
    if cases:
        draw = _RandomWords(forms, frequency, seed)
        groups[RANDOM] = draw.groups(groups)
        stand_ins = draw.stand_ins(sorted({group[0] for group in groups["dominant"]}))
    return Ready(
        encoded=encoded,
        cases=cases,
        content=np.array(owner, dtype=np.int64),
        position=np.array(positions, dtype=np.int64),
        targets=torch.tensor(forms.targets, dtype=torch.long),
        forms=forms.matrix(),
        word_names=list(forms.words),
        groups=groups,
        kept=Kept(lens_set.kept.given, dict(dropped)),
        required=required,
        stand_ins=stand_ins,
        areas=areas if any(case.area is not None for case in cases) else [],
    )


class AreaFinder:
    """The positions of an area, ascending, or why there are none; each area of a content is looked up once."""

    def __init__(self, adapter: Adapter) -> None:
        self._adapter = adapter
        self._found: dict[tuple[Content, Area], tuple[tuple[int, ...], str]] = {}

    def __call__(self, content: Content, encoded: Encoded, area: Area) -> tuple[tuple[int, ...], str]:
        if (content, area) not in self._found:
            self._found[content, area] = self._find(encoded, area)
        return self._found[content, area]

    def _find(self, encoded: Encoded, area: Area) -> tuple[tuple[int, ...], str]:
        try:
            positions = tuple(sorted(set(self._adapter.area(encoded, area))))
        except UnknownGrid as error:
            return (), str(error)
        return positions, "" if positions else NO_PATCH


def _scorable(case: LensCase, condition: str, forms: _FormTable) -> list[str]:
    """The words of a condition that single tokens spell; of control words all or none."""
    words = case.words.get(condition, ())
    found = [word for word in words if forms.ids(word)]
    return [] if condition == "control" and len(found) < len(words) else found


def locate(case: LensCase, encoded: Encoded) -> tuple[int, str]:
    """The position to read, or why there is none (LensCase says which)."""
    if case.next_word:
        return _before_word(case, encoded)
    if case.next_token:
        return _before_token(case, encoded)
    before = [
        i for i, span in enumerate(encoded.offsets) if span and span[1] <= case.at and span[1] > span[0]
    ]
    return (before[-1], "") if before else (-1, NO_TOKEN)


def _before_word(case: LensCase, encoded: Encoded) -> tuple[int, str]:
    end = case.at + len(case.next_word)
    text = case.content.text
    for i, span in enumerate(encoded.offsets):
        if span is None or span[1] != end:
            continue
        starts_here = span[0] == case.at or (span[0] == case.at - 1 and text[span[0]].isspace())
        if not starts_here or (i + 1 < len(encoded.ids) and encoded.offsets[i + 1] == span):
            return -1, NOT_WHOLE
        if i == 0 or encoded.offsets[i - 1] is None:
            return -1, NO_TOKEN
        return i - 1, ""
    return -1, NOT_WHOLE


def _before_token(case: LensCase, encoded: Encoded) -> tuple[int, str]:
    following = next((i for i, span in enumerate(encoded.offsets) if span and span[0] >= case.at), None)
    if following is None or encoded.offsets[following][0] != case.at:  # type: ignore[index]
        return -1, MERGED
    before = encoded.offsets[following - 1] if following else None
    if before is None:
        return -1, NO_TOKEN
    if before[1] > case.at:
        return -1, MERGED
    if not case.content.text[before[0] : before[1]].strip():
        return -1, BLANK
    return following - 1, ""


def _with_surface(case: LensCase, encoded: Encoded, following: int, forms: _FormTable) -> LensCase:
    """The case with the next token's spelling as its surface word, scored like any word and always as that token."""
    span, token = encoded.offsets[following], encoded.ids[following]
    assert span is not None
    word = case.content.text[span[0] : span[1]].strip()
    if token not in forms.ids(word):
        word = forms.spell_as(f"<token {token}>", (*forms.ids(word), token))
    return replace(case, words={**case.words, "surface": (word,)})


class _FormTable:
    """Words, their single-token forms, and the list of distinct tokens to score."""

    def __init__(self, adapter: Adapter) -> None:
        self.adapter = adapter
        self.words: dict[str, int] = {}
        self.rows: list[tuple[int, ...]] = []
        self.targets: list[int] = []
        self._column: dict[int, int] = {}
        self._ids: dict[str, tuple[int, ...]] = {}

    def ids(self, word: str) -> tuple[int, ...]:
        if word not in self._ids:
            self._ids[word] = self.adapter.word_forms(word)
        return self._ids[word]

    def spell_as(self, name: str, ids: tuple[int, ...]) -> str:
        """Gives a name of our own the tokens that are to be scored for it; returns the name."""
        self._ids[name] = tuple(sorted(ids))
        return name

    def index(self, word: str) -> int:
        if word not in self.words:
            self.add(word, self.ids(word))
        return self.words[word]

    def add(self, name: str, ids: tuple[int, ...]) -> int:
        if name not in self.words:
            self.words[name] = len(self.rows)
            for token in ids:
                if token not in self._column:
                    self._column[token] = len(self.targets)
                    self.targets.append(token)
            self.rows.append(tuple(self._column[token] for token in ids))
        return self.words[name]

    def matrix(self) -> Tensor:
        width = max((len(row) for row in self.rows), default=1)
        return (
            torch.tensor([list(row) + [-1] * (width - len(row)) for row in self.rows])
            .reshape(-1, width)
            .long()
        )


def _unspellable(
    case: LensCase, forms: _FormTable, required: tuple[str, ...], following: tuple[int, ...]
) -> str:
    found: dict[str, set[int]] = {}
    for condition in required:
        found[condition] = {token for word in case.words.get(condition, ()) for token in forms.ids(word)}
        if not found[condition]:
            return f"no single token spells the {condition} word"
    if found["dominant"] & found.get("surface", set()):
        return "dominant and surface word share a token"
    if case.next_word and case.area is None and following[0] not in forms.ids(case.next_word):
        return NOT_WHOLE
    return ""


class _RandomWords:
    """Pseudo-words: random tokens of similar frequency rank to those of a word, and as many of them."""

    def __init__(self, forms: _FormTable, frequency: np.ndarray, seed: int) -> None:
        self._forms, self._rng = forms, np.random.default_rng([seed, 0x7A9D])
        self._by_rank = np.lexsort((np.arange(len(frequency)), -frequency))
        self._rank = np.empty_like(self._by_rank)
        self._rank[self._by_rank] = np.arange(len(self._by_rank))

    def groups(self, given: dict[str, list[tuple[int, ...]]]) -> list[tuple[int, ...]]:
        """For each case as many pseudo-words as it has dominant ones.

        No special token and no token of the case's own words in any condition is drawn.
        """
        out = []
        for i, group in enumerate(given["dominant"]):
            own = self._tokens({word for groups_of in given.values() for word in groups_of[i]})
            out.append(tuple(self._draw(word, own) for word in group))
        return out

    def stand_ins(self, words: list[int]) -> dict[int, tuple[int, ...]]:
        """N_STAND_INS pseudo-words for each of a few words; nothing if the words are many."""
        if len(words) >= FEW_WORDS:
            return {}
        own = self._tokens(set(words))
        return {word: tuple(self._draw(word, own) for _ in range(N_STAND_INS)) for word in words}

    def _tokens(self, words: set[int]) -> frozenset[int]:
        forms = self._forms
        return forms.adapter.special_ids | {forms.targets[c] for word in words for c in forms.rows[word]}

    def _draw(self, word: int, own: frozenset[int]) -> int:
        tokens: list[int] = []
        for column in self._forms.rows[word]:
            target = self._forms.targets[column]
            rank = int(self._rank[target]) if target < len(self._rank) else len(self._rank) - 1
            low = max(0, min(rank - SIMILAR_RANKS, len(self._rank) - 2 * SIMILAR_RANKS - 1))
            near = self._by_rank[low : low + 2 * SIMILAR_RANKS + 1]
            pool = [int(t) for t in near if int(t) not in own and t not in tokens]
            tokens.append(int(self._rng.choice(pool)))
        ids = tuple(sorted(tokens))
        return self._forms.add(f"<random {ids}>", ids)


def frequency_strata(
    ready: Ready, words: np.ndarray, frequency: np.ndarray, per_stratum: int = 10
) -> np.ndarray:
    """Words [word] -> stratum codes: equal-sized bins of token frequency with at least `per_stratum` words each.

    Words that mostly belong to cases of different strata (LensCase.stratum) are never in one bin.
    """
    counts = np.zeros(len(words))
    for i, word in enumerate(words):
        tokens = [int(ready.targets[c]) for c in ready.forms[word].tolist() if c >= 0]
        counts[i] = sum(frequency[t] for t in tokens if t < len(frequency))
    places: dict[int, Counter[str]] = {}
    for case, group in zip(ready.cases, ready.groups["dominant"], strict=True):
        places.setdefault(group[0], Counter())[case.stratum] += 1
    usual = np.array(
        [min(places[int(word)].items(), key=lambda item: (-item[1], item[0]))[0] for word in words]
    )
    strata = np.empty(len(words), dtype=np.int64)
    first = 0
    for place in np.unique(usual):
        members = np.flatnonzero(usual == place)
        n_bins = max(1, min(5, len(members) // per_stratum))
        order = members[np.lexsort((words[members], counts[members]))]
        for code, binned in enumerate(np.array_split(order, n_bins)):
            strata[binned] = first + code
        first += n_bins
    return strata
