"""The tables: defaults, order, validation, and Parquet that is written whole or not at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from semhub.errors import DataError, RunFolderError
from semhub.results import ROW_SCHEMA, draw_rows, long_rows, read_rows, rows_frame, write_table

NAMES = dict(experiment="e", variant="v", measure="cosine", condition="matched")


def test_absent_columns_take_their_defaults() -> None:
    frame = rows_frame(**NAMES, layer=[0, 1], value=[0.5, 0.25])
    assert frame.columns.tolist() == ROW_SCHEMA.names
    assert frame["position"].tolist() == frame["seed"].tolist() == [-1, -1]
    assert frame["case_id"].tolist() == frame["cluster_id"].tolist() == ["*", "*"]
    assert frame["strength"].isna().all()


def test_an_unknown_or_missing_column_is_refused() -> None:
    with pytest.raises(ValueError, match=r"unknown.*colour"):
        rows_frame(**NAMES, layer=[0], value=[1.0], colour="red")
    with pytest.raises(ValueError, match=r"missing.*'value'"):
        rows_frame(**NAMES, layer=[0])


def test_long_rows_go_layer_by_layer() -> None:
    values = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    frame = long_rows(values, ["a", "b", "c"], ["x", "x", "y"], **NAMES)
    for layer in range(2):
        for i, (case, cluster) in enumerate(zip("abc", "xxy", strict=True)):
            row = frame[(frame["layer"] == layer) & (frame["case_id"] == case)]
            assert row["value"].tolist() == [values[layer, i]]
            assert row["cluster_id"].tolist() == [cluster]


def test_draws_carry_their_index_as_seed() -> None:
    values = np.arange(6.0).reshape(3, 2)
    frame = draw_rows(values, **NAMES)
    for draw in range(3):
        for layer in range(2):
            row = frame[(frame["seed"] == draw) & (frame["layer"] == layer)]
            assert row["value"].tolist() == [values[draw, layer]]


def test_parquet_gives_back_what_was_written_and_the_same_bytes(tmp_path: Path) -> None:
    frame = long_rows(np.array([[0.1, np.nan]]), ["河水", "b"], ["河水", "b"], **NAMES)
    write_table(frame, ROW_SCHEMA, tmp_path / "one.parquet")
    write_table(frame, ROW_SCHEMA, tmp_path / "two.parquet")
    assert (tmp_path / "one.parquet").read_bytes() == (tmp_path / "two.parquet").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.parquet", "two.parquet"]
    back = read_rows([tmp_path / "one.parquet"])
    pd.testing.assert_frame_equal(back, frame, check_dtype=False)
    assert back["layer"].dtype == np.int32
    assert pq.read_schema(tmp_path / "one.parquet") == ROW_SCHEMA


def test_shards_are_read_in_the_order_of_their_names(tmp_path: Path) -> None:
    for name, value in (("b", 2.0), ("a", 1.0)):
        write_table(rows_frame(**NAMES, layer=[0], value=[value]), ROW_SCHEMA, tmp_path / f"{name}.parquet")
    assert read_rows([tmp_path / "b.parquet", tmp_path / "a.parquet"])["value"].tolist() == [1.0, 2.0]
    assert read_rows([]).columns.tolist() == ROW_SCHEMA.names


def test_a_folder_name_adds_no_column(tmp_path: Path) -> None:
    folder = tmp_path / "layer=7"
    folder.mkdir()
    write_table(rows_frame(**NAMES, layer=[3], value=[1.0]), ROW_SCHEMA, folder / "a.parquet")
    assert read_rows([folder / "a.parquet"])["layer"].tolist() == [3]


def test_a_broken_or_foreign_shard_is_named(tmp_path: Path) -> None:
    broken, foreign, typed = (tmp_path / f"{name}.parquet" for name in ("broken", "foreign", "typed"))
    broken.write_bytes(b"PAR1 this is no table")
    pq.write_table(pa.table({"layer": [1]}), foreign)
    wrong = rows_frame(**NAMES, layer=["first"], value=[1.0])
    pq.write_table(pa.Table.from_pandas(wrong, preserve_index=False), typed)
    for path, words in ((broken, "not a readable shard"), (foreign, "columns"), (typed, "typed.parquet")):
        with pytest.raises(DataError, match=words) as caught:
            read_rows([path])
        assert str(path) in str(caught.value)


def test_a_folder_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    frame = rows_frame(**NAMES, layer=[0], value=[1.0])
    with pytest.raises(RunFolderError, match="cannot write"):
        write_table(frame, ROW_SCHEMA, tmp_path / "missing" / "a.parquet")
    (tmp_path / "a.parquet").mkdir()
    with pytest.raises(RunFolderError, match="cannot write"):
        write_table(frame, ROW_SCHEMA, tmp_path / "a.parquet")
    assert [path.name for path in tmp_path.iterdir()] == ["a.parquet"]
