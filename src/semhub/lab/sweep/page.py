"""The page of a sweep: one self-contained HTML file, in the style of a run's report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from markupsafe import Markup

from semhub.errors import RunFolderError
from semhub.lab.pool import Failure
from semhub.lab.sweep.grid import label, varying
from semhub.lab.sweep.onset import places
from semhub.lab.sweep.picture import Picture
from semhub.lab.sweep.table import verdicts
from semhub.report.html import data_link, environment, stylesheet
from semhub.report.words import PREDICTIONS, cell, count

ROWS_SHOWN = 200
WIDE = ".charts{display:block}.chart{margin-bottom:14px}.chart svg{width:auto;max-width:none}"


def write(
    file: Path,
    table: pd.DataFrame,
    pictures: Sequence[Picture],
    failures: Sequence[Failure],
    *,
    recipe: str,
    n_cells: int,
    facts: Mapping[str, str],
    command: str,
) -> None:
    """Renders the page to `file`. Raises RunFolderError."""
    columns, rows = _verdicts(table)
    words = repr((recipe, dict(facts), command, failures, rows)) + "".join(one.svg for one in pictures)
    text = (
        environment()
        .get_template("sweep.html")
        .render(
            css=stylesheet(words) + Markup(WIDE),
            recipe=recipe,
            n_cells=n_cells,
            n_done=table["cell"].nunique(),
            failures=failures,
            pictures=[_figure(one) for one in pictures],
            columns=columns,
            rows=rows,
            facts=facts,
            command=command,
            count=count,
        )
    )
    temporary = file.with_name(file.name + ".tmp")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(file)
    except OSError as error:
        raise RunFolderError(f"cannot write {file}: {error.strerror or error}.") from error


def _verdicts(table: pd.DataFrame) -> tuple[list[str], list[dict[str, Any]]]:
    """Names of the verdicts, and for each organism its last checkpoint."""
    last = verdicts(table[table["step"] == table["steps"]])
    asked = last[["spoke", "prediction"]].drop_duplicates().itertuples(index=False)
    pairs = [(str(spoke), str(prediction)) for spoke, prediction in asked]
    grid = places(table)
    rows = []
    for name, part in last.groupby("cell", sort=False):
        first = part.iloc[0]
        by_verdict = {
            (one["spoke"], one["prediction"]): one for one in map(_verdict, part.to_dict("records"))
        }
        rows.append(
            {
                "name": label(grid[str(name)], varying(grid)) or str(name),
                "step": int(first["step"]),
                "dominant": first["dominant"],
                "loss": "" if pd.isna(first["loss"]) else f"{first['loss']:.2f}",
                "cells": [cell(by_verdict.get(pair)) for pair in pairs],
            }
        )
    return [f"{spoke} {prediction} {PREDICTIONS.get(prediction, '')}" for spoke, prediction in pairs], rows


def _verdict(row: Mapping[Any, Any]) -> dict[str, Any]:
    """A row of the table as an entry of verdicts.json."""
    known = {str(key): None if pd.isna(value) else value for key, value in row.items()}
    band = [] if known["band_low"] is None else [known["band_low"], known["band_high"]]
    measure = "concept_diff" if known["prediction"] == "P2" else "paper_score_centred"
    return {**known, "layers": band, "effect": known["band_effect"], "measure": measure}


def _figure(picture: Picture) -> dict[str, Any]:
    """What the report's chart macro draws."""
    draft, frame = picture.draft, picture.draft.data
    shown = frame.head(ROWS_SHOWN)
    return {
        "name": draft.name,
        "title": draft.title,
        "caption": draft.caption,
        "if_false": draft.if_false,
        "svg": Markup(picture.svg),
        "csv": data_link(frame.to_csv(index=False, lineterminator="\n")),
        "columns": list(frame.columns),
        "rows": [[_plain(value) for value in row] for row in shown.itertuples(index=False)],
        "left_out": max(0, len(frame) - ROWS_SHOWN),
    }


def _plain(value: Any) -> str:
    if pd.isna(value):
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
