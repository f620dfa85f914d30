"""From steering cases to tokens: prompts, the tokens whose log-odds should move, the states of the directions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from semhub.capture import capture
from semhub.generate import next_logprobs
from semhub.measures.groups import mean_matrix
from semhub.measures.words import NO_TOKEN, AreaFinder
from semhub.models.base import Adapter, Encoded
from semhub.types import (
    Area,
    Content,
    Image,
    Kept,
    Place,
    RowDifference,
    Sound,
    StateDifference,
    SteerCase,
    SteerSet,
)  # fmt: skip

HYPOTHESIS = "hypothesis"
NOT_ONE_TOKEN = "the new or the old word is no single token"
SAME_TOKEN = "the new and the old word share a token"
NO_ROW = "a word of the direction is no single token"
READ_THERE = "the output is read where alone would be written"
ALREADY = "the model says the new word anyway"


@dataclass(frozen=True, slots=True, eq=False)
class _Spot:
    """Positions of a prompt whose states are read or written together."""

    prompt: Encoded
    positions: tuple[int, ...]

    @property
    def input(self) -> tuple[object, ...]:
        """What the model is given, of whatever characters it was made."""
        pictures = tuple((one.image, one.positions) for one in self.prompt.pictures)
        sounds = tuple((one.sound, one.positions) for one in self.prompt.sounds)
        return self.prompt.ids, self.prompt.prefix, pictures, sounds

    def unread(self) -> _Spot:
        """Without the last position: what is written where the output is read only comes out again."""
        return _Spot(self.prompt, tuple(p for p in self.positions if p != len(self.prompt.ids) - 1))


@dataclass(frozen=True, slots=True, eq=False)
class Ready:
    """The cases that can be steered, in terms of tokens.

    prompts [case]: cut after the position that is written; whole where an area is. written [case]: the positions.
    new, old [case, form]: token ids, padded with -1. before [case]: log p(new) - log p(old) of the model itself, nat.
    place: of every place of a direction its index. own [layer, case, d_model], states [layer, place, d_model]: of the
    layers 1..L-1, means over the written positions and over the places'. length [layer, case]: the mean length of the
    states at the written positions. sources [place], shown [case]: their contents as numbers, by the picture for areas.
    how, onward: as in the set.
    """

    cases: list[SteerCase]
    prompts: list[Encoded]
    written: list[tuple[int, ...]]
    new: Tensor
    old: Tensor
    before: Tensor
    place: dict[Place, int]
    own: Tensor
    length: Tensor
    states: Tensor
    sources: np.ndarray
    shown: np.ndarray
    kept: Kept
    how: Literal["add", "replace"] = "add"
    onward: bool = False

    def subset(self, keep: np.ndarray) -> Ready:
        """Some of the cases, by a mask [case]."""
        where = np.flatnonzero(keep)
        at = torch.from_numpy(where)
        return replace(
            self,
            cases=[self.cases[i] for i in where],
            prompts=[self.prompts[i] for i in where],
            written=[self.written[i] for i in where],
            new=self.new[at],
            old=self.old[at],
            before=self.before[at],
            own=self.own[:, at],
            length=self.length[:, at],
            shown=self.shown[where],
        )


def make_ready(adapter: Adapter, steer_set: SteerSet, batch_tokens: int = 4096) -> Ready:
    """Cases that cannot be scored are counted by reason."""
    dropped: Counter[str] = Counter(steer_set.kept.dropped)
    find = _Finder(adapter, steer_set)
    cases: list[SteerCase] = []
    spots: list[_Spot] = []
    for case in steer_set.cases:
        spot, reason = find(case.content, case.at, case.area)
        if case.area is not None:
            spot = spot.unread()
            reason = reason or ("" if spot.positions else READ_THERE)
        reasons = [reason, _unusable(adapter, case), *(find.at(place)[1] for place in _places(case))]
        reason = next((one for one in reasons if one), "")
        if reason:
            dropped[reason] += 1
            continue
        cases.append(case)
        spots.append(spot)
    new, old, before, said = _outcomes(adapter, cases, [spot.prompt for spot in spots], batch_tokens)
    if dropped_now := int((~said).sum()):
        dropped[ALREADY] += dropped_now
    keep = np.flatnonzero(said.numpy())
    cases, spots = [cases[i] for i in keep], [spots[i] for i in keep]
    new, old, before = new[said], old[said], before[said]
    places = list(dict.fromkeys(place for case in cases for place in _places(case)))
    states, length = _read(adapter, [*spots, *(find.at(place)[0] for place in places)], batch_tokens)
    n = len(spots)
    return Ready(
        cases=cases,
        prompts=[spot.prompt for spot in spots],
        written=[spot.positions for spot in spots],
        new=new,
        old=old,
        before=before,
        place={place: i for i, place in enumerate(places)},
        own=states[:, :n],
        length=length[:, :n],
        states=states[:, n:],
        sources=_numbered([_source(place.content, place.area) for place in places]),
        shown=_numbered(
            [_source(case.content, case.area) if case.area else i for i, case in enumerate(cases)]
        ),
        kept=Kept(steer_set.kept.given, dict(dropped)),
        how=steer_set.how,
        onward=steer_set.onward,
    )


def log_odds(logprobs: Tensor, n_new: int) -> Tensor:
    """log p(new) - log p(old) [row] of log-probabilities [row, token]: first those of `new`, then those of `old`."""
    return logprobs[:, :n_new].logsumexp(dim=1) - logprobs[:, n_new:].logsumexp(dim=1)


class _Finder:
    """Where the contents of a set are read and written; each content is encoded once."""

    def __init__(self, adapter: Adapter, steer_set: SteerSet) -> None:
        places = [Place(case.content, 0) for case in steer_set.cases]
        places += [place for case in steer_set.cases for place in _places(case)]
        contents = list(dict.fromkeys(place.content for place in places))
        encoded = adapter.encode(contents, special_tokens=steer_set.special_tokens)
        self._encoded = dict(zip(contents, encoded, strict=True))
        self._area = AreaFinder(adapter)
        self._placed: dict[Place, tuple[_Spot, str]] = {}

    def __call__(self, content: Content, at: int, area: Area | None) -> tuple[_Spot, str]:
        """The spot of a case, or why there is none."""
        encoded = self._encoded[content]
        if area is not None:
            positions, reason = self._area(content, encoded, area)
            return _Spot(encoded, positions), reason
        prompt, position = cut(encoded, at)
        return _Spot(prompt, (max(position, 0),)), NO_TOKEN if position < 0 else ""

    def at(self, place: Place) -> tuple[_Spot, str]:
        """The spot of a place; one before the first token is read at the first."""
        if place not in self._placed:
            spot, reason = self(place.content, place.at, place.area)
            self._placed[place] = spot, "" if reason == NO_TOKEN else reason
        return self._placed[place]


def cut(encoded: Encoded, at: int) -> tuple[Encoded, int]:
    """The content up to the last token that ends at or before the character `at`, and that token's position.

    Where there is none the position is -1 and the first token stays; a picture is never cut.
    """
    found = [i for i, span in enumerate(encoded.offsets) if span and span[0] < span[1] <= at]
    position = found[-1] if found else -1
    return encoded.beginning(encoded.needed(max(position, 0) + 1)), position


def _source(content: Content, area: Area | None) -> Content | Image | Sound:
    """What differs between two states that are really different: the picture or sound of an area, else the content."""
    shown: dict[int, Image | Sound] = {**dict(content.images), **dict(content.sounds)}
    return content if area is None else shown[area.at]


def _numbered(names: Sequence[object]) -> np.ndarray:
    number = {name: i for i, name in enumerate(dict.fromkeys(names))}
    return np.array([number[name] for name in names], dtype=np.int64)


def _forms(adapter: Adapter, words: Sequence[str]) -> tuple[int, ...]:
    return tuple(dict.fromkeys(token for word in words for token in adapter.word_forms(word)))


def _unusable(adapter: Adapter, case: SteerCase) -> str:
    new, old = _forms(adapter, case.new), _forms(adapter, case.old)
    if not new or (case.old and not old):
        return NOT_ONE_TOKEN
    if set(new) & set(old):
        return SAME_TOKEN
    for direction in case.directions.values():
        if isinstance(direction, RowDifference) and not all(
            adapter.word_forms(word) for word in (direction.plus, direction.minus)
        ):
            return NO_ROW
    return ""


def _outcomes(
    adapter: Adapter, cases: list[SteerCase], prompts: list[Encoded], batch_tokens: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """new and old ids [case, form], the model's own log-odds [case], and whether old is not new already [case]."""
    if not cases:
        nothing = torch.empty(0, 1, dtype=torch.long)
        return nothing, nothing, torch.empty(0), torch.empty(0, dtype=torch.bool)
    new = _padded([_forms(adapter, case.new) for case in cases])
    old_forms = [_forms(adapter, case.old) for case in cases]
    unnamed = [i for i, forms in enumerate(old_forms) if not forms]
    if unnamed:
        scores = next_logprobs(
            adapter, [prompts[i] for i in unnamed], range(len(unnamed)), batch_tokens=batch_tokens
        )
        for i, top in zip(unnamed, scores.argmax(-1).tolist(), strict=True):
            old_forms[i] = (top,)
    old = _padded(old_forms)
    shared = (old[:, :, None] == new[:, None, :]) & (old >= 0)[:, :, None]
    differs = ~shared.any(dim=2).any(dim=1)
    tokens = torch.cat([new, old], dim=1)
    scores = next_logprobs(adapter, prompts, range(len(prompts)), tokens=tokens, batch_tokens=batch_tokens)
    return new, old, log_odds(scores.double(), new.shape[1]), differs


def _padded(forms: list[tuple[int, ...]]) -> Tensor:
    out = torch.full((len(forms), max(map(len, forms))), -1, dtype=torch.long)
    for i, some in enumerate(forms):
        out[i, : len(some)] = torch.tensor(some, dtype=torch.long)
    return out


def _places(case: SteerCase) -> list[Place]:
    differences = [one for one in case.directions.values() if isinstance(one, StateDifference)]
    return [place for one in differences for place in (*one.plus, *one.minus)]


def _read(adapter: Adapter, spots: list[_Spot], batch_tokens: int) -> tuple[Tensor, Tensor]:
    """Mean states [layer, spot, d_model] and mean lengths [layer, spot] of layers 1..L-1, float32 on the host.

    Equal inputs share one forward pass, and the spots of one input its positions.
    """
    inputs: dict[object, int] = {}
    asked: dict[tuple[int, tuple[int, ...]], int] = {}
    once: list[Encoded] = []
    for spot in spots:
        if spot.input not in inputs:
            inputs[spot.input] = len(inputs)
            once.append(spot.prompt)
        asked.setdefault((inputs[spot.input], spot.positions), len(asked))
    of_input: list[list[tuple[int, ...]]] = [[] for _ in once]
    for owner, positions in asked:
        of_input[owner].append(positions)
    wanted = [sorted({p for positions in some for p in positions}) for some in of_input]
    layers = list(range(1, adapter.n_layers))
    values = torch.empty(len(layers), len(asked), adapter.d_model)
    length = torch.empty(len(layers), len(asked))
    if layers and asked:
        for part in capture(adapter, once, wanted, layers=layers, batch_tokens=batch_tokens):
            owners, at = part.content.tolist(), part.position.tolist()
            row = {one: i for i, one in enumerate(zip(owners, at, strict=True))}
            here = [(owner, positions) for owner in dict.fromkeys(owners) for positions in of_input[owner]]
            rows = [[row[owner, p] for p in positions] for owner, positions in here]
            where = torch.tensor([asked[one] for one in here])
            values[:, where], length[:, where] = _means(part.values, rows)
    found = torch.tensor([asked[inputs[spot.input], spot.positions] for spot in spots], dtype=torch.long)
    return values[:, found], length[:, found]


def _means(states: Tensor, rows: list[list[int]]) -> tuple[Tensor, Tensor]:
    """states [layer, row, d_model], rows [spot] -> mean states [layer, spot, d_model] and lengths, on the host."""
    if all(len(some) == 1 for some in rows):
        single = states[:, torch.tensor(rows, device=states.device)[:, 0]].to("cpu", torch.float32)
        return single, single.norm(dim=-1)
    weight = mean_matrix(rows, states.shape[1], states.device)
    means, lengths = [], []
    for layer in states:
        means.append((weight @ layer.float()).cpu())
        lengths.append((weight @ layer.float().norm(dim=-1)).cpu())
    return torch.stack(means), torch.stack(lengths)
