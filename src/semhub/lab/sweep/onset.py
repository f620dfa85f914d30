"""When a verdict is first reached, for each place of the grid, its seeds taken together."""

from __future__ import annotations

import pandas as pd

from semhub.lab.sweep.grid import label, varying
from semhub.lab.sweep.table import verdicts

SUPPORTED = "supported"
COLUMNS = ["spoke", "prediction", "across", "row", "n_seeds", "n_supported", "first_supported", "text"]


def places(table: pd.DataFrame) -> dict[str, dict[str, float]]:
    """cell -> its value on every axis."""
    one = table.drop_duplicates("cell").set_index("cell")
    axes = ["dominant_share", "parallel", "d_model", "n_layers", "steps", "planted_weight", "seed"]
    return {str(cell): {axis: float(row[axis]) for axis in axes} for cell, row in one.iterrows()}


def across_axis(table: pd.DataFrame) -> str:
    """The axis to draw from left to right: the one with most values, seeds only where nothing else varies."""
    found = places(table)
    axes = [axis for axis in varying(found) if axis != "seed"] or ["seed"]
    return max(axes, key=lambda axis: len({place[axis] for place in found.values()}))


def onsets(table: pd.DataFrame) -> pd.DataFrame:
    """One row per spoke, prediction and place without the seed.

    across: the place on `across_axis`; row: the rest of the place in words. n_supported: seeds whose last checkpoint
    is supported, of n_seeds; first_supported: over the seeds supported at any checkpoint, the median of their first
    such step, missing where there is none. text: `2/3 from 200`.
    """
    found, across = places(table), across_axis(table)
    rest = [axis for axis in varying(found) if axis not in ("seed", across)]
    rows = []
    for (cell, spoke, prediction), part in verdicts(table).groupby(
        ["cell", "spoke", "prediction"], sort=False
    ):
        part = part.sort_values("step")
        reached = part.loc[part["verdict"] == SUPPORTED, "step"]
        rows.append(
            {
                "spoke": spoke,
                "prediction": prediction,
                "across": found[str(cell)][across],
                "row": label(found[str(cell)], rest),
                "at_end": part["verdict"].iloc[-1] == SUPPORTED,
                "first": float(reached.iloc[0]) if len(reached) else float("nan"),
            }
        )
    frame = pd.DataFrame(rows, columns=["spoke", "prediction", "across", "row", "at_end", "first"])
    grouped = frame.groupby(["spoke", "prediction", "across", "row"], sort=False)
    out = grouped.agg(
        n_seeds=("at_end", "size"), n_supported=("at_end", "sum"), first_supported=("first", "median")
    ).reset_index()
    out["text"] = [
        f"{kept}/{seeds}" + ("" if pd.isna(first) else f" from {first:g}")
        for kept, seeds, first in zip(out["n_supported"], out["n_seeds"], out["first_supported"], strict=True)
    ]
    return out[COLUMNS]
