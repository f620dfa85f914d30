"""Observed values and permutation nulls of the set-level similarities, once for all rivals that need them."""

from __future__ import annotations

import numpy as np

from semhub.lab.prove.cases import SpokeCases
from semhub.measures import neighbourhood, similarity
from semhub.models.base import Adapter
from semhub.stats.bootstrap import Floats
from semhub.stats.permutation import permutations

DRAWS = 199


def paper_score(model: Adapter, cases: SpokeCases) -> tuple[Floats, Floats]:
    """The raw paper score: observed [layer] and under DRAWS free permutations of b [draw, layer]."""
    states = cases.states(model)
    found = similarity.permuted(states, _orders(cases, len(states.pairs)))["paper_score"]
    return found[0], found[1:]


def geometry(model: Adapter, cases: SpokeCases, measure: str) -> tuple[Floats, Floats]:
    """`mutual_knn` or `cka`: observed [layer] and under DRAWS free permutations of b [draw, layer]."""
    states = cases.states(model)
    found = cases.once(
        "geometry", lambda: neighbourhood.overlap_and_cka(states, _orders(cases, len(states.pairs)))
    )[measure]
    return found[0], found[1:]


def _orders(cases: SpokeCases, n: int) -> np.ndarray:
    return np.concatenate([np.arange(n)[None], permutations(n, DRAWS, cases.rng("permuted"))])
