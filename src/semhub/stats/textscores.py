"""Scores of continued prompts as results: for each condition and strength a mean over prompts, with two spreads.

The interval is over prompts (each the mean over its seeds, clusters resampled); the standard deviation is that of the
seeds' own means, as the paper gives it. Perplexities are averaged as logarithms: a few wild texts would be the mean.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from semhub.stats.bootstrap import LEVEL, Floats, mean_interval
from semhub.stats.tables import VariantTable

SENTIMENT, PERPLEXITY, RELEVANCE, ADHERENCE = "sentiment", "perplexity", "relevance", "adherence"
SCORES = (SENTIMENT, PERPLEXITY, RELEVANCE, ADHERENCE)
ALWAYS = (SENTIMENT, ADHERENCE)  # no other rows have these
SEED_SD, OVER = "_seed_sd", "_over"
HYPOTHESIS, REAL = "hypothesis", "real_difference"
INTERVAL = f"means over seeds; cluster bootstrap over prompts, expanded percentile {LEVEL:.0%}"


def is_scored(table: VariantTable) -> bool:
    """Whether the rows are those of continued prompts."""
    return any(
        measure in ALWAYS or (measure == PERPLEXITY and bool((part["seed"] >= 0).any()))
        for (measure, _), part in table.parts.items()
    )


def summarise_scores(
    table: VariantTable, measure: str, condition: str, seed: int, n_draws: int
) -> Iterator[pd.DataFrame]:
    """The results of one score and condition, with `measure`, `condition` and `method`; one row for each strength.

    `<score>_seed_sd`: standard deviation over the seeds' means. `<score>_over`, of the hypothesis: per prompt, less
    the real differences of the same size.
    """
    part = table.parts.get((measure, condition))
    if measure not in SCORES or part is None:
        return
    real = table.parts.get((measure, REAL))
    for strength in sorted(map(float, part["strength"].unique())):
        rows = part[part["strength"] == strength]
        rng = table.rng(seed, measure, condition, f"{strength:g}")
        names = dict(strength=strength, condition=condition, layer=int(rows["layer"].iloc[0]))
        cases = _by_case(rows, measure)
        yield _row(cases, measure, rng, n_draws, **names, measure=measure, method=_method(measure))
        by_seed = _back(
            np.asarray(_logs(rows, measure).groupby(rows["seed"]).mean(), dtype=np.float64), measure
        )
        sd = float(by_seed.std(ddof=1)) if len(by_seed) > 1 else np.nan
        n = dict(n=len(cases), n_clusters=cases["cluster_id"].nunique())
        empty = dict(ci_low=np.nan, ci_high=np.nan, null_mean=np.nan, p=np.nan, p_adjusted=np.nan)
        spread = f"standard deviation over the means of {len(by_seed)} seeds"
        yield pd.DataFrame([dict(names, measure=measure + SEED_SD, method=spread, estimate=sd, **n, **empty)])
        control = None if real is None else pd.DataFrame(real[real["strength"] == abs(strength)])
        if condition == HYPOTHESIS and control is not None and len(control):
            over = cases.join(_by_case(control, measure)["value"].rename("control"), how="inner")
            over["value"] -= over["control"]
            if len(over):
                rng = table.rng(seed, measure, condition, OVER, f"{strength:g}")
                how = f"mean over prompts of the value less that under real differences; {INTERVAL}"
                if measure == PERPLEXITY:
                    how = f"ratio to the perplexity under real differences, geometric; {INTERVAL}"
                yield _row(over, measure, rng, n_draws, **names, measure=measure + OVER, method=how)


def _by_case(rows: pd.DataFrame, measure: str) -> pd.DataFrame:
    """case_id -> value (the mean over its seeds; of logarithms, for perplexities) and cluster_id."""
    grouped = rows.assign(value=_logs(rows, measure)).groupby("case_id", sort=True)
    return grouped.agg(value=("value", "mean"), cluster_id=("cluster_id", "first"))


def _logs(rows: pd.DataFrame, measure: str) -> pd.Series[float]:
    values = rows["value"].astype(float)
    return pd.Series(np.log(values), index=values.index) if measure == PERPLEXITY else values


def _back(values: Floats, measure: str) -> Floats:
    return np.exp(values) if measure == PERPLEXITY else values


def _method(measure: str) -> str:
    return (
        f"geometric mean over prompts; {INTERVAL}"
        if measure == PERPLEXITY
        else f"mean over prompts; {INTERVAL}"
    )


def _row(
    cases: pd.DataFrame, score: str, rng: np.random.Generator, n_draws: int, **names: object
) -> pd.DataFrame:
    clusters = cases["cluster_id"].to_numpy(dtype=object)
    found = mean_interval(cases["value"].to_numpy(float)[None], clusters, rng, n_draws=n_draws)
    numbers = (_back(np.asarray(one), score) for one in (found.estimate, found.low, found.high))
    estimate, low, high = (float(one[0]) for one in numbers)
    counted = dict(n=found.n, n_clusters=found.n_clusters, null_mean=np.nan, p=np.nan, p_adjusted=np.nan)
    return pd.DataFrame([dict(names, estimate=estimate, ci_low=low, ci_high=high, **counted)])
