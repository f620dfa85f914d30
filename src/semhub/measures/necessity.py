"""Necessity: what a model loses when the subspace that the dominant type's directions span is taken out of its states.

At the layers of a band the part of a state that lies in the subspace is replaced by its mean over other inputs of the
same type (mean ablation), so that what is lost is what told the inputs apart there. Where the subspace is shared, both
types lose by it: the spoke's inputs and the dominant type's. Subspaces of as many real differences are the control.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from semhub.generate import next_logprobs
from semhub.measures.steercases import HYPOTHESIS, cut
from semhub.measures.steering import Steering
from semhub.measures.vectors import RANDOM, REAL, Rng, Vectors
from semhub.models.base import Adapter, Encoded
from semhub.results import no_rows, rows_frame
from semhub.steer import Intervention, orthonormal
from semhub.types import Place, StateDifference, SteerCase

NECESSITY, LOSS = "necessity", "loss"
SHARE, MOST = 0.9, 8  # of the directions' squared length that the subspace holds; dimensions at most
DRAWS = 19
SPOKE, DOMINANT = "spoke", "dominant"
Written = Sequence[tuple[int, ...]]  # positions of each prompt
Span = Callable[[str, int, int], Tensor]  # condition, draw, layer -> basis


def subspace(directions: Tensor) -> Tensor:
    """An orthonormal basis [dimension, d_model] of the leading span of directions [case, d_model]."""
    _, sizes, basis = torch.linalg.svd(directions.double(), full_matrices=False)
    held = sizes.square().cumsum(0) / sizes.square().sum()
    n = min(MOST, int((held < SHARE - 1e-9).sum()) + 1)
    kept: Tensor = basis[:n].float()
    return kept


def measure(
    every: Steering, select: np.ndarray, band: range, rng: Rng, special_tokens: bool = True
) -> pd.DataFrame:
    """Rows of `loss`, variants `V/necessity/spoke` and `V/necessity/dominant`: how much lower the log-probability of
    the model's own next token is with the part taken out, in nats.

    select [case]: the cases that the subspace and the means are made of; the others are measured. Conditions:
    `hypothesis`, `real_difference` (mean over draws), `random`. Sides without an input of their own have no rows.
    """
    if select.all() or not select.any():
        return no_rows()
    chosen, rest = every.ready.subset(select), every.ready.subset(~select)
    vectors = Vectors(every.adapter, chosen, rng)
    own = {layer: subspace(vectors.of(HYPOTHESIS, layer)) for layer in band}

    def span(condition: str, draw: int, layer: int) -> Tensor:
        """[dimension, d_model], of as many dimensions as the directions' own."""
        if condition == HYPOTHESIS:
            return own[layer]
        return orthonormal(vectors.of(condition, layer, draw)[None, : len(own[layer])])[0]

    parts: list[tuple[str, list[Encoded], Written, Tensor]] = [
        (SPOKE, rest.prompts, rest.written, chosen.own)
    ]
    if all(isinstance(case.directions[HYPOTHESIS], StateDifference) for case in every.ready.cases):
        places = [place for case in chosen.cases for place in _ends(case)]
        means_of = [chosen.place[place] for place in dict.fromkeys(places)]
        prompts = _prompts(every.adapter, [_ends(case)[0] for case in rest.cases], special_tokens)
        ends = [(len(prompt.ids) - 1,) for prompt in prompts]
        parts.append((DOMINANT, prompts, ends, chosen.states[:, means_of]))
    frames = []
    for name, prompts, written, states in parts:
        side = replace(every, ready=rest, variant=f"{every.variant}/{NECESSITY}/{name}")
        frames += _rows(side, prompts, written, states, band, span)
    return pd.concat(frames, ignore_index=True)


def _rows(
    side: Steering, prompts: list[Encoded], written: Written, states: Tensor, band: range, span: Span
) -> list[pd.DataFrame]:
    """states [layer 1..L-1, input, d_model]: those whose mean stays in the place of what is taken out."""
    own = next_logprobs(side.adapter, prompts, range(len(prompts)), batch_tokens=side.batch_tokens).argmax(-1)
    before = _logprob(side, prompts, own, [])
    frames = []
    for condition, n_draws in ((HYPOTHESIS, 1), (REAL, DRAWS), (RANDOM, 1)):
        if condition == REAL and REAL not in side.vectors.conditions:
            continue
        lost = np.zeros(len(prompts))
        for draw in range(n_draws):
            edits = [
                edit
                for layer in band
                for edit in _without(
                    span(condition, draw, layer), states[layer - 1].mean(dim=0), layer, written
                )
            ]
            lost += (before - _logprob(side, prompts, own, edits)) / n_draws
        frames.append(
            rows_frame(
                experiment=side.experiment,
                variant=side.variant,
                case_id=np.array([case.case_id for case in side.ready.cases], dtype=object),
                cluster_id=np.array([case.cluster_id for case in side.ready.cases], dtype=object),
                layer=band[0],
                condition=condition,
                strength=1.0,
                seed=-1,
                measure=LOSS,
                value=lost,
            )
        )
    return frames


def _without(basis: Tensor, mean: Tensor, layer: int, written: Written) -> list[Intervention]:
    """Puts the mean's part in the span of basis [dimension, d_model] into the written states of every row."""
    first, one = torch.zeros(len(written), dtype=torch.long), torch.ones(len(written))
    held = (basis @ mean) @ basis
    return [
        Intervention(layer, "ablate", basis[None], first, one, written),
        Intervention(layer, "add", held[None], first, one, written),
    ]


def _logprob(side: Steering, prompts: list[Encoded], own: Tensor, edits: list[Intervention]) -> np.ndarray:
    """Of each prompt's own next token [prompt], nat."""
    scores = next_logprobs(
        side.adapter, prompts, range(len(prompts)), edits, tokens=own[:, None], batch_tokens=side.batch_tokens
    )
    return np.asarray(scores[:, 0].double().numpy())


def _prompts(adapter: Adapter, places: list[Place], special_tokens: bool) -> list[Encoded]:
    """The contents of the places, cut after them."""
    encoded = adapter.encode([place.content for place in places], special_tokens)
    return [cut(one, place.at)[0] for one, place in zip(encoded, places, strict=True)]


def _ends(case: SteerCase) -> list[Place]:
    direction = case.directions[HYPOTHESIS]
    assert isinstance(direction, StateDifference)
    return [*direction.plus, *direction.minus]
