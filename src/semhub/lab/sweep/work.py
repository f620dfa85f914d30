"""One cell: train, then judge every checkpoint; each judgement is kept as soon as it is made."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from semhub.lab.judge import Judgement, judge
from semhub.lab.pool import Job, report
from semhub.lab.recipe import Recipe
from semhub.lab.sweep.grid import Cell, Spec
from semhub.lab.train import Progress, train
from semhub.runs.store import Store
from semhub.stats.tables import VariantTable, by_variant

LAST_WRITTEN = "README.md"  # of an exported checkpoint: where it stands, the rest is there
CURVES = {"P1": "paper_score_centred", "P2": "concept_diff"}
CHECKPOINTS = 10  # per training: what Ctrl-C can lose is a tenth
LOSSES = "losses.json"


def jobs(spec: Spec, cells: Sequence[Cell], out: Path) -> list[Job]:
    """The work of a sweep as jobs whose results are `out/cells/<id>.json`."""
    return [
        Job(
            cell.id,
            f"{__name__}:train_and_judge",
            {
                "recipe": cell.recipe.told(),
                "seed": cell.seed,
                "snapshots": list(cell.snapshots),
                "options": {"n": spec.n, "twins": spec.twins, "experiments": list(spec.experiments)},
                "models": str(out / "models" / cell.id),
                "judgements": str(out / "judgements" / cell.id),
            },
            out / "cells" / f"{cell.id}.json",
        )
        for cell in cells
    ]


def train_and_judge(
    recipe: Mapping[str, Any],
    seed: int,
    snapshots: Sequence[int],
    options: Mapping[str, Any],
    models: str,
    judgements: str,
) -> dict[str, Any]:
    """Trains with checkpoints at the steps `snapshots` and judges each: `{"checkpoints": [one per step]}`.

    models, judgements: the cell's own folders; what is there already is not made again. options: of `judge`.
    """
    made, folder, kept = Recipe.model_validate(recipe), Path(models), Path(judgements)
    kept.mkdir(parents=True, exist_ok=True)
    files = {step: kept / f"{step:06d}.json" for step in snapshots}
    _train(made, seed, [step for step, file in files.items() if not file.exists()], folder, kept)
    for index, (step, file) in enumerate(files.items()):
        if not file.exists():
            found = _judged(_at(folder, step), step, options)
            Store(kept).write_json(file, found | _losses(kept).get(str(step), {}))
        report((1 + (index + 1) / len(files)) / 2)
    return {"checkpoints": [json.loads(file.read_text(encoding="utf-8")) for file in files.values()]}


def curves(judgement: Judgement) -> list[dict[str, Any]]:
    """Per deciding case set the effect at every layer: P1 the centred paper score, P2 dominant minus surface concept.

    estimate and null_mean [layer]; null_mean is that of permuted pairs, nothing in P2, whose null is zero.
    """
    tables, found = by_variant(judgement.rows), []
    for item in judgement.built:
        measure = CURVES.get(item.experiment.prediction, "")
        for one in item.sets:
            table = tables.get((item.experiment.id, one.variant))
            cases = table.cases(measure, "matched") if table else None
            if table is not None and cases is not None:
                names = {"spoke": item.experiment.spoke, "prediction": item.experiment.prediction}
                estimate = _numbers(cases.values.mean(axis=1))
                null = _null(table, measure, len(estimate))
                found.append({**names, "variant": one.variant, "estimate": estimate, "null_mean": null})
    return found


def _train(recipe: Recipe, seed: int, steps: Sequence[int], folder: Path, kept: Path) -> None:
    """Trains until the checkpoints of `steps` are there; what a crash left half-written is trained again."""
    losses = _losses(kept)

    def note(done: Progress) -> None:
        if done.step in steps:
            loss, planted_loss = _numbers([done.loss, done.planted_loss])
            losses[str(done.step)] = {"loss": loss, "planted_loss": planted_loss}
            Store(kept).write_json(kept / LOSSES, losses)
        report(done.step / done.steps / 2)

    later = [step for step in steps if step]
    every = max(1, recipe.steps // CHECKPOINTS)
    for _ in range(2):
        if all(_written(_at(folder, step)) for step in later):
            break
        train(recipe, folder, seed, checkpoint_every=every, progress=note, snapshots=later)
    if 0 in steps and not _written(_at(folder, 0)):
        train(recipe.model_copy(update={"steps": 0}), _at(folder, 0), seed)


def _judged(model: Path, step: int, options: Mapping[str, Any]) -> dict[str, Any]:
    started = time.perf_counter()
    found = judge(model, **{**options, "experiments": tuple(options["experiments"])})
    dominant = found.dominant
    return {
        "step": step,
        "verdicts": [one for one in found.verdicts if one["experiment"] in options["experiments"]],
        "dominant": dominant["language"] if dominant["status"] == "found" else dominant["status"],
        "curves": curves(found),
        "seconds": round(time.perf_counter() - started, 2),
    }


def _at(folder: Path, step: int) -> Path:
    return folder / f"step-{step:06d}"


def _written(checkpoint: Path) -> bool:
    return (checkpoint / LAST_WRITTEN).exists()


def _losses(kept: Path) -> dict[str, Any]:
    file = kept / LOSSES
    return dict(json.loads(file.read_text(encoding="utf-8"))) if file.exists() else {}


def _null(table: VariantTable, measure: str, n_layers: int) -> list[float | None]:
    draws = table.draws(measure, "null")
    return [None] * n_layers if draws is None else _numbers(draws.mean(axis=0))


def _numbers(values: Any) -> list[float | None]:
    """JSON has no NaN."""
    return [float(value) if np.isfinite(value) else None for value in values]
