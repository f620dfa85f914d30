"""From steering cases to tokens: prompts, the tokens whose log-odds should move, the states of the directions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from semhub.capture import capture
from semhub.generate import next_logprobs
from semhub.measures.words import NO_TOKEN
from semhub.models.base import Adapter, Encoded
from semhub.types import Kept, Place, RowDifference, StateDifference, SteerCase, SteerSet

HYPOTHESIS = "hypothesis"
NOT_ONE_TOKEN = "the new or the old word is no single token"
SAME_TOKEN = "the new and the old word share a token"
NO_ROW = "a word of the direction is no single token"
ALREADY = "the model says the new word anyway"


@dataclass(frozen=True, slots=True, eq=False)
class Ready:
    """The cases that can be steered, in terms of tokens.

    prompts [case]: cut after the position that is written. new, old [case, form]: token ids, padded with -1.
    before [case]: log p(new) - log p(old) of the model itself, nat. place: of every place of a direction its index.
    own [layer, case, d_model], states [layer, place, d_model]: of the layers 1..L-1, at the prompts' ends and at the
    places. sources [place]: the content of each place, as a number.
    """

    cases: list[SteerCase]
    prompts: list[Encoded]
    new: Tensor
    old: Tensor
    before: Tensor
    place: dict[Place, int]
    own: Tensor
    states: Tensor
    sources: np.ndarray
    kept: Kept

    def subset(self, keep: np.ndarray) -> Ready:
        """Some of the cases, by a mask [case]."""
        where = np.flatnonzero(keep)
        at = torch.from_numpy(where)
        return replace(
            self,
            cases=[self.cases[i] for i in where],
            prompts=[self.prompts[i] for i in where],
            new=self.new[at],
            old=self.old[at],
            before=self.before[at],
            own=self.own[:, at],
        )


def make_ready(adapter: Adapter, steer_set: SteerSet, batch_tokens: int = 4096) -> Ready:
    """Cases that cannot be scored are counted by reason."""
    dropped: Counter[str] = Counter(steer_set.kept.dropped)
    special = steer_set.special_tokens
    encoded = adapter.encode([case.content for case in steer_set.cases], special_tokens=special)
    cases: list[SteerCase] = []
    prompts: list[Encoded] = []
    for case, whole in zip(steer_set.cases, encoded, strict=True):
        end = _last_before(whole, case.at)
        reason = NO_TOKEN if end < 0 else _unusable(adapter, case)
        if reason:
            dropped[reason] += 1
            continue
        cases.append(case)
        prompts.append(Encoded(whole.ids[: end + 1], whole.offsets[: end + 1]))
    new, old, before, said = _outcomes(adapter, cases, prompts, batch_tokens)
    if dropped_now := int((~said).sum()):
        dropped[ALREADY] += dropped_now
    keep = np.flatnonzero(said.numpy())
    cases, prompts = [cases[i] for i in keep], [prompts[i] for i in keep]
    new, old, before = new[said], old[said], before[said]
    places = list(dict.fromkeys(place for case in cases for place in _places(case)))
    own, states, sources = _read(adapter, prompts, places, special, batch_tokens)
    return Ready(
        cases=cases,
        prompts=prompts,
        new=new,
        old=old,
        before=before,
        place={place: i for i, place in enumerate(places)},
        own=own,
        states=states,
        sources=sources,
        kept=Kept(steer_set.kept.given, dict(dropped)),
    )


def log_odds(logprobs: Tensor, n_new: int) -> Tensor:
    """log p(new) - log p(old) [row] of log-probabilities [row, token]: first those of `new`, then those of `old`."""
    return logprobs[:, :n_new].logsumexp(dim=1) - logprobs[:, n_new:].logsumexp(dim=1)


def _last_before(encoded: Encoded, at: int) -> int:
    found = [i for i, span in enumerate(encoded.offsets) if span and span[0] < span[1] <= at]
    return found[-1] if found else -1


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


def _read(
    adapter: Adapter, prompts: list[Encoded], places: list[Place], special: bool, batch_tokens: int
) -> tuple[Tensor, Tensor, np.ndarray]:
    """States at the prompts' ends and at the places, [layer, ., d_model] of layers 1..L-1, float32 on the host."""
    contents = {content: i for i, content in enumerate(dict.fromkeys(place.content for place in places))}
    encoded = adapter.encode(list(contents), special_tokens=special)
    cut: list[Encoded] = list(prompts)
    for place in places:
        whole = encoded[contents[place.content]]
        end = _last_before(whole, place.at)
        cut.append(Encoded(whole.ids[: max(end, 0) + 1], ()))
    distinct = {ids: i for i, ids in enumerate(dict.fromkeys(one.ids for one in cut))}
    layers = list(range(1, adapter.n_layers))
    values = torch.empty(len(layers), len(distinct), adapter.d_model)
    if layers and distinct:
        once = [Encoded(ids, ()) for ids in distinct]
        for part in capture(adapter, once, layers=layers, batch_tokens=batch_tokens):
            values[:, part.content] = part.values.to("cpu", torch.float32)
    found = values[:, torch.tensor([distinct[one.ids] for one in cut], dtype=torch.long)]
    sources = np.array([contents[place.content] for place in places], dtype=np.int64)
    return found[:, : len(prompts)], found[:, len(prompts) :], sources
