"""The tidy table of a sweep: cell x step x spoke x prediction x case set x layer."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from semhub.errors import RunFolderError
from semhub.lab.sweep.grid import Cell
from semhub.results import write_table

SCHEMA = pa.schema(
    [
        ("cell", pa.string()),
        ("recipe", pa.string()),
        ("dominant_share", pa.float64()),
        ("parallel", pa.float64()),
        ("d_model", pa.int64()),
        ("n_layers", pa.int64()),
        ("steps", pa.int64()),
        ("planted_weight", pa.float64()),
        ("seed", pa.int64()),
        ("step", pa.int64()),
        ("loss", pa.float64()),
        ("planted_loss", pa.float64()),
        ("dominant", pa.string()),
        ("spoke", pa.string()),
        ("prediction", pa.string()),
        ("variant", pa.string()),
        ("layer", pa.int64()),
        ("estimate", pa.float64()),
        ("null_mean", pa.float64()),
        ("effect", pa.float64()),
        ("verdict", pa.string()),
        ("reason", pa.string()),
        ("band_low", pa.int64()),
        ("band_high", pa.int64()),
        ("band_effect", pa.float64()),
        ("ci_low", pa.float64()),
        ("ci_high", pa.float64()),
    ]
)


def tidy(cells: Sequence[Cell], folder: Path) -> pd.DataFrame:
    """The finished ones among `cells`, from `folder/<id>.json`.

    estimate: the mean over all cases at a layer (P1: centred paper score; P2: dominant minus surface concept, nat);
    effect: estimate minus the mean under permuted pairs, where there is one. verdict to ci_high: of the checkpoint,
    the same in all its rows; the band's numbers come from the half of the data that did not choose it. A case set
    that could not be measured has one row without a layer. Raises RunFolderError for a file that cannot be read.
    """
    rows = [
        row
        for cell in cells
        if (file := folder / f"{cell.id}.json").exists()
        for row in _rows(cell, _read(file))
    ]
    return pd.DataFrame(rows, columns=SCHEMA.names).convert_dtypes(dtype_backend="numpy_nullable")


def write(table: pd.DataFrame, folder: Path) -> None:
    """Writes table.parquet and table.csv."""
    write_table(table, SCHEMA, folder / "table.parquet")
    try:
        table.to_csv(folder / "table.csv", index=False, lineterminator="\n")
    except OSError as error:
        raise RunFolderError(f"cannot write {folder / 'table.csv'}: {error.strerror or error}.") from error


def verdicts(table: pd.DataFrame) -> pd.DataFrame:
    """One row per cell, step, spoke and prediction: the rows of the table without what differs between layers."""
    one = table.drop_duplicates(["cell", "step", "spoke", "prediction"])
    return one.drop(columns=["variant", "layer", "estimate", "null_mean", "effect"])


def _read(file: Path) -> Mapping[str, Any]:
    try:
        return dict(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise RunFolderError(
            f"{file} cannot be read: {error}. Delete it and run the command again."
        ) from error


def _rows(cell: Cell, result: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    place = {"cell": cell.id, "recipe": cell.recipe.name, **cell.values}
    for checkpoint in result["checkpoints"]:
        known = {
            "step": checkpoint["step"],
            "loss": checkpoint.get("loss"),
            "planted_loss": checkpoint.get("planted_loss"),
            "dominant": checkpoint["dominant"],
        }
        for verdict in checkpoint["verdicts"]:
            band = verdict["layers"] or [None]
            found = {
                "spoke": verdict["spoke"],
                "prediction": verdict["prediction"],
                "verdict": verdict["verdict"],
                "reason": verdict["reason"],
                "band_low": band[0],
                "band_high": band[-1],
                "band_effect": verdict["effect"],
                "ci_low": verdict["ci_low"],
                "ci_high": verdict["ci_high"],
            }
            for layer in _layers(checkpoint["curves"], verdict["spoke"], verdict["prediction"]):
                yield {**place, **known, **found, **layer}


def _layers(curves: Sequence[Mapping[str, Any]], spoke: str, prediction: str) -> Iterator[dict[str, Any]]:
    mine = [one for one in curves if (one["spoke"], one["prediction"]) == (spoke, prediction)]
    for curve in mine:
        pairs = zip(curve["estimate"], curve["null_mean"], strict=True)
        for layer, (estimate, null) in enumerate(pairs):
            effect = None if estimate is None else estimate - (null or 0.0)
            numbers = {"layer": layer, "estimate": estimate, "null_mean": null, "effect": effect}
            yield {"variant": curve["variant"], **numbers}
    if not mine:
        yield {"variant": "", "layer": None, "estimate": None, "null_mean": None, "effect": None}
