"""Draws every figure of a run into its folder `figures/`: .svg, .png, .pdf and the data as .csv."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from semhub.errors import RunFolderError
from semhub.figures import render
from semhub.figures.curves import readout, similarity
from semhub.figures.draft import Draft
from semhub.figures.grid import grid_draft
from semhub.figures.mass import language_mass
from semhub.figures.overview import strip
from semhub.figures.pictures import picture_draft
from semhub.figures.plane import trajectory
from semhub.figures.sounds import sound_draft
from semhub.figures.steering import steering
from semhub.figures.tables import Run, read_run, reading_layer


@dataclass(frozen=True)
class Figure:
    """A drawn figure. svg: its text, empty where there was no number to draw. data: the rows it shows."""

    name: str
    experiment: str
    title: str
    caption: str
    svg: str
    data: pd.DataFrame
    csv: str
    folder: Path
    main: bool = True
    if_false: str = ""
    group: str = ""


def drafts(run: Run) -> Iterator[Draft]:
    """Every chart that the run's tables can feed, in the order of the page."""
    yield strip(run)
    measured = run.results.groupby("experiment", sort=False)["measure"].agg(set)
    for experiment, measures in measured.items():
        name = str(experiment)
        if measures & {"paper_score_centred", "paper_score", "cosine_centred"}:
            yield from similarity(run, name)
        if measures & {"logprob", "concept"}:
            yield from readout(run, name)
        if "delta_logit" in measures:
            yield from steering(run, name)
        if "language_mass" in measures:
            yield from language_mass(run, name)
    for name in run.plane["experiment"].unique():
        yield from trajectory(run, str(name))
    for index, grid in enumerate(run.grids, start=1):
        name = f"grid-{index:02d}"
        yield grid_draft(grid, name)
        spoke = str(run.experiment(str(grid.get("experiment", ""))).get("spoke", ""))
        for number, picture in enumerate(grid.get("pictures") or ()):
            yield picture_draft(grid, picture, f"{name}-picture-{number}", reading_layer(run, spoke))
        for number, sound in enumerate(grid.get("sounds") or ()):
            yield sound_draft(grid, sound, f"{name}-sound-{number}", reading_layer(run, spoke))


def draw_all(run_dir: Path | str | Run) -> list[Figure]:
    """Draws the figures of a run folder and writes them. Raises RunFolderError if it is none or unwritable."""
    run = run_dir if isinstance(run_dir, Run) else read_run(run_dir)
    folder = run.folder / "figures"
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise RunFolderError(
            f"cannot make {folder}: {error.strerror or error}. Check the folder's rights."
        ) from error
    with ThreadPoolExecutor(max_workers=1) as writer:
        drawn = [_draw(draft, index, folder, writer) for index, draft in enumerate(drafts(run))]
        for _, pending in drawn:
            if pending is not None:
                pending.result()
    return [figure for figure, _ in drawn]


def _draw(draft: Draft, index: int, folder: Path, writer: Executor) -> tuple[Figure, Future[None] | None]:
    """The page needs only the SVG: PNG and PDF are written behind while the next chart is laid out."""
    csv = draft.data.to_csv(index=False, lineterminator="\n")
    svg, pending = "", None
    stem = folder / draft.name
    caption = draft.caption
    if draft.chart is None:
        caption = f"No number to draw: every estimate is missing. {caption}"
    else:
        try:
            svg = render.to_svg(render.specification(draft.chart), f"f{index}")
        except (
            ValueError
        ) as error:  # what a tokenizer can spell, a chart may fail on: the rest of the page stands
            caption = f"This chart could not be drawn: {str(error).splitlines()[0]}"
        else:
            pending = writer.submit(render.write_files, svg, stem)
    try:
        stem.with_name(draft.name + ".csv").write_text(csv, encoding="utf-8")
    except OSError as error:
        raise RunFolderError(
            f"cannot write {stem}.csv: {error.strerror or error}. Free space or choose --out."
        ) from error
    words = {"title": draft.title, "caption": caption, "if_false": draft.if_false, "group": draft.group}
    figure = Figure(
        draft.name,
        draft.experiment,
        svg=svg,
        data=draft.data,
        csv=csv,
        folder=folder,
        main=draft.main,
        **words,
    )
    return figure, pending
