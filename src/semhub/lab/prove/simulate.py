"""How often the package's 95% intervals hold the truth, on data sets made with a known one.

Lens rows: a cluster's effect plus a case's, for the interval of a mean (P2). Pair states: two sides that share part
of their directions, around unequal means and in few large dimensions, for the interval of the centred paper score
(P1), whose truth is that of infinitely many pairs, taken from the formula's pieces on LARGE of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd
import torch

from semhub.lab.prove.rates import exact_interval
from semhub.measures.similarity import PairStates, resampled
from semhub.stats.bootstrap import Floats, Ints, draw_weights, interval_of_draws, mean_interval
from semhub.types import Content, Pair

DATA_SETS = 2000
DRAWS = 400
AT_ONCE = 20
LARGE = 100_000
WIDTH = 32
NOMINAL = (0.93, 0.97)
COLUMNS = [
    "interval", "data", "clusters", "cases", "truth", "data_sets", "held", "share", "low", "high", "as_stated"
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Lens:
    """Scores of cases in clusters of 1 to `largest`; skewed: both parts exponential instead of normal."""

    n_clusters: int
    largest: int
    skewed: bool = False
    truth: float = 0.3

    def describe(self) -> tuple[str, str]:
        return "mean over lens cases", "skewed" if self.skewed else "normal"

    def held(self, n_sets: int, rng: np.random.Generator) -> int:
        codes = _codes(self.n_clusters, self.largest, rng)
        values = self.truth + _noise((n_sets, self.n_clusters), self.skewed, rng)[:, codes]
        values += _noise((n_sets, len(codes)), self.skewed, rng)
        found = mean_interval(values, codes.astype(str), rng, n_draws=DRAWS)
        return int(((found.low <= self.truth) & (self.truth <= found.high)).sum())


@dataclass(frozen=True, slots=True)
class States:
    """Pairs in clusters of 1 to `largest` whose two sides share the fraction `shared` of their variance."""

    n_clusters: int
    largest: int
    shared: float

    def describe(self) -> tuple[str, str]:
        return "centred paper score", f"{self.shared:.0%} of the variance shared"

    @property
    def truth(self) -> float:
        return _true_score(self.shared)

    def held(self, n_sets: int, rng: np.random.Generator) -> int:
        truth, codes = self.truth, _codes(self.n_clusters, self.largest, rng)
        sides = _sides(self.shared, n_sets, codes, rng)
        sides += 3 * np.random.default_rng(1).normal(size=(2, 1, 1, WIDTH))
        draws = resampled(_pair_states(sides), draw_weights(codes, DRAWS, rng))["paper_score_centred"]
        low, high = interval_of_draws(draws, np.bincount(codes))
        return int(((low <= truth) & (truth <= high)).sum())


def _sides(shared: float, n_sets: int, codes: Ints, rng: np.random.Generator) -> Floats:
    """States of mean zero [side, data set, case, WIDTH]: a meaning, half of it the cluster's own, and a form."""
    scale = 1 / np.sqrt(np.arange(1, WIDTH + 1))
    shape = (n_sets, len(codes), WIDTH)
    of_cluster = rng.normal(size=(n_sets, int(codes.max()) + 1, WIDTH))[:, codes]
    meaning = np.sqrt(0.5) * (of_cluster + rng.normal(size=shape))
    form = rng.normal(size=(2, *shape))
    return np.asarray((np.sqrt(shared) * meaning + np.sqrt(1 - shared) * form) * scale)


@cache
def _true_score(shared: float) -> float:
    """E cos(a, b) of a pair minus E cos(a, b') of unrelated ones, both sides centred by their true means."""
    a, b = (_unit(side) for side in _sides(shared, 1, np.arange(LARGE), np.random.default_rng(0))[:, 0])
    unrelated = a.mean(axis=0) @ b.mean(axis=0)
    return float((a * b).sum(axis=1).mean() - unrelated)


SCENARIOS: tuple[Lens | States, ...] = (
    Lens(30, 1),
    Lens(150, 1),
    Lens(150, 4),
    Lens(150, 4, skewed=True),
    Lens(30, 8, skewed=True),
    States(30, 1, 0.3),
    States(150, 1, 0.0),
    States(150, 1, 0.05),
    States(150, 1, 0.3),
    States(150, 1, 0.9),
    States(75, 4, 0.3),
)


def coverage(
    data_sets: int = DATA_SETS,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
    scenarios: tuple[Lens | States, ...] = SCENARIOS,
) -> pd.DataFrame:
    """One row per scenario: the share of intervals that hold the truth, with its own exact interval.

    as_stated: that share lies within NOMINAL. `data_sets` is rounded up to a multiple of AT_ONCE, the number of data
    sets that share their resampling.
    """
    rows = []
    rounds = -(-data_sets // AT_ONCE)
    for number, one in enumerate(scenarios):
        rng = np.random.default_rng([seed, number])
        held = sum(one.held(AT_ONCE, rng) for _ in range(rounds))
        n = rounds * AT_ONCE
        low, high = exact_interval(held, n)
        share = held / n
        within = NOMINAL[0] <= share <= NOMINAL[1]
        cases = one.n_clusters * (1 + one.largest) // 2
        rows.append((*one.describe(), clusters(one), cases, one.truth, n, held, share, low, high, within))
        if progress is not None:
            progress(number + 1, len(scenarios))
    return pd.DataFrame(rows, columns=COLUMNS)


def clusters(one: Lens | States) -> str:
    """How many clusters a scenario has, of how many cases."""
    return f"{one.n_clusters} of 1 to {one.largest}" if one.largest > 1 else str(one.n_clusters)


def _codes(n_clusters: int, largest: int, rng: np.random.Generator) -> Ints:
    sizes = rng.integers(1, largest + 1, n_clusters)
    return np.repeat(np.arange(n_clusters), sizes)


def _noise(shape: tuple[int, int], skewed: bool, rng: np.random.Generator) -> Floats:
    """Mean 0 and variance 1."""
    return rng.exponential(size=shape) - 1 if skewed else rng.normal(size=shape)


def _unit(states: Floats) -> Floats:
    return np.asarray(states / np.linalg.norm(states, axis=-1, keepdims=True))


def _pair_states(sides: Floats) -> PairStates:
    """Data sets in the place of layers: states [data set, content, WIDTH], first all a and then all b."""
    n = sides.shape[2]
    nothing = torch.empty(0, dtype=torch.long)
    blank = Content.of("")
    return PairStates(
        pairs=[Pair(str(i), str(i), blank, blank) for i in range(n)],
        states=torch.from_numpy(np.concatenate(list(sides), axis=1)).float(),
        a_index=torch.arange(n),
        b_index=torch.arange(n, 2 * n),
        negative_index=nothing,
        negative_of=nothing,
    )
