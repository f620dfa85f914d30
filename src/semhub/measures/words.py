"""From words to tokens: which positions and which single-token forms a lens case is scored with."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from semhub.models.base import Adapter, Encoded
from semhub.types import Content, Kept, LensCase, LensSet

REQUIRED = ("dominant", "surface")
RANDOM = "random_tokens"
SIMILAR_RANKS = 50


@dataclass(frozen=True, slots=True)
class Ready:
    """A lens set in terms of tokens.

    encoded: the distinct contents. cases, content [case], position [case]: where each case is read.
    words: name -> index; forms [word, form] target indices padded with -1; targets [target]: token ids.
    groups: condition -> per case the indices of its words (empty: the case has none under that condition).
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


def make_ready(adapter: Adapter, lens_set: LensSet, frequency: np.ndarray, seed: int) -> Ready:
    """Maps characters to positions and words to tokens; cases that cannot be scored are counted by reason.

    frequency [n_tokens]: how often each token occurs in text, for random tokens of similar frequency.
    """
    contents: dict[Content, int] = {}
    for case in lens_set.cases:
        contents.setdefault(case.content, len(contents))
    encoded = adapter.encode(list(contents), special_tokens=lens_set.special_tokens)
    forms = _FormTable(adapter)
    dropped: Counter[str] = Counter(lens_set.kept.dropped)
    cases, owner, positions = [], [], []
    for case in lens_set.cases:
        where = encoded[contents[case.content]]
        position, reason = locate(case, where)
        reason = reason or _unspellable(case, forms, where.ids[position + 1] if case.whole_next else None)
        if reason:
            dropped[reason] += 1
            continue
        cases.append(case)
        owner.append(contents[case.content])
        positions.append(position)
    groups: dict[str, list[tuple[int, ...]]] = {}
    for condition in dict.fromkeys(name for case in cases for name in case.words):
        groups[condition] = [
            tuple(forms.index(word) for word in case.words.get(condition, ()) if forms.ids(word))
            for case in cases
        ]
    if cases:
        groups[RANDOM] = _random_groups(forms, groups, frequency, seed)
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
    )


def locate(case: LensCase, encoded: Encoded) -> tuple[int, str]:
    """The position to read, or why there is none. With `whole_next`, the next token must spell the word alone."""
    if not case.whole_next:
        before = [
            i for i, span in enumerate(encoded.offsets) if span and span[1] <= case.at and span[1] > span[0]
        ]
        return (before[-1], "") if before else (-1, "no token before the position")
    end = case.at + len(case.words["surface"][0])
    text = case.content.text
    for i, span in enumerate(encoded.offsets):
        if span is None or span[1] != end:
            continue
        starts_here = span[0] == case.at or (span[0] == case.at - 1 and text[span[0]].isspace())
        if not starts_here or (i + 1 < len(encoded.ids) and encoded.offsets[i + 1] == span):
            return -1, "the word is not one token in this text"
        if i == 0 or encoded.offsets[i - 1] is None:
            return -1, "no token before the position"
        return i - 1, ""
    return -1, "the word is not one token in this text"


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


def _unspellable(case: LensCase, forms: _FormTable, next_token: int | None) -> str:
    found: dict[str, set[int]] = {}
    for condition in REQUIRED:
        found[condition] = {token for word in case.words.get(condition, ()) for token in forms.ids(word)}
        if not found[condition]:
            return f"no single token spells the {condition} word"
    if found["dominant"] & found["surface"]:
        return "dominant and surface word share a token"
    if next_token is not None and next_token not in found["surface"]:
        return "the word is not one token in this text"
    return ""


def _random_groups(
    forms: _FormTable, given: dict[str, list[tuple[int, ...]]], frequency: np.ndarray, seed: int
) -> list[tuple[int, ...]]:
    """For each case as many pseudo-words as it has dominant ones, of as many tokens, of similar frequency rank.

    No special token and no token of the case's own words in any condition is drawn.
    """
    rng = np.random.default_rng([seed, 0x7A9D])
    by_rank = np.lexsort((np.arange(len(frequency)), -frequency))
    rank = np.empty_like(by_rank)
    rank[by_rank] = np.arange(len(by_rank))
    groups = []
    special = forms.adapter.special_ids
    for i, group in enumerate(given["dominant"]):
        words = [word for groups_of in given.values() for word in groups_of[i]]
        own = special | {forms.targets[column] for word in words for column in forms.rows[word]}
        drawn = []
        for word in group:
            tokens = []
            for column in forms.rows[word]:
                token_rank = (
                    int(rank[forms.targets[column]]) if forms.targets[column] < len(rank) else len(rank) - 1
                )
                low = max(0, min(token_rank - SIMILAR_RANKS, len(rank) - 2 * SIMILAR_RANKS - 1))
                pool = [
                    int(t)
                    for t in by_rank[low : low + 2 * SIMILAR_RANKS + 1]
                    if int(t) not in own and t not in tokens
                ]
                tokens.append(int(rng.choice(pool)))
            ids = tuple(sorted(tokens))
            drawn.append(forms.add(f"<random {ids}>", ids))
        groups.append(tuple(drawn))
    return groups


def frequency_strata(
    ready: Ready, words: np.ndarray, frequency: np.ndarray, per_stratum: int = 10
) -> np.ndarray:
    """Words [word] -> stratum codes: equal-sized bins of token frequency with at least `per_stratum` words each."""
    counts = np.zeros(len(words))
    for i, word in enumerate(words):
        tokens = [int(ready.targets[c]) for c in ready.forms[word].tolist() if c >= 0]
        counts[i] = sum(frequency[t] for t in tokens if t < len(frequency))
    n_strata = max(1, min(5, len(words) // per_stratum))
    order = np.lexsort((words, counts))
    strata = np.empty(len(words), dtype=np.int64)
    for code, members in enumerate(np.array_split(order, n_strata)):
        strata[members] = code
    return strata
