"""The two tables of a run: their schema, their validation, and Parquet in and out."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from semhub.errors import DataError, RunFolderError

SCHEMA_VERSION = 1

ROW_SCHEMA = pa.schema(
    [
        ("experiment", pa.string()),
        ("variant", pa.string()),
        ("case_id", pa.string()),
        ("cluster_id", pa.string()),
        ("layer", pa.int32()),
        ("position", pa.int32()),
        ("condition", pa.string()),
        ("strength", pa.float64()),
        ("seed", pa.int64()),
        ("measure", pa.string()),
        ("value", pa.float64()),
    ]
)

RESULT_SCHEMA = pa.schema(
    [
        ("experiment", pa.string()),
        ("variant", pa.string()),
        ("spoke", pa.string()),
        ("prediction", pa.string()),
        ("layer", pa.int32()),
        ("condition", pa.string()),
        ("strength", pa.float64()),
        ("measure", pa.string()),
        ("estimate", pa.float64()),
        ("ci_low", pa.float64()),
        ("ci_high", pa.float64()),
        ("n", pa.int64()),
        ("n_clusters", pa.int64()),
        ("null_mean", pa.float64()),
        ("p", pa.float64()),
        ("p_adjusted", pa.float64()),
        ("method", pa.string()),
    ]
)

DEFAULTS = {"position": -1, "strength": np.nan, "seed": -1, "cluster_id": "*", "case_id": "*"}
SET_LEVEL = "*"
UNCOUNTED, OTHER = "uncounted", "other"  # conditions of language_mass beside the languages


def rows_frame(**columns: object) -> pd.DataFrame:
    """Rows of the shard table from columns (arrays or scalars); absent optional columns take their default.

    `position` -1: the last position, or the mean over an area; `strength` NaN: not a steered row; `seed` -1: no draw.
    """
    frame = pd.DataFrame({**DEFAULTS, **columns})
    missing = set(ROW_SCHEMA.names) - set(frame.columns)
    extra = set(frame.columns) - set(ROW_SCHEMA.names)
    if missing or extra:
        raise ValueError(f"rows need the columns {ROW_SCHEMA.names}; missing {missing}, unknown {extra}")
    return pd.DataFrame(frame[ROW_SCHEMA.names])


def long_rows(
    values: np.ndarray, case_ids: list[str], cluster_ids: list[str], **fixed: object
) -> pd.DataFrame:
    """values [layer, case] -> one row per layer and case; `fixed` are the columns common to all rows."""
    n_layers, n_cases = values.shape
    return rows_frame(
        layer=np.repeat(np.arange(n_layers), n_cases),
        case_id=np.tile(np.asarray(case_ids, dtype=object), n_layers),
        cluster_id=np.tile(np.asarray(cluster_ids, dtype=object), n_layers),
        value=values.reshape(-1),
        **fixed,
    )


def draw_rows(values: np.ndarray, **fixed: object) -> pd.DataFrame:
    """Set-level draws, values [draw, layer] -> rows with the draw's index as `seed`."""
    n_draws, n_layers = values.shape
    return rows_frame(
        layer=np.tile(np.arange(n_layers), n_draws),
        seed=np.repeat(np.arange(n_draws), n_layers),
        value=values.reshape(-1),
        **fixed,
    )


def no_rows() -> pd.DataFrame:
    """No rows, with the columns of the table."""
    return draw_rows(np.empty((0, 1)), experiment="", variant="", measure="", condition="")


def write_table(frame: pd.DataFrame, schema: pa.Schema, path: Path) -> None:
    """Writes to a temporary name that never ends in .parquet, syncs and renames."""
    table = pa.Table.from_pandas(frame, schema=schema, preserve_index=False).replace_schema_metadata(None)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        pq.write_table(table, temporary, compression="zstd", store_schema=False)
        with temporary.open("rb") as handle:
            os.fsync(handle.fileno())
        temporary.replace(path)
    except OSError as error:
        raise RunFolderError(
            f"cannot write {path}: {error.strerror or error}. Free space or choose --out."
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def read_rows(paths: Iterable[Path]) -> pd.DataFrame:
    """The rows of several shards as one frame, each shard checked against the schema."""
    tables = []
    for path in sorted(paths):
        try:
            table = pq.read_table(path)
            if table.schema.names == ROW_SCHEMA.names:
                table = table.cast(ROW_SCHEMA)
        except (OSError, pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise DataError(
                f"{path} is not a readable shard: {error}. Delete it and run the command again."
            ) from error
        if table.schema.names != ROW_SCHEMA.names:
            raise DataError(
                f"{path} has the columns {table.schema.names}, not those of schema {SCHEMA_VERSION}."
            )
        tables.append(table)
    if not tables:
        return pd.DataFrame({name: [] for name in ROW_SCHEMA.names})
    return pd.DataFrame(pa.concat_tables(tables).to_pandas())
