"""Builds report.html from a run folder's tables and figures."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

import pandas as pd
from markupsafe import Markup, escape

from semhub.errors import RunFolderError
from semhub.figures import Figure, Run, draw_all, read_run
from semhub.figures.tables import finite, reading_layer
from semhub.report.doubts import doubts
from semhub.report.grid import view
from semhub.report.html import data_link, environment, stylesheet
from semhub.report.layered import SCRIPT, shown_words, without_media
from semhub.report.picture import picture_views
from semhub.report.sound import sound_views
from semhub.report.textscores import score_tables
from semhub.report.words import MEASURES, PREDICTIONS, PUBLISHED, cell, count, dominant_line, number

TABLE_ROWS = 200
TABLE_COLUMNS = (
    "variant",
    "measure",
    "condition",
    "layer",
    "strength",
    "estimate",
    "ci_low",
    "ci_high",
    "n",
    "n_clusters",
    "p_adjusted",
)
GRIDS_AT_ONCE = 3
EXAMPLE_SIDE = 160  # pixels of a picture of one case


def write(run_dir: Path | str) -> Path:
    """Draws the figures of a run folder and writes its report.html. Raises RunFolderError if it is no run."""
    run = read_run(run_dir)
    figures = draw_all(run)
    path = run.folder / "report.html"
    text = render(run, figures)
    temporary = path.with_name("report.html.tmp")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        raise RunFolderError(
            f"cannot write {path}: {error.strerror or error}. Free space or choose --out."
        ) from error
    return path


def render(run: Run, figures: list[Figure]) -> str:
    """The page as text."""
    manifest = run.manifest
    drawn = [figure for figure in figures if not figure.name.startswith("grid-")]
    spokes = [_spoke(run, spoke, drawn) for spoke in run.spokes()]
    return (
        environment()
        .get_template("page.html")
        .render(
            css=stylesheet(_text(run, figures)),
            script=Markup(SCRIPT) if any(spoke["patches"] or spoke["sounds"] for spoke in spokes) else "",
            manifest=manifest,
            headline=_headline(manifest),
            dominant=dominant_line(manifest.get("dominant", {})),
            predictions=PREDICTIONS,
            n_layers=run.n_layers,
            spokes=spokes,
            doubts=doubts(run),
            decided=any(one.get("verdict") != "untestable" for one in run.verdicts),
            config=[(key, _plain(value)) for key, value in dict(manifest.get("config", {})).items()],
            facts=_facts(manifest),
            number=number,
            count=count,
        )
    )


def _text(run: Run, figures: list[Figure]) -> str:
    """All text that the page can show, for the glyphs it needs; of words over pictures and sounds only the nearest."""
    grids = [without_media(grid) for grid in run.grids]
    words = json.dumps([dict(run.manifest), list(run.verdicts), grids], ensure_ascii=False, default=str)
    return words + "".join(figure.svg for figure in figures) + "".join(map(shown_words, run.grids))


def _headline(manifest: Mapping[str, Any]) -> list[str]:
    parts = [str(manifest["model"].get("id", "")), str(manifest.get("started", ""))[:10]]
    if manifest.get("preset"):
        parts.append(f"{manifest['preset']} preset")
    parts += [f"lens: {manifest.get('lens', '')}", f"seed {manifest.get('seed', '')}"]
    return [part for part in parts if part]


def _facts(manifest: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The provenance block: what was run, on what, with which versions."""
    model = manifest["model"]
    libraries = ", ".join(
        f"{name} {version}" for name, version in dict(manifest.get("libraries", {})).items()
    )
    rows = [
        ("model", str(model.get("id", ""))),
        ("revision", str(model.get("revision") or "none given")),
        ("weights, sha256", str(model.get("weights_sha256") or "not on file")),
        ("architecture", f"{model.get('architecture', '')}, {run_size(model)}"),
        ("adapter", str(manifest.get("adapter", ""))),
        ("lens", str(manifest.get("lens", ""))),
        (
            "dtype, device, attention",
            ", ".join(str(manifest.get(key, "")) for key in ("dtype", "device", "attention")),
        ),
        ("seed", str(manifest.get("seed", ""))),
        ("started, seconds", f"{manifest.get('started', '')}, {number(manifest.get('seconds'))}"),
        ("semhub", f"{manifest.get('semhub_version', '')}, schema {manifest.get('schema_version', '')}"),
        ("libraries", libraries),
        ("configuration hash", str(manifest.get("config_hash", ""))),
    ]
    return rows


def run_size(model: Mapping[str, Any]) -> str:
    return (
        f"{count(model.get('n_parameters')) or '?'} parameters, {model.get('n_layers')} layers, "
        f"d_model {model.get('d_model')}, vocabulary {count(model.get('vocab_size')) or '?'}"
    )


def _spoke(run: Run, spoke: str, figures: list[Figure]) -> dict[str, Any]:
    experiments = [entry for entry in run.manifest.get("experiments", ()) if entry.get("spoke") == spoke]
    ids = [str(entry.get("id")) for entry in experiments]
    mine = [grid for grid in run.grids if str(grid.get("experiment", "")) in ids]
    grids = [view(grid) for grid in mine if not grid.get("pictures") and not grid.get("sounds")]
    start = reading_layer(run, spoke)
    patches = [picture for grid in mine for picture in picture_views(grid, start)]
    sounds = [sound for grid in mine for sound in sound_views(grid, start)]
    cells = {prediction: cell(run.verdict(spoke, prediction)) for prediction in PREDICTIONS}
    blocks = []
    for prediction in PREDICTIONS:
        verdict = run.verdict(spoke, prediction)
        asked = [entry for entry in experiments if entry.get("prediction") == prediction]
        asked.sort(
            key=lambda entry: not entry.get("deciding")
        )  # the one that carries the verdict comes first
        shown = [_experiment(run, entry, figures) for entry in asked]
        if verdict is not None or shown:
            blocks.append(
                {
                    "prediction": prediction,
                    "meaning": PREDICTIONS[prediction],
                    "cell": cells[prediction],
                    "measure": MEASURES.get(
                        str((verdict or {}).get("measure")), str((verdict or {}).get("measure") or "")
                    ),
                    "variant": str((verdict or {}).get("variant") or ""),
                    "detectable": number((verdict or {}).get("detectable")),
                    "checks": [_check(check) for check in (verdict or {}).get("checks") or ()],
                    "experiments": shown,
                    "published": PUBLISHED,
                }
            )
    pictures = [
        _experiment(run, entry, figures)
        for entry in experiments
        if entry.get("prediction") not in PREDICTIONS
    ]
    return {
        "name": spoke,
        "closed": run.closed(spoke),
        "cells": cells,
        "blocks": blocks,
        "pictures": pictures,
        "patches": patches,
        "sounds": sounds,
        "grids": grids[:GRIDS_AT_ONCE],
        "more_grids": grids[GRIDS_AT_ONCE:],
    }


def _check(check: Mapping[str, Any]) -> dict[str, str]:
    """A check without a number was not made, whatever it lets pass."""
    value = finite(check.get("value"))
    passed = check.get("passed")
    made = passed is False or (value is not None and passed is True)
    name = str(check.get("name", ""))
    shown = "reference: " in name  # beside the verdict, no condition of it
    return {
        "name": name,
        "outcome": "◌ not made" if not made else "shown" if shown else "● passed" if passed else "○ failed",
        "value": number(value),
        "detail": str(check.get("detail") or ""),
    }


def _experiment(run: Run, entry: Mapping[str, Any], figures: list[Figure]) -> dict[str, Any]:
    name = str(entry.get("id"))
    mine = [_figure(figure) for figure in figures if figure.experiment == name]
    shown = sorted((figure for figure in mine if figure["main"]), key=lambda figure: str(figure["group"]))
    cases = [case for case in run.manifest.get("cases", ()) if case.get("experiment") == name]
    data = [item for item in run.manifest.get("data", ()) if name in (item.get("experiments") or ())]
    return {
        "id": name,
        "title": str(entry.get("title", "")),
        "question": str(entry.get("question", "")),
        "if_false": str(entry.get("if_false", "")),
        "example": [
            (str(row.get("label", "")), str(row.get("text", "")), _thumbnail(row.get("picture")))
            for row in entry.get("example") or ()
        ],
        "data": [
            f"{item.get('name')} ({item.get('source')}, version {item.get('version')}, {item.get('licence')})"
            for item in data
        ],
        "cases": [
            {
                "variant": str(case.get("variant", "")),
                "given": count(case.get("given")),
                "kept": count(case.get("kept")),
                "dropped": [f"{count(n)} {reason}" for reason, n in dict(case.get("dropped") or {}).items()],
            }
            for case in cases
        ],
        "variants": _variants(entry, cases),
        "tables": score_tables(run, name),
        "groups": [list(group) for _, group in groupby(shown, key=lambda figure: str(figure["group"]))],
        "more": [figure for figure in mine if not figure["main"]],
    }


def _variants(entry: Mapping[str, Any], cases: list[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """The parts of the sets' names that were run, each with what it means."""
    run = {part.split("=")[0] for case in cases for part in str(case.get("variant", "")).split("/")}
    known = dict(entry.get("variants") or {})
    return [(name, str(meaning)) for name, meaning in known.items() if name in run]


def _thumbnail(picture: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if not picture:
        return None
    width, height = int(picture["width"]), int(picture["height"])
    shown = max(1, round(EXAMPLE_SIDE * width / max(width, height)))
    alt = str(picture.get("alt") or "the picture of this case")
    return {
        "uri": Markup(escape(picture["uri"])),
        "width": width,
        "height": height,
        "shown": shown,
        "alt": alt,
    }


def _figure(figure: Figure) -> dict[str, Any]:
    frame = figure.data
    columns = [name for name in (*TABLE_COLUMNS, *frame.columns) if name in frame.columns]
    if "estimate" in columns:
        steered = "strength" in columns and frame["strength"].notna().any()
        columns = [name for name in TABLE_COLUMNS if name in columns and (steered or name != "strength")]
    columns = list(dict.fromkeys(columns))
    return {
        "name": figure.name,
        "title": figure.title,
        "caption": figure.caption,
        "if_false": figure.if_false,
        "svg": Markup(figure.svg),
        "csv": data_link(figure.csv),
        "columns": columns,
        "rows": [
            [_plain(value) for value in row]
            for row in frame[columns].head(TABLE_ROWS).itertuples(index=False)
        ],
        "left_out": max(0, len(frame) - TABLE_ROWS),
        "main": figure.main,
        "group": figure.group,
    }


def _plain(value: object) -> str:
    """A table's entry: short numbers, whole ones whole, nothing for what is missing."""
    if value is None or value is pd.NA or (isinstance(value, float) and value != value):
        return ""
    if isinstance(value, float) and not value.is_integer():
        return f"{value:.4g}"
    if isinstance(value, float):
        return str(int(value))
    return str(value)
