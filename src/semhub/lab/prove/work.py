"""One job: trains the model if it is not there and makes the parts that its record lacks."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from semhub import models
from semhub.errors import RunFolderError
from semhub.lab import train as training
from semhub.lab.export import FACTS
from semhub.lab.pool import report
from semhub.lab.prove import evaluate
from semhub.lab.prove.jobs import Organism, Record, Settings, blank_record, known_parts
from semhub.lab.recipe import Recipe

KEPT_SEED = 0
TRAINING_SHARE = 0.7  # of a job's time, for the progress bar


def work(recipe: Mapping[str, Any], seed: int, folder: str, settings: Mapping[str, Any]) -> Record:
    """The record of the parts that were missing. Arguments as JSON has them; a model is deleted once it is judged."""
    one = Organism(Recipe(**recipe), seed)
    chosen = Settings(**{**settings, "rivals": tuple(settings["rivals"])})
    known = known_parts(one, Path(folder), chosen)
    todo = {key: make for key, make in evaluate.parts(one.recipe, chosen).items() if key not in known}
    record = blank_record(one, chosen)
    model = _trained(one, Path(folder))
    adapter = models.load(str(model), device="cpu", check=False)
    bench = evaluate.Bench(adapter, seed, chosen, known)
    for done, (key, make) in enumerate(todo.items()):
        report(TRAINING_SHARE + (1 - TRAINING_SHARE) * done / len(todo))
        known[key] = record["parts"][key] = make(bench)
    if not chosen.keep and seed != KEPT_SEED:
        shutil.rmtree(model)
    return record


def _trained(one: Organism, folder: Path) -> Path:
    """The folder of the finished model. Raises RunFolderError if one of another recipe is there."""
    out = folder / "models" / one.id
    if (out / FACTS).exists() and not (out / training.CHECKPOINT).exists():
        facts = json.loads((out / FACTS).read_text(encoding="utf-8"))
        if facts.get("recipe") != one.recipe.told() or facts.get("seed") != one.seed:
            raise RunFolderError(f"{out} holds another recipe's model. Delete it or choose another --out.")
        return out

    def show(done: training.Progress) -> None:
        report(TRAINING_SHARE * done.step / done.steps)

    return training.train(one.recipe, out, one.seed, progress=show)
