"""Cells and hand-made result files, without any training."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from semhub.lab.sweep.grid import Cell, cells, read_spec

N_LAYERS = 5


def grid(**axes: Any) -> tuple[Cell, ...]:
    return cells(read_spec({"axes": {"steps": 20, **axes}, "snapshots": 2}))


def verdict(prediction: str, found: str, band: list[int] | None, effect: float | None) -> dict[str, Any]:
    return {
        "spoke": "language",
        "prediction": prediction,
        "verdict": found,
        "reason": "all conditions hold in the band" if found == "supported" else "not shown: <b>& this</b>",
        "layers": band or [],
        "effect": effect,
        "ci_low": None if effect is None else effect - 0.1,
        "ci_high": None if effect is None else effect + 0.1,
        "experiment": "language.similarity",
    }


def curve(prediction: str, variant: str, estimate: list[float | None], null: float | None) -> dict[str, Any]:
    names = {"spoke": "language", "prediction": prediction, "variant": variant}
    return {**names, "estimate": estimate, "null_mean": [null] * len(estimate)}


def checkpoint(step: int, p1: str, p2: str, height: float) -> dict[str, Any]:
    shape = [0.0625, 0.5, 1.0, 0.75, 0.25, 0.125]
    return {
        "step": step,
        "loss": 3.0 - step / 20,
        "planted_loss": None,
        "dominant": "en" if p2 == "supported" else "none",
        "verdicts": [
            verdict("P1", p1, [2, 3], height if p1 != "untestable" else None),
            verdict("P2", p2, [2, 3], -height),
        ],
        "curves": [
            curve("P1", "zh", [height * part + 0.01 for part in shape], 0.01),
            curve("P1", "es", [2 * height * part + 0.01 for part in shape], 0.01),
            curve("P2", "zh", [-height * part for part in shape[:-1]] + [None], None),
        ],
    }


def write(folder: Path, chosen: tuple[Cell, ...], verdicts: Callable[[Cell, int], str]) -> None:
    """Result files for cells: P1's verdict is as given, P2 never supported, effects grow with the width."""
    folder.mkdir(parents=True, exist_ok=True)
    for cell in chosen:
        found = [
            checkpoint(step, verdicts(cell, step), "not_supported", step * cell.values["d_model"] / 1000)
            for step in cell.snapshots
        ]
        (folder / f"{cell.id}.json").write_text(json.dumps({"checkpoints": found}), encoding="utf-8")
