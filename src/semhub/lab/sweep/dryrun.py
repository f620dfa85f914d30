"""`semhub lab sweep --dry-run`: the cells, and an estimate of the time from a few measured steps."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from semhub.lab.judge import judge
from semhub.lab.recipe import Recipe
from semhub.lab.sweep.grid import Cell, Spec, label, varying
from semhub.lab.train import train

TIMED_STEPS = 3


@dataclass(frozen=True, slots=True)
class Speed:
    """Seconds on one free core: before the first step, per unit of work of a step, per judged unit of a model."""

    start: float
    step: float
    judged: float


def measure(cell: Cell, spec: Spec) -> Speed:
    """Trains a cell for a few steps in a temporary folder and judges what came of it; in processor time, so that
    whatever else the machine is doing does not count."""
    recipe = cell.recipe.model_copy(update={"steps": TIMED_STEPS})
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with tempfile.TemporaryDirectory() as folder:
            ticks = [time.process_time()]
            train(recipe, folder, cell.seed, progress=lambda _: ticks.append(time.process_time()))
            trained = time.process_time()
            judge(Path(folder), experiments=spec.experiments, n=spec.n, twins=spec.twins)
            judged = time.process_time() - trained
    finally:
        torch.set_num_threads(threads)
    step = min(later - earlier for earlier, later in pairwise(ticks[1:]))
    return Speed(ticks[1] - ticks[0] - step, step / work(recipe), judged / weights(recipe))


def weights(recipe: Recipe) -> int:
    """Multiplications per token of one forward pass."""
    attention = 2 * recipe.d_model**2 * (1 + recipe.n_kv_heads / recipe.n_heads)
    blocks = recipe.n_layers * (round(attention) + 3 * recipe.d_model * recipe.d_ff)
    return blocks + recipe.vocab_size * recipe.d_model


def work(recipe: Recipe) -> int:
    """Of a training step, in proportion: the planted layers read the unembedding once more each."""
    lenses = len(recipe.planted_layers) * recipe.vocab_size * recipe.d_model
    return recipe.documents_per_step * (weights(recipe) + lenses)


def seconds(cell: Cell, speed: Speed) -> float:
    """Of one cell on one core."""
    steps = cell.recipe.steps * work(cell.recipe) * speed.step
    return speed.start + steps + len(cell.snapshots) * weights(cell.recipe) * speed.judged


def total(each: Sequence[float], workers: int) -> float:
    """Until the last worker is done, longest jobs first."""
    busy = [0.0] * workers
    for one in sorted(each, reverse=True):
        busy[busy.index(min(busy))] += one
    return max(busy, default=0.0)


def show(
    grid: Sequence[Cell], done: Mapping[str, bool], speed: Speed, workers: int, console: Console
) -> None:
    """The cells as a table with their time, and the time of the whole."""
    axes = varying({cell.id: cell.values for cell in grid})
    table = Table("cell", "checkpoints", "seconds", box=None)
    left = []
    for cell in grid:
        took = 0.0 if done[cell.id] else seconds(cell, speed)
        left += [took] if took else []
        steps = ", ".join(map(str, cell.snapshots))
        name = label(cell.values, axes) or cell.id
        table.add_row(name, steps, f"{took:.0f}" if took else "done")
    console.print(table)
    minutes = total(left, workers) / 60
    many = f"{workers} processes" if workers > 1 else "1 process"
    console.print(
        f"{len(grid)} cells, {len(grid) - len(left)} of them done; about {minutes:.0f} min on {many}",
        highlight=False,
    )
