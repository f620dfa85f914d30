"""From rows to results.parquet: one estimate with its interval, null and p for each layer, condition and measure."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from semhub.results import RESULT_SCHEMA
from semhub.stats.bootstrap import Floats, cluster_codes, interval_of_draws, mean_interval
from semhub.stats.permutation import p_values, sign_flips
from semhub.stats.split import CONFIRM, SELECT, TWINS
from semhub.stats.steered import TEXT, is_steered, summarise_steered
from semhub.stats.tables import DRAWS, VariantTable, by_variant
from semhub.stats.textscores import is_scored, summarise_scores

BOOTSTRAP = "cluster bootstrap, expanded percentile 95%"
RECOMPUTED = "cluster bootstrap of pairs, baseline and centring recomputed, expanded percentile 95%"
SUBSAMPLED = "half of the clusters without replacement, normal 95%"
PERMUTED = "permutation, maximum over layers 1..L-1"
FLIPPED = "sign flips per cluster, maximum over layers 1..L-1"
ONE_SIDED = ("logprob_diff", "concept_diff", "negative_margin")
PICTURES = ("pca_x", "pca_y")


def summarise(
    rows: pd.DataFrame, spokes: Mapping[str, tuple[str, str]], seed: int, n_draws: int = 1000
) -> pd.DataFrame:
    """rows of the shard table -> the results table. spokes: experiment -> (spoke, prediction).

    The halves that choose and confirm a band, and the twins' share, are left out: they belong to the verdict alone.
    Only of the text that confirms a steering effect, the scores are shown.
    """
    out: list[pd.DataFrame] = []
    for (experiment, variant), table in by_variant(rows).items():
        verdict_only = variant.endswith((f"/{SELECT}", f"/{CONFIRM}", f"/{TWINS}"))
        if verdict_only and not any(measure in TEXT for measure, _ in table.parts):
            continue
        spoke, prediction = spokes[experiment]
        names = dict(experiment=experiment, variant=variant, spoke=spoke, prediction=prediction)
        for measure, condition in table.parts:
            if measure in PICTURES or (verdict_only and measure not in TEXT):
                continue
            if is_scored(table):
                parts = summarise_scores(table, measure, condition, seed, n_draws)
                out += [part.assign(**names) for part in parts]
                continue
            if is_steered(table, measure, condition):
                parts = summarise_steered(table, measure, condition, seed, n_draws)
                out += [part.assign(**names) for part in parts]
                continue
            part = _draws(table, measure, condition) if condition in DRAWS else None
            if condition not in DRAWS:
                part = _estimate(table, measure, condition, seed, n_draws)
            if part is not None:
                out.append(part.assign(**names, condition=condition, measure=measure, strength=np.nan))
    if not out:
        return pd.DataFrame({name: [] for name in RESULT_SCHEMA.names})
    return pd.DataFrame(pd.concat(out, ignore_index=True)[RESULT_SCHEMA.names])


def _estimate(table: VariantTable, measure: str, condition: str, seed: int, n_draws: int) -> pd.DataFrame:
    rng = table.rng(seed, measure, condition, "interval")
    cases = table.cases(measure, condition)
    if cases is None:
        frame, method = _whole(table, measure, condition)
    else:
        found = mean_interval(cases.values, cases.clusters, rng, weights=cases.weights, n_draws=n_draws)
        low, high, method = found.low, found.high, BOOTSTRAP
        recomputed = table.draws(measure, "bootstrap")
        if recomputed is not None and found.n_clusters > 1:
            low, high = interval_of_draws(recomputed, np.bincount(cluster_codes(cases.clusters)))
            method = RECOMPUTED
        frame = _frame(found.estimate, low, high, found.n, found.n_clusters)
    null = _null(table, measure, condition)
    if null is not None:
        frame, method = frame.assign(**_tested(frame["estimate"].to_numpy(), null)), f"{method}; {PERMUTED}"
    elif measure in ONE_SIDED and cases is not None:
        flips = sign_flips(
            cases.values, cases.clusters, n_draws, table.rng(seed, measure, condition, "flips")
        )
        frame, method = frame.assign(**_tested(frame["estimate"].to_numpy(), flips)), f"{method}; {FLIPPED}"
    return frame.assign(method=method)


def _null(table: VariantTable, measure: str, condition: str) -> Floats | None:
    """Null draws speak of the matched pairs, and of the dominant word in P2."""
    return table.draws(measure, "null") if condition in ("matched", "dominant") else None


def _whole(table: VariantTable, measure: str, condition: str) -> tuple[pd.DataFrame, str]:
    """A set-level measure; its interval from subsamples of half the clusters, whose variance is that of the whole."""
    values = table.whole(measure, condition)
    assert values is not None
    spread = table.draws(measure, "subsample")
    half = np.full_like(values, np.nan) if spread is None else 1.96 * spread.std(axis=0, ddof=1)
    reference = table.cases("cosine", "matched")
    n = 0 if reference is None else reference.values.shape[1]
    n_clusters = 0 if reference is None else int(cluster_codes(reference.clusters).max()) + 1
    return _frame(values, values - half, values + half, n, n_clusters), SUBSAMPLED


def _draws(table: VariantTable, measure: str, condition: str) -> pd.DataFrame | None:
    """A null as its mean and 95% range; twins as their mean and full range; other draws are no result."""
    draws = table.draws(measure, condition)
    if draws is None or condition in ("bootstrap", "subsample"):
        return None
    if condition == "null":
        low, high = np.quantile(draws, [0.025, 0.975], axis=0)
        method = f"mean and 2.5 to 97.5% of {len(draws)} permutations"
    else:
        low, high = draws.min(axis=0), draws.max(axis=0)
        method = f"mean and range of {len(draws)} models with re-initialised weights"
    return _frame(draws.mean(axis=0), low, high, len(draws), len(draws)).assign(method=method)


def _tested(estimate: Floats, null: Floats) -> dict[str, Floats]:
    p, adjusted = np.full_like(estimate, np.nan), np.full_like(estimate, np.nan)
    p[:] = p_values(estimate, null)[0]
    if len(estimate) > 2:
        adjusted[1:-1] = p_values(estimate[1:-1], null[:, 1:-1])[1]
    return {"null_mean": null.mean(axis=0), "p": p, "p_adjusted": adjusted}


def _frame(estimate: Floats, low: Floats, high: Floats, n: int, n_clusters: int) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "layer": np.arange(len(estimate)),
            "estimate": estimate,
            "ci_low": low,
            "ci_high": high,
            "n": n,
            "n_clusters": n_clusters,
            "null_mean": np.nan,
            "p": np.nan,
            "p_adjusted": np.nan,
        }
    )
