"""`semhub lab prove`: plans, runs and tabulates a proof."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from semhub.errors import RunFolderError
from semhub.lab.pool import Failure, run_jobs
from semhub.lab.prove import simulate
from semhub.lab.prove.jobs import Organism, Settings, read_records, unfinished
from semhub.lab.prove.rivals import rivals
from semhub.lab.prove.tables import Proof, make

COVERAGE = "coverage.csv"
OWN = ("jobs", "models")  # a folder with one of these is a proof's
CURVES = {"angle": "power", "dose": "dose"}  # what organisms are graded by -> its chart's name


def train_and_judge(
    organisms: Sequence[Organism], folder: Path, settings: Settings, workers: int, console: Console
) -> list[Failure]:
    """Runs what is not done yet; returns the jobs that failed. Raises before any work if the input is wrong."""
    _check(settings)
    if folder.is_dir() and any(folder.iterdir()) and not any((folder / name).is_dir() for name in OWN):
        raise RunFolderError(f"{folder} is not empty and holds no proof. Choose another --out.")
    todo = unfinished(organisms, folder, settings)
    console.print(f"{len(organisms)} models, {len(organisms) - len(todo)} of them done", highlight=False)
    return run_jobs(todo, workers, console)


def _check(settings: Settings) -> None:
    """Bad data and rivals are refused before a model is trained."""
    from semhub.data import flores

    rivals(settings.rivals)
    if settings.flores is not None:
        flores.load(settings.flores, "en", ("zh",))


def simulated(folder: Path, console: Console, data_sets: int = simulate.DATA_SETS) -> None:
    """Measures the coverage of intervals, unless it was measured before, and keeps it in the folder."""
    if (folder / COVERAGE).exists():
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as bars:
        task = bars.add_task("simulating intervals", total=len(simulate.SCENARIOS))
        found = simulate.coverage(data_sets, progress=lambda done, _: bars.update(task, completed=done))
    _write(folder / COVERAGE, found.to_csv(index=False, lineterminator="\n"))


def tabulate(folder: Path, files: Sequence[str], page: Path | None) -> Proof:
    """Writes the tables and the power curve under `folder`, and the page if it is asked for; returns the tables."""
    from semhub.lab.prove.chart import draw
    from semhub.lab.prove.page import page as text

    proof = make(read_records(folder))
    coverage = pd.read_csv(folder / COVERAGE) if (folder / COVERAGE).exists() else None
    frames = proof.frames() | ({} if coverage is None else {"coverage": coverage})
    for name, frame in frames.items():
        _write(folder / "tables" / f"{name}.csv", frame.to_csv(index=False, lineterminator="\n"))
    rows = {name: _rows(frame) for name, frame in frames.items()}
    _write(folder / "proof.json", json.dumps(rows, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    graded = {"angle": proof.power, "dose": proof.doses}
    drawn = {scale: name for scale, name in CURVES.items() if not graded[scale].empty}
    for scale, name in drawn.items():
        draw(graded[scale], scale, folder / name)
    if page is not None:
        charts = {scale: f"{page.stem}-{name}" for scale, name in drawn.items()}
        _write(page, text(proof, coverage, rivals(files), charts))
        for scale, name in drawn.items():
            picture = (folder / f"{name}.svg").read_text(encoding="utf-8")
            _write(page.with_name(f"{charts[scale]}.svg"), picture)
    return proof


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise RunFolderError(
            f"cannot write {path}: {error.strerror or error}. Choose another place."
        ) from error


def _rows(frame: pd.DataFrame) -> list[dict[Any, Any]]:
    """JSON has no NaN: a number that is missing is null."""
    return frame.astype(object).where(frame.notna(), None).to_dict("records")
