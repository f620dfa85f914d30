"""The charts of steering: what they show, where their numbers come from, and what happens where some are missing."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from tests.stats.synthetic_steering import BAND, BEST, EXPERIMENT, SEED, STRENGTHS, VARIANT, steered

from report.fake_run import build, manifest
from semhub.figures import draw_all, read_run, render
from semhub.figures.draft import Draft
from semhub.figures.draw import drafts
from semhub.figures.steering import best_layer, steering
from semhub.report import verdict_table
from semhub.report.page import render as page
from semhub.results import RESULT_SCHEMA, write_table
from semhub.stats.summary import summarise
from semhub.stats.tables import by_variant
from semhub.stats.verdict import decide

STEM = f"{EXPERIMENT}-{VARIANT}"


@pytest.fixture(scope="module")
def results() -> pd.DataFrame:
    return summarise(steered(), {EXPERIMENT: ("arithmetic", "P3")}, SEED, n_draws=100)


def run_folder(folder: Path, results: pd.DataFrame, rows: pd.DataFrame) -> Path:
    """A synthetic run with the given results of steering beside all the others."""
    build(folder, n_grids=0)
    other = pd.read_parquet(folder / "results.parquet")
    both = pd.concat([other.astype(results.dtypes.to_dict()), results], ignore_index=True)
    write_table(both, RESULT_SCHEMA, folder / "results.parquet")
    verdicts = list(json.loads((folder / "verdicts.json").read_text()))
    found = decide(by_variant(rows), ["arithmetic", "semantics"], {EXPERIMENT: [VARIANT]}, SEED, n_draws=100)
    verdicts += [one for one in found if one["prediction"] == "P3"]
    (folder / "verdicts.json").write_text(json.dumps(verdicts))
    made: Any = manifest(8)
    entry = dict(
        made["experiments"][0], id=EXPERIMENT, spoke="arithmetic", prediction="P3", deciding=[VARIANT]
    )
    made["experiments"].append(entry)
    (folder / "manifest.json").write_text(json.dumps(made))
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, results: pd.DataFrame) -> Path:
    return run_folder(tmp_path_factory.mktemp("steered"), results, steered())


@pytest.fixture(scope="module")
def found(folder: Path) -> dict[str, Draft]:
    return {draft.name: draft for draft in drafts(read_run(folder)) if draft.experiment == EXPERIMENT}


@pytest.fixture(scope="module")
def documents(found: dict[str, Draft]) -> Iterator[dict[str, dict[str, Any]]]:
    before, render.VALIDATE = render.VALIDATE, True
    yield {name: render.specification(draft.chart) for name, draft in found.items()}
    render.VALIDATE = before


def values(document: dict[str, Any], key: str) -> list[dict[str, Any]]:
    """The rows of every layer of a chart whose data have a column."""
    inline = [layer["data"]["values"] for layer in document["layer"] if "values" in layer.get("data", {})]
    every = [*inline, *document.get("datasets", {}).values()]
    return [row for rows in every for row in rows if key in row]


def test_a_map_a_dose_response_and_the_share_of_success(found: dict[str, Draft]) -> None:
    assert set(found) == {f"{STEM}-map", f"{STEM}-dose", f"{STEM}-success", f"{STEM}-share"}
    assert all(draft.chart is not None and draft.if_false for draft in found.values())
    assert {name for name, draft in found.items() if not draft.main} == {f"{STEM}-share"}


def test_the_map_is_the_hypothesis_less_real_differences(
    documents: dict[str, dict[str, Any]], results: pd.DataFrame
) -> None:
    rows = results[(results["measure"] == "delta_logit_over") & (results["condition"] == "real_difference")]
    cells = values(documents[f"{STEM}-map"], "size")
    keys = {(row["layer"], row["strength"]) for row in cells}
    assert keys == {(float(layer), f"{dose:g}") for layer in range(1, 8) for dose in STRENGTHS}
    largest = rows.loc[rows["estimate"].idxmax()]
    top = next(row for row in cells if row["size"] == 1)
    assert (top["layer"], top["strength"]) == (largest["layer"], f"{largest['strength']:g}")
    signs = {(row["layer"], row["strength"]): row["side"] for row in cells}
    for row in rows.itertuples():
        assert (signs[float(row.layer), f"{row.strength:g}"] == "towards the new word") == (row.estimate >= 0)
    edges = sorted({row["at"] for row in values(documents[f"{STEM}-map"], "at")})
    assert edges == [BAND[0] - 0.5, BAND[1] + 0.5]


def test_what_its_interval_does_not_tell_from_zero_is_in_brackets(
    documents: dict[str, dict[str, Any]], results: pd.DataFrame
) -> None:
    rows = results[(results["measure"] == "delta_logit_over") & (results["condition"] == "real_difference")]
    texts = {(row["layer"], row["strength"]): row["text"] for row in values(documents[f"{STEM}-map"], "size")}
    seen = set()
    for row in rows.itertuples():
        holds = row.ci_low <= 0 <= row.ci_high
        assert texts[float(row.layer), f"{row.strength:g}"].startswith("(") == holds
        seen.add(holds)
    assert seen == {True, False}


def test_the_dose_response_is_of_the_layer_whose_text_was_generated(
    found: dict[str, Draft], documents: dict[str, dict[str, Any]], results: pd.DataFrame
) -> None:
    text = results[results["variant"] == f"{VARIANT}/confirm"]
    (layer,) = set(text["layer"])
    data = found[f"{STEM}-dose"].data
    assert set(data["layer"]) == {layer}
    points = values(documents[f"{STEM}-dose"], "label")
    shown = {(row["label"], row["strength"]): row for row in points}
    assert len({label for label, _ in shown}) == 7
    assert {dose for _, dose in shown} == set(STRENGTHS)
    row = results[
        (results["measure"] == "delta_logit")
        & (results["condition"] == "hypothesis")
        & (results["layer"] == layer)
        & (results["strength"] == BEST)
    ].iloc[0]
    drawn = shown["hypothesised direction", BEST]
    assert (drawn["estimate"], drawn["ci_low"], drawn["ci_high"]) == tuple(
        row[["estimate", "ci_low", "ci_high"]]
    )
    assert "the wrong way, by strength: " in found[f"{STEM}-dose"].caption
    assert {"moved_wrong_way", "delta_logit"} == set(data["measure"])


def test_success_starts_unsteered_at_strength_zero(documents: dict[str, dict[str, Any]]) -> None:
    points = values(documents[f"{STEM}-success"], "label")
    assert {row["strength"] for row in points if row["label"] == "unsteered"} == {0.0}
    assert max(row["estimate"] for row in points if row["label"] == "hypothesised direction") > 0.5


def test_the_share_is_drawn_from_the_unsteered_one_on(documents: dict[str, dict[str, Any]]) -> None:
    points = values(documents[f"{STEM}-share"], "label")
    (plain,) = {row["estimate"] for row in points if row["label"] == "unsteered"}
    best = max(row["estimate"] for row in points if row["label"] == "hypothesised direction")
    assert 0.2 <= plain < 0.5 < best <= 0.8


def test_files_and_the_page(folder: Path) -> None:
    figures = {figure.name: figure for figure in draw_all(folder)}
    for kind in ("map", "dose", "success"):
        assert figures[f"{STEM}-{kind}"].svg.startswith("<svg")
        for ending in ("svg", "png", "pdf", "csv"):
            assert (folder / "figures" / f"{STEM}-{kind}.{ending}").stat().st_size > 0
        table = pd.read_csv(folder / "figures" / f"{STEM}-{kind}.csv")
        assert table["strength"].notna().all()
    text = page(read_run(folder), list(figures.values()))
    assert f'id="{STEM}-map"' in text
    assert "log-odds moved by the direction beyond real differences of states (nat)" in text
    assert '<th scope="col">strength</th>' in text
    assert "the text stays fluent" in text
    assert "not run: the paper has no steering experiment for semantics" in text
    assert "this version has no steering experiment" not in text


def test_the_terminal_has_the_effect_in_nat(folder: Path) -> None:
    run = read_run(folder)
    out = io.StringIO()
    Console(width=200, file=out).print(verdict_table(run.verdicts, run.manifest))
    shown = out.getvalue()
    assert "P3 causal" in shown
    assert "] nat" in shown


def test_tables_without_strengths_have_no_such_column(tmp_path: Path) -> None:
    """A run from before steering: the page as it was."""
    run = read_run(build(tmp_path / "old", n_grids=0))
    text = page(run, [])
    assert not [draft for draft in drafts(run) if "steer" in draft.name]
    assert '<th scope="col">strength</th>' not in text
    assert "steer" not in text


@pytest.mark.parametrize("missing", ["all", "real_difference", "confirm", "text"])
def test_what_is_missing_is_left_out(tmp_path: Path, results: pd.DataFrame, missing: str) -> None:
    part = results.copy()
    if missing == "all":
        part[["estimate", "ci_low", "ci_high"]] = np.nan
    elif missing == "real_difference":
        part = part[part["condition"] != "real_difference"]
    elif missing == "confirm":
        part = part[part["variant"] == VARIANT]
    else:
        part = part[part["measure"].isin(["delta_logit", "delta_logit_over"])]
    run = read_run(run_folder(tmp_path / "run", part, steered()))
    found = {draft.name: draft for draft in steering(run, EXPERIMENT)}
    assert (f"{STEM}-success" in found) == (missing != "text")
    assert (found[f"{STEM}-map"].chart is None) == (missing in ("all", "real_difference"))
    assert (found[f"{STEM}-dose"].chart is None) == (missing == "all")
    for draft in found.values():
        if draft.chart is not None:
            assert render.to_svg(render.specification(draft.chart), "f").startswith("<svg")


def test_without_text_the_best_layer_is_where_the_direction_is_furthest_above_the_control(
    results: pd.DataFrame,
) -> None:
    grid = results[results["measure"].isin(["delta_logit", "delta_logit_over"])]
    over = grid[(grid["measure"] == "delta_logit_over") & (grid["condition"] == "real_difference")]
    assert best_layer(grid, grid.iloc[:0]) == int(over.loc[over["estimate"].idxmax(), "layer"])
    assert best_layer(grid.iloc[:0], grid.iloc[:0]) is None


@pytest.mark.parametrize("n_layers", [3, 32])
def test_few_and_many_layers(tmp_path: Path, n_layers: int) -> None:
    rows = steered(n_layers=n_layers, n_clusters=30)
    found = summarise(rows, {EXPERIMENT: ("arithmetic", "P3")}, SEED, n_draws=50)
    folder = run_folder(tmp_path / "run", found, rows)
    made = json.loads((folder / "manifest.json").read_text())
    made["model"]["n_layers"] = n_layers
    (folder / "manifest.json").write_text(json.dumps(made))
    draft = next(steering(read_run(folder), EXPERIMENT))
    texts = {row["text"] for row in values(render.specification(draft.chart), "size")}
    assert (texts <= {"", "•"}) == (n_layers == 32)
