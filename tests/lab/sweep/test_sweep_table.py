"""The tidy table of hand-made results, number by number, and what is derived from it."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from lab.sweep import fake_sweep as fake
from semhub.errors import RunFolderError
from semhub.lab.sweep.onset import across_axis, onsets
from semhub.lab.sweep.table import SCHEMA, tidy, verdicts, write


@pytest.fixture
def table(tmp_path: Path) -> pd.DataFrame:
    """Widths 48 and 96, seeds 0 to 2; P1 is supported at width 96, from step 20 for seed 0, else from step 10."""
    grid = fake.grid(d_model=[48, 96], seed=[0, 1, 2])
    reached = {0: 20, 1: 10, 2: 10}
    fake.write(
        tmp_path,
        grid,
        lambda cell, step: (
            "supported" if cell.values["d_model"] == 96 and step >= reached[cell.seed] else "not_supported"
        ),
    )
    return tidy(grid, tmp_path)


def test_one_row_per_layer_of_each_case_set(table: pd.DataFrame) -> None:
    assert list(table.columns) == SCHEMA.names
    keys = ["cell", "step", "spoke", "prediction", "variant", "layer"]
    assert not table.duplicated(keys).any()
    assert len(table) == 6 * 2 * 3 * 6
    assert set(table["step"]) == {10, 20}


def test_numbers_of_one_layer(table: pd.DataFrame) -> None:
    place = (table["d_model"] == 96) & (table["seed"] == 0) & (table["step"] == 20) & (table["layer"] == 3)
    zh, es, concept = (row for _, row in table[place].iterrows())
    assert (zh["variant"], es["variant"], concept["prediction"]) == ("zh", "es", "P2")
    assert zh["estimate"] == pytest.approx(1.92 * 0.75 + 0.01)
    assert zh["null_mean"] == 0.01
    assert zh["effect"] == pytest.approx(1.92 * 0.75)
    assert es["effect"] == pytest.approx(2 * 1.92 * 0.75)
    assert pd.isna(concept["null_mean"])
    assert concept["effect"] == concept["estimate"] == pytest.approx(-1.92 * 0.75)
    assert (zh["verdict"], zh["band_low"], zh["band_high"]) == ("supported", 2, 3)
    assert (zh["band_effect"], zh["ci_low"]) == pytest.approx((1.92, 1.82))
    assert (zh["loss"], zh["dominant"], zh["steps"], zh["recipe"]) == (2.0, "none", 20, "mini")
    assert pd.isna(zh["planted_loss"])


def test_a_missing_number_stays_missing(table: pd.DataFrame) -> None:
    last = table[(table["prediction"] == "P2") & (table["layer"] == 5)]
    assert len(last) == 12
    assert last["effect"].isna().all()


def test_a_case_set_that_could_not_be_measured_keeps_its_verdict(tmp_path: Path) -> None:
    grid = fake.grid()
    fake.write(tmp_path, grid, lambda cell, step: "untestable")
    file = tmp_path / f"{grid[0].id}.json"
    whole = file.read_text().replace('"prediction": "P1", "variant"', '"prediction": "PX", "variant"')
    file.write_text(whole)
    p1 = tidy(grid, tmp_path).query("prediction == 'P1'")
    assert p1["layer"].isna().all()
    assert list(p1["verdict"]) == ["untestable", "untestable"]
    assert p1["band_effect"].isna().all()


def test_unfinished_cells_are_left_out(tmp_path: Path) -> None:
    grid = fake.grid(seed=[0, 1])
    fake.write(tmp_path, grid[:1], lambda cell, step: "supported")
    assert set(tidy(grid, tmp_path)["cell"]) == {grid[0].id}
    assert len(tidy(grid[1:], tmp_path)) == 0


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    grid = fake.grid()
    (tmp_path / f"{grid[0].id}.json").write_text("{")
    with pytest.raises(RunFolderError, match=f"{grid[0].id}.json cannot be read"):
        tidy(grid, tmp_path)


def test_written_and_read_again(table: pd.DataFrame, tmp_path: Path) -> None:
    write(table, tmp_path)
    assert pq.read_schema(tmp_path / "table.parquet").equals(SCHEMA)
    whole = pd.read_parquet(tmp_path / "table.parquet")
    text = pd.read_csv(tmp_path / "table.csv")
    for found in (whole, text):
        assert len(found) == len(table)
        assert found["effect"].sum() == pytest.approx(float(table["effect"].sum()))
    empty = tidy([], tmp_path)
    write(empty, tmp_path)
    assert pq.read_schema(tmp_path / "table.parquet").equals(SCHEMA)


def test_verdicts_are_one_row_each(table: pd.DataFrame) -> None:
    found = verdicts(table)
    assert len(found) == 6 * 2 * 2
    assert (found["verdict"] == "supported").sum() == 5


def test_onset_counts_seeds_and_takes_the_median_first_step(table: pd.DataFrame) -> None:
    assert across_axis(table) == "d_model"
    found = onsets(table).set_index(["prediction", "across"])
    assert list(found.loc[("P1", 96.0), ["n_supported", "n_seeds", "first_supported", "text"]]) == [
        3,
        3,
        10.0,
        "3/3 from 10",
    ]
    assert found.loc[("P1", 48.0), "text"] == "0/3"
    assert pd.isna(found.loc[("P1", 48.0), "first_supported"])
    assert set(found["row"]) == {""}


def test_onset_that_does_not_last(tmp_path: Path) -> None:
    grid = fake.grid(seed=[5, 6])
    fake.write(tmp_path, grid, lambda cell, step: "supported" if step == 10 else "not_supported")
    found = onsets(tidy(grid, tmp_path)).query("prediction == 'P1'")
    assert list(found["across"]) == [5, 6]
    assert list(found["text"]) == ["0/1 from 10", "0/1 from 10"]
