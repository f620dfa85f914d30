"""The table of steered texts in the page."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from semhub.figures.tables import Run
from semhub.report.html import environment
from semhub.report.textscores import score_tables
from semhub.results import RESULT_SCHEMA

CASE = {
    "experiment": "language.steer", "variant": "good-bad/es", "given": 30, "kept": 20, "dropped": {},
    "unscored": {"adherence: no letters": 4},
}  # fmt: skip


def run() -> Run:
    doses = [("random", 2.0), ("native", -2.0), ("hypothesis", 2.0), ("hypothesis", -2.0), ("none", 0.0)]
    rows = []
    for measure in ("sentiment", "adherence", "sentiment_seed_sd", "sentiment_over", "perplexity"):
        for condition, strength in doses:
            if measure.endswith("_over") and condition != "hypothesis":
                continue
            value = np.nan if (measure, condition) == ("perplexity", "none") else 0.25
            sd = measure.endswith("_sd")
            rows.append(
                dict(measure=measure, condition=condition, strength=strength, estimate=0.1 if sd else value,
                     ci_low=np.nan if sd else 0.2, ci_high=np.nan if sd else 0.3)
            )  # fmt: skip
    fixed = dict(
        experiment="language.steer", variant="good-bad/es", spoke="language", prediction="P3", layer=3, n=20,
        n_clusters=10, null_mean=np.nan, p=np.nan, p_adjusted=np.nan, method="m",
    )  # fmt: skip
    results = pd.DataFrame(rows).assign(**fixed)[RESULT_SCHEMA.names]
    words = results.iloc[:1].assign(variant="words/es", measure="delta_logit")
    manifest = {
        "model": {"n_layers": 6}, "dominant": {"scored": "en"}, "cases": [CASE],
        "scorers": [{"measure": "sentiment", "scorer": "word list, <b>no model</b>"}],
    }  # fmt: skip
    return Run(Path(), manifest, (), pd.concat([results, words]), (), pd.DataFrame())


def test_rows_and_columns() -> None:
    (table,) = score_tables(run(), "language.steer")
    assert table["head"] == ["sentiment, −1 to 1", "perplexity", "in the prompt's language, 0 to 1"]
    assert [row["name"] for row in table["rows"]] == [
        "none",
        "English words, +2",
        "Spanish words, −2",
        "English words, −2",
        "random vector, +2",
        "English words, +2, less real texts",
        "English words, −2, less real texts",
    ]
    assert table["rows"][0]["cells"] == ["0.25 ± 0.10 [0.20, 0.30]", "–", "0.25 [0.20, 0.30]"]
    assert table["rows"][-1]["cells"] == ["0.25 [0.20, 0.30]", "–", "–"]
    for words in ("20 prompts in 10 clusters, layer 3", "word list", "no letters 4"):
        assert words in table["caption"]


def test_a_set_without_a_score_says_why() -> None:
    made = run()
    silent = {**CASE, "variant": "good-bad/zh", "unscored": {"sentiment: nothing was said": 60}}
    made = replace(made, manifest={**made.manifest, "cases": [CASE, silent]})
    tables = score_tables(made, "language.steer")
    assert [table["title"].rsplit(" ", 1)[-1] for table in tables] == ["good-bad/es", "good-bad/zh"]
    assert "nothing was said 60" in tables[1]["caption"]


def test_nothing_to_show_is_no_table_and_text_is_escaped() -> None:
    made = run()
    assert score_tables(made, "arithmetic.steer") == []
    bare = replace(made, manifest={"model": {"n_layers": 6}})
    assert score_tables(bare, "language.steer")[0]["rows"]
    (table,) = score_tables(made, "language.steer")
    text = (
        environment().from_string('{% import "macros.html" as m %}{{ m.scores(table) }}').render(table=table)
    )
    assert "&lt;b&gt;no model" in text
    assert "<b>no model" not in text
    assert "±" in text
