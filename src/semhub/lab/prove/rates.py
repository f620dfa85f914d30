"""From claims to rates: how often each method claims what, with exact intervals. The unit is the training seed."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from scipy import stats as distributions

from semhub.stats.causal import BLIND

LEVEL = 0.95
P3_STEERABLE = "P3, steerable"


def exact_interval(k: int, n: int, level: float = LEVEL) -> tuple[float, float]:
    """The two-sided interval of Clopper and Pearson (1934) for a share of k in n; (0, 1) for n = 0."""
    tail = (1 - level) / 2
    low = float(distributions.beta.ppf(tail, k, n - k + 1)) if k > 0 else 0.0
    high = float(distributions.beta.ppf(1 - tail, k + 1, n - k)) if k < n else 1.0
    return low, high


def rates(claims: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """One row per group: models, claimed, share, low, high, untestable. claims: columns `by`, claimed, testable."""
    rows = []
    for keys, part in claims.groupby(list(by), sort=False, dropna=False):
        n, k = len(part), int(part["claimed"].sum())
        low, high = exact_interval(k, n)
        counts = {"models": n, "claimed": k, "share": k / n, "low": low, "high": high}
        rows.append(
            {**dict(zip(by, keys, strict=True)), **counts, "untestable": int((~part["testable"]).sum())}
        )
    columns = [*by, "models", "claimed", "share", "low", "high", "untestable"]
    return pd.DataFrame(rows, columns=columns)


def totals(claims: pd.DataFrame) -> pd.DataFrame:
    """False alarms and finds of each method by place and prediction; false alarms in `any` of a method's predictions.

    One model counts once: it is a false alarm if any of its testable cells is claimed whose truth is `no`, and found if
    every cell is claimed whose truth is `yes`. P3_STEERABLE is P3 of the cells that can be steered at all (`own` of
    `claims_of`). Columns method, place, prediction, truth and those of `rates`.
    """
    known = claims[(claims["truth"] == "yes") | ((claims["truth"] == "no") & claims["testable"])]
    steerable = known[(known["prediction"] == "P3") & (known["own"] >= BLIND)]
    several = known.groupby(["method", "place"])["prediction"].transform("nunique") > 1
    frames = []
    for prediction, part in [
        ("any", known[several & (known["truth"] == "no")]),
        *known.groupby("prediction", sort=True),
        (P3_STEERABLE, steerable),
    ]:
        models = part.groupby(["method", "place", "truth", "recipe", "seed"], sort=False, as_index=False).agg(
            some=("claimed", "any"), every=("claimed", "all"), testable=("testable", "all")
        )
        models["claimed"] = models["some"].where(models["truth"] == "no", models["every"])
        found = rates(models, ["method", "place", "truth"])
        found.insert(2, "prediction", prediction)
        frames.append(found)
    return pd.concat(frames, ignore_index=True)
