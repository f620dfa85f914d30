"""The paper's table of steered texts: a row for each condition and strength, a column for each score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from semhub.figures.mass import language_name
from semhub.figures.tables import Run, finite
from semhub.report.words import count, number

SCORES = {
    "sentiment": "sentiment, −1 to 1",
    "perplexity": "perplexity",
    "relevance": "relevance, −1 to 1",
    "adherence": "in the prompt's language, 0 to 1",
}
CONDITIONS = {
    "none": "none",
    "hypothesis": "words of the dominant language",
    "native": "words of the prompt's language",
    "real_difference": "difference of two real texts",
    "random": "random vector",
}
SEED_SD, OVER = "_seed_sd", "_over"


def score_tables(run: Run, experiment: str) -> list[dict[str, Any]]:
    """One table for each set of continued prompts: its caption, head and rows; empty where there are none."""
    rows = run.results[run.results["experiment"] == experiment]
    scored = rows.loc[rows["measure"].str.endswith(SEED_SD), "variant"].unique()
    silent = [
        str(case.get("variant"))
        for case in run.manifest.get("cases", ())
        if case.get("experiment") == experiment and case.get("unscored") and case.get("variant") not in scored
    ]
    tables = [_table(run, experiment, str(variant), rows[rows["variant"] == variant]) for variant in scored]
    for variant in silent:
        caption = f"No text of {variant} has a score.{_unscored(run, experiment, variant)}"
        tables.append({"title": _title(variant), "caption": caption, "head": [], "rows": []})
    return tables


def _title(variant: str) -> str:
    return f"What the continued prompts say · {variant}"


def _table(run: Run, experiment: str, variant: str, rows: pd.DataFrame) -> dict[str, Any]:
    columns = [name for name in SCORES if name in set(rows["measure"])]
    keys = zip(rows["measure"], rows["condition"], rows["strength"].astype(float), strict=True)
    cells: dict[tuple[str, str, float], Any] = dict(zip(keys, rows.itertuples(index=False), strict=True))
    steered = ("native", "hypothesis")
    order = sorted(
        {(condition, strength) for measure, condition, strength in cells if measure in columns},
        key=lambda one: (
            one[0] != "none",
            one[0] not in steered,
            one[1] < 0,
            abs(one[1]),
            steered.index(one[0]) if one[0] in steered else 0,
            one[0],
        ),
    )
    over = sorted(
        {strength for measure, _, strength in cells if measure.endswith(OVER)}, key=lambda x: (x < 0, abs(x))
    )
    first = rows[rows["measure"] == columns[0]]
    n, clusters = int(first["n"].max()), int(first["n_clusters"].max())
    return {
        "title": _title(variant),
        "caption": f"{count(n)} prompts in {count(clusters)} clusters, layer {int(first['layer'].iloc[0])}; mean ± "
        "standard deviation over seeds, in brackets the 95% interval over prompts (clusters resampled). Perplexity: "
        "geometric mean. Controls are as long as the difference of the dominant language's words, and have no sign. "
        "In the last rows, prompt by prompt, less (for perplexity: divided by) the difference of two real texts. "
        + _scorers(run)
        + _unscored(run, experiment, variant),
        "head": [SCORES[name] for name in columns],
        "rows": [
            {"name": _name(run, variant, *one), "cells": [_cell(cells, name, *one) for name in columns]}
            for one in order
        ]
        + [
            {
                "name": f"{_name(run, variant, 'hypothesis', strength)}, less real texts",
                "cells": [_cell(cells, name + OVER, "hypothesis", strength) for name in columns],
            }
            for strength in over
        ],
    }


def _name(run: Run, variant: str, condition: str, strength: float) -> str:
    words = CONDITIONS.get(condition, condition.replace("_", " "))
    scored = dict(run.manifest.get("dominant") or {}).get("scored")
    language = {"hypothesis": scored, "native": variant.rsplit("/", 1)[-1]}.get(condition)
    if language:
        words = f"{language_name(str(language))} words"
    return words if condition == "none" else f"{words}, {strength:+g}".replace("-", "−")


def _cell(cells: Mapping[tuple[str, str, float], Any], measure: str, condition: str, strength: float) -> str:
    row = cells.get((measure, condition, strength))
    if row is None or finite(row.estimate) is None:
        return "–"
    spread = cells.get((measure + SEED_SD, condition, strength))
    sd = "" if spread is None or finite(spread.estimate) is None else f" ± {number(spread.estimate)}"
    known = finite(row.ci_low) is not None and finite(row.ci_high) is not None
    return f"{number(row.estimate)}{sd}" + (
        f" [{number(row.ci_low)}, {number(row.ci_high)}]" if known else ""
    )


def _scorers(run: Run) -> str:
    found: Sequence[Mapping[str, Any]] = run.manifest.get("scorers") or ()
    named = "; ".join(f"{one.get('measure')}: {one.get('scorer')}" for one in found)
    return f"Scored by: {named}." if named else ""


def _unscored(run: Run, experiment: str, variant: str) -> str:
    for case in run.manifest.get("cases", ()):
        if case.get("experiment") == experiment and case.get("variant") == variant and case.get("unscored"):
            listed = "; ".join(f"{reason} {count(n)}" for reason, n in dict(case["unscored"]).items())
            return f" Texts without a score: {listed}."
    return ""
