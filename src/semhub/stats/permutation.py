"""Permutation tests whose correction over layers comes from using the same permutation at every layer.

Westfall and Young, "Resampling-Based Multiple Testing" (1993): the maximum of the standardised statistic over
what was searched, under each permutation, is the null of the observed maximum. p = (1 + #null >= observed) / (R + 1)
(Phipson and Smyth 2010).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from semhub.stats.bootstrap import Floats, Ints, cluster_codes

Bools = NDArray[np.bool_]


def permutations(n: int, n_draws: int, rng: np.random.Generator, strata: Ints | None = None) -> Ints:
    """[draw, n] permutations of 0..n-1, within strata where given."""
    strata = np.zeros(n, dtype=np.int64) if strata is None else strata
    out = np.tile(np.arange(n), (n_draws, 1))
    for stratum in np.unique(strata):
        where = np.flatnonzero(strata == stratum)
        out[:, where] = rng.permuted(np.tile(where, (n_draws, 1)), axis=1)
    return out


def pairings(clusters: Ints, strata: Ints, n_draws: int, rng: np.random.Generator) -> Ints:
    """Wrong partners for paired cases, [draw, case]: whole clusters exchange partners, within strata.

    Each draw puts the clusters into a random cyclic order; the k-th case of a cluster in a stratum is paired with
    the k-th (modulo their number) of the next cluster that occurs in that stratum. What cases of one cluster have in
    common, and what those of one stratum have in common, is thus as strong under the null as in the data. With one
    case per cluster and one stratum this is a random cyclic permutation.
    """
    n_clusters = int(clusters.max()) + 1
    out = np.empty((n_draws, len(clusters)), dtype=np.int64)
    members = [np.flatnonzero(strata == stratum) for stratum in np.unique(strata)]
    for draw in range(n_draws):
        rank = rng.permutation(n_clusters)
        for where in members:
            order = where[np.argsort(rank[clusters[where]], kind="stable")]
            _, starts, sizes = np.unique(rank[clusters[order]], return_index=True, return_counts=True)
            block = np.repeat(np.arange(len(starts)), sizes)
            within = np.arange(len(order)) - starts[block]
            following = (block + 1) % len(starts)
            out[draw, order] = order[starts[following] + within % sizes[following]]
    return out


def p_values(observed: Floats, null: Floats) -> tuple[Floats, Floats]:
    """observed [layer], null [draw, layer] -> (p [layer], p corrected for the maximum over layers [layer]).

    Layers are put on one scale by the null's own mean and standard deviation; a layer whose null does not vary
    gets p = 1 unless the observed value exceeds it. A layer with a NaN among its values has no p (NaN).
    """
    known = np.isfinite(observed) & np.isfinite(null).all(axis=0)
    scaled, scaled_null = _standardise(observed, np.where(known, null, 0.0))
    p = (1 + (scaled_null >= scaled).sum(axis=0)) / (len(null) + 1)
    maxima = scaled_null.max(axis=1)
    adjusted = (1 + (maxima[:, None] >= scaled).sum(axis=0)) / (len(null) + 1)
    return np.where(known, p, np.nan), np.where(known, np.maximum(p, adjusted), np.nan)


def band_p(observed: Floats, null: Floats, band: tuple[int, int], searched: tuple[int, int]) -> float:
    """p of the mean over the layers band[0]..band[1] (inclusive).

    Its null is, per permutation, the largest mean over any band of that width within `searched` (inclusive),
    on the standardised scale. 1 where a layer of the band has a NaN among its values.
    """
    scaled, scaled_null = _standardise(observed, null)
    width = band[1] - band[0] + 1
    starts = range(searched[0], searched[1] - width + 2)
    with np.errstate(invalid="ignore"):  # an infinite and a minus infinite layer have the mean NaN
        value = scaled[band[0] : band[1] + 1].mean()
        means = np.stack([scaled_null[:, start : start + width].mean(axis=1) for start in starts], axis=1)
    if np.isnan(value):  # also a layer above a flat null beside one that is not: no common scale
        return 1.0
    return float((1 + (np.nan_to_num(means, nan=-np.inf).max(axis=1) >= value).sum()) / (len(null) + 1))


def sign_flips(
    values: Floats, clusters: list[str] | NDArray[np.object_], n_draws: int, rng: np.random.Generator
) -> Floats:
    """Null draws [draw, layer] of the mean of values [layer, case] under random signs per cluster.

    The null: each cluster's sum is symmetric about zero. The same signs are used at every layer.
    """
    codes = cluster_codes(clusters)
    sums = np.zeros((values.shape[0], int(codes.max()) + 1))
    np.add.at(sums.T, codes, values.T)
    signs = rng.choice(np.array([-1.0, 1.0]), size=(n_draws, sums.shape[1]))
    return np.asarray(signs @ sums.T / values.shape[1])


def _standardise(observed: Floats, null: Floats) -> tuple[Floats, Floats]:
    mean, spread = null.mean(axis=0), null.std(axis=0)
    flat = spread <= 1e-9 * np.maximum(1.0, np.abs(mean))
    safe = np.where(flat, 1.0, spread)
    scaled = np.where(flat, np.where(observed > mean + 1e-6, np.inf, -np.inf), (observed - mean) / safe)
    return scaled, np.where(flat, -np.inf, (null - mean) / safe)
