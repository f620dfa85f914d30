"""A sweep from its specification to its page; the same call goes on where one stopped."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from semhub.errors import RunFolderError
from semhub.lab.pool import Failure, run_jobs
from semhub.lab.sweep import page, picture
from semhub.lab.sweep.grid import Cell, Spec, cells
from semhub.lab.sweep.table import tidy, write
from semhub.lab.sweep.work import jobs
from semhub.runs.store import Store

SPEC, PAGE, FAILED = "sweep.json", "sweep.html", "failures.txt"


def sweep(
    spec: Spec, out: Path, workers: int, console: Console | None = None, command: str = ""
) -> list[Failure]:
    """Trains and judges what is missing in `out`, writes table, figures and page there, returns the failed cells.

    One folder may hold several grids of one recipe: the page shows the last one asked for, whatever was finished
    before. Raises UsageError for an impossible grid, RunFolderError where `out` holds something else.
    """
    grid = cells(spec)
    open_folder(out, spec)
    failures = run_jobs(jobs(spec, grid, out), workers, console)
    note_failures(out, failures)
    draw(spec, grid, out, failures, command)
    return failures


def draw(spec: Spec, grid: Sequence[Cell], out: Path, failures: Sequence[Failure], command: str) -> None:
    """Table, figures and page of the cells that are finished."""
    table = tidy(grid, out / "cells")
    write(table, out)
    figures = out / "figures"
    figures.mkdir(exist_ok=True)
    axes = {name: ", ".join(f"{value:g}" for value in values) for name, values in spec.axes if values}
    size = "full size" if spec.full_size else "size of the proof"
    judged = f"n = {spec.n}, {spec.twins} twins, {', '.join(spec.experiments)}"
    page.write(
        out / PAGE,
        table,
        picture.draw(table, figures),
        failures,
        recipe=spec.recipe,
        n_cells=len(grid),
        facts={"recipe": f"{spec.recipe}, {size}", **axes, "judged by": judged},
        command=command,
    )


def open_folder(out: Path, spec: Spec) -> None:
    """Makes the folder and writes the specification. Raises RunFolderError if it is not empty and no sweep's."""
    try:
        if out.exists() and (not out.is_dir() or (any(out.iterdir()) and not (out / SPEC).exists())):
            raise RunFolderError(f"{out} is not empty and holds no sweep. Choose another --out.")
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunFolderError(
            f"cannot write to {out}: {error.strerror or error}. Choose another --out."
        ) from error
    Store(out).write_json(out / SPEC, json.loads(spec.model_dump_json()))


def note_failures(out: Path, failures: Sequence[Failure]) -> None:
    """Writes the tracebacks to failures.txt, or removes the file where nothing failed."""
    if failures:
        parts = [f"{one.id}: {one.reason}\n{one.traceback}" for one in failures]
        (out / FAILED).write_text("\n".join(parts), encoding="utf-8")
    else:
        (out / FAILED).unlink(missing_ok=True)
