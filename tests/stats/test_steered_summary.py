"""Steered rows as results: each number against a plain computation, and what of the confirmation is shown."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from tests.stats.synthetic import reading, shared
from tests.stats.synthetic_steering import BEST, EXPERIMENT, GRID, STRENGTHS, VARIANT, steered

from semhub.results import RESULT_SCHEMA, write_table
from semhub.stats.steered import weighted_medians
from semhub.stats.summary import summarise

SPOKES = {
    EXPERIMENT: ("arithmetic", "P3"),
    "language.similarity": ("language", "P1"),
    "language.lens": ("language", "P2"),
}
CELL = dict(layer=4, strength=BEST)


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    return steered()


@pytest.fixture(scope="module")
def results(rows: pd.DataFrame) -> pd.DataFrame:
    return summarise(rows, SPOKES, seed=0, n_draws=100)


def pick(frame: pd.DataFrame, **wanted: object) -> pd.DataFrame:
    for column, value in wanted.items():
        frame = frame[frame[column] == value]
    return frame


def by_case(rows: pd.DataFrame, condition: str) -> pd.Series:
    found = pick(rows, variant=VARIANT, measure="delta_logit", condition=condition, **CELL)
    return found.set_index("case_id")["value"]


def test_every_layer_strength_and_condition_has_one_row(results: pd.DataFrame, tmp_path_factory) -> None:
    write_table(results, RESULT_SCHEMA, tmp_path_factory.mktemp("out") / "results.parquet")
    keys = ["variant", "measure", "condition", "layer", "strength"]
    assert not results.duplicated(keys).any()
    assert results["strength"].notna().all()
    grid = pick(results, measure="delta_logit")
    assert len(grid) == 7 * len(STRENGTHS) * len(GRID)
    assert (grid["n"] == 120).all()
    assert (grid["n_clusters"] == 60).all()
    assert (grid["ci_low"] < grid["estimate"]).all()
    assert (grid["ci_high"] > grid["estimate"]).all()


def test_means_differences_and_wrong_ways_are_those_of_the_cases(
    rows: pd.DataFrame, results: pd.DataFrame
) -> None:
    mine = by_case(rows, "hypothesis")
    assert pick(results, measure="delta_logit", condition="hypothesis", **CELL)[
        "estimate"
    ].item() == pytest.approx(mine.mean())
    for control in GRID[1:]:
        got = pick(results, measure="delta_logit_over", condition=control, **CELL)
        assert got["estimate"].item() == pytest.approx((mine - by_case(rows, control)).mean())
        assert control in got["method"].item()
    wrong = pick(results, measure="moved_wrong_way", **CELL)
    assert wrong["condition"].tolist() == ["hypothesis"]
    assert wrong["estimate"].item() == pytest.approx((mine < 0).mean())


def test_of_the_confirmation_only_the_text_is_shown(rows: pd.DataFrame, results: pd.DataFrame) -> None:
    shown = pick(results, variant=f"{VARIANT}/confirm")
    assert set(shown["measure"]) == {"perplexity"}
    got = pick(shown, condition="hypothesis")
    values = pick(rows, variant=f"{VARIANT}/confirm", measure="perplexity", condition="hypothesis")["value"]
    assert got["estimate"].item() == pytest.approx(values.median())
    assert got["ci_low"].item() < got["estimate"].item() < got["ci_high"].item()
    assert got["method"].item().startswith("median")
    assert pick(shown, condition="none")["strength"].tolist() == [0.0]


def test_rows_that_are_not_steered_are_as_without_steering(rows: pd.DataFrame) -> None:
    plain = pd.concat([shared(), reading()])
    alone = summarise(plain, SPOKES, seed=0, n_draws=50)
    both = summarise(pd.concat([plain, rows]), SPOKES, seed=0, n_draws=50)
    rest = both[both["prediction"] != "P3"].reset_index(drop=True)
    pd.testing.assert_frame_equal(rest, alone)
    assert rest["strength"].isna().all()


def test_a_cell_without_a_number_costs_no_other_its_interval(rows: pd.DataFrame) -> None:
    broken = rows.copy()
    here = (
        (rows["variant"] == VARIANT)
        & (rows["measure"] == "delta_logit")
        & (rows["condition"] == "hypothesis")
    )
    cell = here & (rows["layer"] == 4) & (rows["strength"] == BEST)
    broken.loc[np.flatnonzero(cell)[:1], "value"] = np.nan
    got = pick(summarise(broken, SPOKES, 0, 50), measure="delta_logit", condition="hypothesis")
    one = (got["layer"] == 4) & (got["strength"] == BEST)
    assert got.loc[one, ["estimate", "ci_low", "ci_high"]].isna().all(axis=None)
    assert got.loc[~one, ["estimate", "ci_low", "ci_high"]].notna().all(axis=None)


def test_cases_that_a_control_lacks_are_left_out_of_its_difference_alone(rows: pd.DataFrame) -> None:
    some = ~((rows["condition"] == "wrong_concept") & (rows["case_id"].str[-1] == "0"))
    got = pick(summarise(rows[some], SPOKES, 0, 50), measure="delta_logit_over", **CELL)
    assert pick(got, condition="wrong_concept")["n"].item() == 108
    assert pick(got, condition="shuffled")["n"].item() == 120
    pair = by_case(rows[some], "hypothesis") - by_case(rows[some], "wrong_concept")
    assert pick(got, condition="wrong_concept")["estimate"].item() == pytest.approx(pair.dropna().mean())


def test_a_weighted_median_is_the_median_of_the_repeated_values() -> None:
    rng = np.random.default_rng(0)
    values, weights = rng.normal(size=9), rng.integers(0, 4, size=(50, 9)).astype(float)
    weights[:, 0] += 1
    expected = [np.median(np.repeat(values, one.astype(int))) for one in weights]
    np.testing.assert_allclose(weighted_medians(values, weights), expected)
