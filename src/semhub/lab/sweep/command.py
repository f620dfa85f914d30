"""`semhub lab sweep` behind its options."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer
from rich.console import Console

from semhub.errors import UsageError
from semhub.lab.sweep.grid import cells, read_spec


def command(
    config: Path | None,
    axes: Mapping[str, str | None],
    options: Mapping[str, Any],
    workers: int | None,
    out: Path | None,
    dry_run: bool,
) -> None:
    """Runs a sweep or says what it would do. axes: comma-separated values. Raises typer.Exit(1) if a cell failed."""
    given = {name: value for name, value in options.items() if value is not None}
    if "snapshots" in given and "," in given["snapshots"]:
        given["snapshots"] = listed(given["snapshots"])
    given["axes"] = {name: listed(text) for name, text in axes.items() if text is not None}
    spec = read_spec(given, config)
    grid = cells(spec)
    processes = (os.cpu_count() or 1) if workers is None else workers
    if processes < 1:
        raise UsageError(f"--workers must be at least 1, not {processes}.")
    folder = out or Path("runs") / f"sweep-{spec.recipe}"
    console = Console(stderr=True)
    from semhub.lab.sweep import dryrun, run

    if dry_run:
        done = {cell.id: (folder / "cells" / f"{cell.id}.json").exists() for cell in grid}
        console.print("timing a few steps and one judgement")
        dryrun.show(grid, done, dryrun.measure(grid[0], spec), processes, Console())
        return
    failures = run.sweep(spec, folder, processes, console, shlex.join(["semhub", *sys.argv[1:]]))
    for one in failures:
        console.print(f"failed: {one.id}: {one.reason}", markup=False, soft_wrap=True)
    typer.echo(f"sweep: {folder / run.PAGE}")
    if failures:
        typer.echo(f"{len(failures)} of {len(grid)} cells failed: {folder / run.FAILED}", err=True)
        raise typer.Exit(1)


def listed(text: str) -> list[str]:
    """`64, 96` as its parts. Raises UsageError for an empty one."""
    parts = [part.strip() for part in text.split(",")]
    if not all(parts):
        raise UsageError(f"{text!r}: write values with commas between them, as 64,96.")
    return parts
