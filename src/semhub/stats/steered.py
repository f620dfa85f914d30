"""Steered rows as results: one estimate with its interval for each layer and strength, and what follows per case."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from semhub.stats.bootstrap import (
    LEVEL,
    Floats,
    cluster_codes,
    draw_weights,
    interval_of_draws,
    mean_interval,
)
from semhub.stats.dose import HYPOTHESIS, LOSS, LOSS_OVER, MEASURE, OVER
from semhub.stats.tables import Steered, VariantTable

PERPLEXITY = "perplexity"
TEXT = ("success", "unchanged", "other", "unparseable", "share", PERPLEXITY)
WRONG_WAY = "moved_wrong_way"
OVERS = {MEASURE: OVER, LOSS: LOSS_OVER}
INTERVAL = f"cluster bootstrap, expanded percentile {LEVEL:.0%}"
COLUMNS = ("layer", "strength", "estimate", "ci_low", "ci_high", "n", "n_clusters")


def is_steered(table: VariantTable, measure: str, condition: str) -> bool:
    return measure in (MEASURE, *TEXT) or bool(table.parts[measure, condition]["strength"].notna().any())


def summarise_steered(
    table: VariantTable, measure: str, condition: str, seed: int, n_draws: int
) -> Iterator[pd.DataFrame]:
    """The results of one measure and condition: columns of COLUMNS, `measure`, `condition` and `method`.

    Of `delta_logit` and `loss` also, per case, the hypothesis less this control; of `delta_logit` the share of cases
    that the hypothesis moved the wrong way.
    """
    view = table.steered(measure, condition)
    if view is None:
        return
    method = f"median over cases; {INTERVAL}" if measure == PERPLEXITY else f"mean over cases; {INTERVAL}"
    yield _frame(table, view, measure, condition, seed, n_draws).assign(method=method)
    if measure not in OVERS:
        return
    if condition == HYPOTHESIS and measure == MEASURE:
        share = np.where(np.isfinite(view.values), view.values < 0, np.nan)
        wrong = Steered(share, view.present, view.layers, view.strengths, view.clusters, view.case_ids)
        frame = _frame(table, wrong, WRONG_WAY, condition, seed, n_draws)
        yield frame.assign(method=f"share of cases with log-odds moved below zero; {INTERVAL}")
    elif condition != HYPOTHESIS:
        hypothesis = table.steered(measure, HYPOTHESIS)
        over = None if hypothesis is None else less(hypothesis, view)
        if over is not None:
            frame = _frame(table, over, OVERS[measure], condition, seed, n_draws)
            yield frame.assign(method=f"mean over cases of hypothesis less {condition}; {INTERVAL}")


def less(view: Steered, control: Steered) -> Steered | None:
    """The paired difference on the layers, strengths and cases that both have; None where there are none."""
    _, i, k = np.intersect1d(view.layers, control.layers, return_indices=True)
    _, j, m = np.intersect1d(view.strengths, control.strengths, return_indices=True)
    _, c, d = np.intersect1d(view.case_ids, control.case_ids, return_indices=True)
    mine, theirs = np.ix_(i, j, c), np.ix_(k, m, d)
    present = view.present[mine] & control.present[theirs]
    if not present.any():
        return None
    with np.errstate(invalid="ignore"):
        values = view.values[mine] - control.values[theirs]
    return Steered(values, present, view.layers[i], view.strengths[j], view.clusters[c], view.case_ids[c])


def _frame(
    table: VariantTable, view: Steered, measure: str, condition: str, seed: int, n_draws: int
) -> pd.DataFrame:
    rng = table.rng(seed, measure, condition, "interval")
    shape = view.present.shape[:2]
    present = view.present.reshape(-1, view.present.shape[2])
    values = view.values.reshape(present.shape)
    out = np.full((len(present), 5), np.nan)
    known = np.isfinite(np.where(present, values, 0.0)).all(axis=1)
    patterns, which = np.unique(present, axis=0, return_inverse=True)
    for index, pattern in enumerate(patterns):
        if not pattern.any():
            continue
        mine = which.reshape(-1) == index
        clusters = view.clusters[pattern]
        out[mine, 3:] = pattern.sum(), len(np.unique(clusters))
        if (mine & known).any():
            found = _median if measure == PERPLEXITY else _mean
            out[mine & known, :3] = found(values[mine & known][:, pattern], clusters, rng, n_draws)
    layers, strengths = np.repeat(view.layers, shape[1]), np.tile(view.strengths, shape[0])
    frame = pd.DataFrame(dict(zip(COLUMNS, (layers, strengths, *out.T), strict=True)))
    frame = frame[frame["n"] > 0].astype({"n": "int64", "n_clusters": "int64"})
    nothing = dict.fromkeys(("null_mean", "p", "p_adjusted"), np.nan)
    return frame.assign(measure=measure, condition=condition, **nothing)


def _mean(values: Floats, clusters: np.ndarray, rng: np.random.Generator, n_draws: int) -> Floats:
    """values [cell, case] -> estimate, low and high of the mean [cell, 3]."""
    found = mean_interval(values, clusters, rng, n_draws=n_draws)
    return np.stack([found.estimate, found.low, found.high], axis=1)


def _median(values: Floats, clusters: np.ndarray, rng: np.random.Generator, n_draws: int) -> Floats:
    """values [cell, case] -> estimate, low and high of the median [cell, 3]; no interval from a single cluster."""
    out = np.full((len(values), 3), np.nan)
    out[:, 0] = np.median(values, axis=1)
    codes = cluster_codes(clusters)
    if codes.max() < 1:
        return out
    weights = draw_weights(codes, n_draws, rng)
    draws = np.stack([weighted_medians(one, weights) for one in values], axis=1)
    low, high = interval_of_draws(draws, np.bincount(codes))
    out[:, 1], out[:, 2] = low, high
    return out


def weighted_medians(values: Floats, weights: Floats) -> Floats:
    """values [case], weights [draw, case], whole numbers: how often each case was drawn -> median [draw]."""
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[:, order], axis=1)
    half = reached[:, -1:] / 2
    lower, upper = (reached >= half).argmax(axis=1), (reached > half).argmax(axis=1)
    return np.asarray((values[order][lower] + values[order][upper]) / 2)
