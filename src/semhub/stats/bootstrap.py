"""Cluster bootstrap: clusters are drawn with replacement, whole clusters at a time.

Intervals are expanded percentile intervals (Hesterberg, "What Teachers Should Know About the Bootstrap", 2015,
section 5.2): the percentile levels are widened so that a mean of few clusters gets Student's t coverage. Clusters of
unequal sizes count as fewer, as a few large ones decide the mean (`effective_clusters`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats as distributions

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with its interval, one entry per layer."""

    estimate: Floats
    low: Floats
    high: Floats
    n: int
    n_clusters: int


def cluster_codes(clusters: list[str] | NDArray[np.object_]) -> Ints:
    """Cluster labels [case] -> codes 0..G-1 in order of the sorted labels."""
    return np.unique(np.asarray(clusters, dtype=str), return_inverse=True)[1].astype(np.int64)


def draw_weights(codes: Ints, n_draws: int, rng: np.random.Generator) -> Floats:
    """How often each case occurs in each bootstrap sample: [draw, case], equal within a cluster."""
    n_clusters = int(codes.max()) + 1
    counts = rng.multinomial(n_clusters, np.full(n_clusters, 1 / n_clusters), size=n_draws)
    return counts[:, codes].astype(np.float64)


def effective_clusters(sizes: Floats | Ints) -> float:
    """How many clusters of one size vary as much as these do: (sum m)^2 / sum m^2, Kish, "Survey Sampling" (1965).

    sizes [cluster]: cases, or their weights. Carter, Schnepel and Steigerwald (2017) take t with about as many.
    """
    return float(sizes.sum() ** 2 / (sizes**2).sum())


def percentile_levels(n_clusters: float, level: float = LEVEL) -> tuple[float, float]:
    """The two percentiles of the expanded interval, for a mean of `n_clusters` independent clusters."""
    if n_clusters < 2:
        return 0.0, 1.0
    tail = distributions.t.ppf((1 - level) / 2, n_clusters - 1) * np.sqrt(n_clusters / (n_clusters - 1))
    low = float(distributions.norm.cdf(tail))
    return low, 1 - low


def interval_of_draws(draws: Floats, sizes: Floats | Ints, level: float = LEVEL) -> tuple[Floats, Floats]:
    """Bootstrap draws [draw, layer] -> (low [layer], high [layer]). sizes [cluster]: as in `effective_clusters`.

    Draws without a value (a sample of one pair over and over has no non-pairs) are left out; NaN if none is left.
    """
    draws = draws[np.isfinite(draws).all(axis=1)]
    if not len(draws):
        return np.full(draws.shape[1], np.nan), np.full(draws.shape[1], np.nan)
    low, high = np.quantile(draws, percentile_levels(effective_clusters(sizes), level), axis=0)
    return low, high


def mean_interval(
    values: Floats,
    clusters: list[str] | NDArray[np.object_],
    rng: np.random.Generator,
    *,
    weights: Floats | None = None,
    n_draws: int = 1000,
    level: float = LEVEL,
) -> Interval:
    """Mean over cases of values [layer, case] with its cluster-bootstrap interval.

    weights [case]: the mean is sum(w x) / sum(w), both resampled (a ratio estimator). With a single cluster the
    interval is NaN: nothing is known of the spread between clusters.
    """
    codes = cluster_codes(clusters)
    n_clusters = int(codes.max()) + 1
    weights = np.ones(values.shape[1]) if weights is None else weights
    membership = np.zeros((values.shape[1], n_clusters))
    membership[np.arange(values.shape[1]), codes] = 1.0
    sums = (values * weights) @ membership
    sizes = weights @ membership
    estimate = sums.sum(axis=1) / sizes.sum()
    if n_clusters < 2:
        nothing = np.full(values.shape[0], np.nan)
        return Interval(estimate, nothing, nothing, values.shape[1], n_clusters)
    counts = rng.multinomial(n_clusters, np.full(n_clusters, 1 / n_clusters), size=n_draws).astype(np.float64)
    draws = (counts @ sums.T) / (counts @ sizes)[:, None]
    low, high = interval_of_draws(draws, sizes, level)
    return Interval(estimate, low, high, values.shape[1], n_clusters)
