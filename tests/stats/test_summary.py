"""From rows to results: what is estimated, which null and interval belong to it, and what stays out."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from tests.stats.synthetic import reading, shared

from semhub.results import RESULT_SCHEMA, draw_rows, long_rows, rows_frame, write_table
from semhub.stats.bootstrap import percentile_levels
from semhub.stats.permutation import p_values
from semhub.stats.summary import summarise
from semhub.stats.tables import by_variant

SPOKES = {"language.similarity": ("language", "P1"), "language.lens": ("language", "P2")}
VARIANT = "zh/zero_overlap/continued"


def part(frame: pd.DataFrame, measure: str, condition: str) -> pd.DataFrame:
    found = frame[(frame["measure"] == measure) & (frame["condition"] == condition)]
    assert found["layer"].tolist() == list(range(len(found)))
    return found


@pytest.fixture(scope="module")
def results() -> pd.DataFrame:
    return summarise(pd.concat([shared(), reading()]), SPOKES, seed=0, n_draws=200)


def test_the_table_has_its_schema_and_no_row_of_the_halves(results: pd.DataFrame, tmp_path_factory) -> None:
    assert results.columns.tolist() == RESULT_SCHEMA.names
    assert set(results["variant"]) == {VARIANT, "zh"}
    assert set(results["prediction"]) == {"P1", "P2"}
    write_table(results, RESULT_SCHEMA, tmp_path_factory.mktemp("out") / "results.parquet")
    assert not results.duplicated(["experiment", "variant", "layer", "condition", "measure"]).any()


def test_the_paper_score_carries_its_recomputed_interval_and_its_null(results: pd.DataFrame) -> None:
    tables = by_variant(shared())
    table = tables["language.similarity", VARIANT]
    got = part(results, "paper_score_centred", "matched")
    cases, null = table.cases("paper_score_centred", "matched"), table.draws("paper_score_centred", "null")
    mean = cases.values.mean(axis=1)
    np.testing.assert_allclose(got["estimate"], mean)
    low, high = np.quantile(table.draws("paper_score_centred", "bootstrap"), percentile_levels(60), axis=0)
    np.testing.assert_allclose(got["ci_low"], low)
    np.testing.assert_allclose(got["ci_high"], high)
    np.testing.assert_allclose(got["null_mean"], null.mean(axis=0))
    np.testing.assert_allclose(got["p"], p_values(mean, null)[0])
    assert got["p_adjusted"].isna().tolist() == [True, *[False] * 7, True], (
        "only intermediate layers are searched"
    )
    np.testing.assert_allclose(got["p_adjusted"].iloc[1:-1], p_values(mean[1:-1], null[:, 1:-1])[1])
    assert (got["n"] == 120).all()
    assert (got["n_clusters"] == 60).all()
    assert "recomputed" in got["method"].iloc[0]


def test_the_null_is_shown_as_its_range_and_twins_as_theirs(results: pd.DataFrame) -> None:
    draws = by_variant(shared())["language.similarity", VARIANT].draws("paper_score_centred", "null")
    null = part(results, "paper_score_centred", "null")
    np.testing.assert_allclose(null["estimate"], draws.mean(axis=0))
    np.testing.assert_allclose(null["ci_low"], np.quantile(draws, 0.025, axis=0))
    np.testing.assert_allclose(null["ci_high"], np.quantile(draws, 0.975, axis=0))
    twin = part(results, "paper_score_centred", "twin")
    assert twin["ci_high"].iloc[4] == pytest.approx(0.1)
    assert twin["ci_low"].iloc[4] == pytest.approx(0.1 - 0.018)
    assert (twin["n"] == 19).all()
    assert not (results["condition"] == "bootstrap").any()


def test_differences_are_tested_against_zero_one_sided(results: pd.DataFrame) -> None:
    for measure in ("concept_diff", "logprob_diff"):
        got = part(results, measure, "matched")
        assert got["p"].iloc[4] == pytest.approx(1 / 201)
        assert (got["null_mean"].abs() < 0.2).all()
        assert "sign flips" in got["method"].iloc[0]
    assert part(results, "logprob_diff", "matched")["p"].iloc[-1] == 1, "a reversed order is no evidence"
    assert part(results, "concept", "surface")["p"].isna().all()
    assert part(results, "concept", "dominant")["p"].notna().all()


def test_the_same_rows_and_seed_give_the_same_table_in_any_order() -> None:
    rows = pd.concat([shared(), reading()])
    one = summarise(rows, SPOKES, seed=0, n_draws=100)
    other = summarise(pd.concat([reading(), shared()]), SPOKES, seed=0, n_draws=100)
    keys = ["variant", "measure", "condition", "layer"]
    pd.testing.assert_frame_equal(
        one.sort_values(keys).reset_index(drop=True), other.sort_values(keys).reset_index(drop=True)
    )
    assert summarise(rows, SPOKES, seed=1, n_draws=100)["ci_low"].ne(one["ci_low"]).any()


def test_set_level_measures_take_their_spread_from_subsamples() -> None:
    names = dict(experiment="language.similarity", variant=VARIANT, measure="cka")
    rng = np.random.default_rng(0)
    null, halves = rng.normal(size=(20, 4)) * 0.01, 0.5 + 0.1 * rng.normal(size=(20, 4))
    rows = [
        rows_frame(**names, condition="matched", layer=np.arange(4), value=[np.nan, 0.5, 0.6, 0.1]),
        draw_rows(null, **names, condition="null"),
        draw_rows(halves, **names, condition="subsample"),
        long_rows(
            np.ones((4, 3)),
            ["a", "b", "c"],
            ["x", "x", "y"],
            **{**names, "measure": "cosine"},
            condition="matched",
        ),
    ]
    got = part(summarise(pd.concat(rows), SPOKES, seed=0), "cka", "matched")
    assert np.isnan(got["p"].iloc[0]), "what has no value has no p"
    assert got["p"].iloc[1] == pytest.approx(1 / 21)
    half = 1.96 * halves.std(axis=0, ddof=1)
    np.testing.assert_allclose(got["ci_high"].iloc[1:] - got["estimate"].iloc[1:], half[1:])
    assert (got["n"].iloc[0], got["n_clusters"].iloc[0]) == (3, 2)


def test_texts_weigh_by_their_positions() -> None:
    names = dict(experiment="language.lens", variant="zh", measure="language_mass", condition="en")
    rows = long_rows(np.array([[0.1, 0.5], [0.2, 0.2]]), ["a", "b"], ["a", "b"], **names)
    rows["position"] = np.tile([0, 3], 2)
    got = part(summarise(rows, SPOKES, seed=0), "language_mass", "en")
    np.testing.assert_allclose(got["estimate"], [(0.1 + 4 * 0.5) / 5, 0.2])


def test_no_rows_give_an_empty_table() -> None:
    empty = rows_frame(experiment=[], variant=[], layer=[], condition=[], measure=[], value=[])
    got = summarise(empty, SPOKES, seed=0)
    assert got.columns.tolist() == RESULT_SCHEMA.names
    assert len(got) == 0
