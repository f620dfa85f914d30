"""Every chart of a run: its files, its scale, its uncertainty and its numbers, on a synthetic run folder."""

from __future__ import annotations

import html
import io
import json
import re
import shutil
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
import pytest

from report.fake_run import HOSTILE, N_LAYERS, build
from semhub.errors import RunFolderError
from semhub.figures import draw_all, read_run, render
from semhub.figures.draft import Draft
from semhub.figures.draw import drafts
from semhub.figures.grid import _quoted
from semhub.figures.theme import CANVAS, layer_ticks
from semhub.results import RESULT_SCHEMA, write_table

OVER_LAYERS = {"layer", "at"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("run"), n_grids=2)


@pytest.fixture(scope="module")
def found(folder: Path) -> list[Draft]:
    return list(drafts(read_run(folder)))


@pytest.fixture(scope="module")
def documents(found: list[Draft]) -> Iterator[dict[str, dict[str, Any]]]:
    before, render.VALIDATE = render.VALIDATE, True
    yield {draft.name: render.specification(draft.chart) for draft in found if draft.chart is not None}
    render.VALIDATE = before


def encodings(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        if "encoding" in node:
            yield node["encoding"]
        for value in node.values():
            yield from encodings(value)
    elif isinstance(node, list):
        for value in node:
            yield from encodings(value)


def marks(node: Any, kind: str) -> list[dict[str, Any]]:
    inside = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    here = (
        [node]
        if isinstance(node, dict) and isinstance(node.get("mark"), dict) and node["mark"]["type"] == kind
        else []
    )
    return here + [mark for value in inside for mark in marks(value, kind)]


def rows(document: dict[str, Any], mark: dict[str, Any]) -> list[dict[str, Any]]:
    data = mark["data"]
    return list(data["values"] if "values" in data else document["datasets"][data["name"]])


def test_each_chart_that_the_tables_can_feed_is_there(found: list[Draft]) -> None:
    names = {draft.name for draft in found}
    assert {
        "bands",
        "language.similarity-zh-score",
        "language.similarity-zh-cosine",
        "language.similarity-zh-paper",
        "language.similarity-zh-sets",
        "arithmetic.similarity-all-score",
        "language.lens-zh-lens",
        "language.lens-zh-concept",
        "language.lens-zh-contrast",
        "language.trend-zh-mass",
        "arithmetic.trajectory-addition",
        "grid-01",
        "grid-02",
    } <= names
    assert len(names) == len(found)


def test_layers_run_from_0_to_the_last_on_one_scale(documents: dict[str, dict[str, Any]]) -> None:
    seen = 0
    for name, document in documents.items():
        for encoding in encodings(document):
            x = encoding.get("x", {})
            if x.get("field") in OVER_LAYERS and not name.startswith("grid"):
                assert x["scale"]["domain"] == [0, N_LAYERS], name
                assert x["scale"]["nice"] is False
                assert x["axis"]["values"][0] == 0
                assert x["axis"]["values"][-1] == N_LAYERS
                seen += 1
    assert seen > 40


@pytest.mark.parametrize("n_layers", [1, 2, 7, 12, 32, 80, 126])
def test_ticks_are_whole_layers_with_both_ends(n_layers: int) -> None:
    ticks = layer_ticks(n_layers)
    assert ticks[0] == 0
    assert ticks[-1] == n_layers
    assert all(np.diff(ticks) > 0)
    assert len(ticks) <= 11


def test_the_band_behind_a_chart_is_the_verdict_s(documents: dict[str, dict[str, Any]]) -> None:
    for name, low, high in (
        ("language.similarity-zh-score", 2.5, 4.5),
        ("language.lens-zh-lens", 1.5, 5.5),
        ("arithmetic.similarity-all-score", 2.5, 3.5),
    ):
        (rect,) = marks(documents[name], "rect")
        (row,) = rows(documents[name], rect)
        assert (row["layer"], row["end"]) == (low, high)
    assert marks(documents["arithmetic.lens-all-lens"], "rect") == []


def test_an_interval_is_drawn_for_every_line_and_a_null_as_a_band(
    documents: dict[str, dict[str, Any]],
) -> None:
    for name in ("language.similarity-zh-score", "language.lens-zh-concept"):
        areas = marks(documents[name], "area")
        drawn = {row["label"] for area in areas for row in rows(documents[name], area)}
        points = marks(documents[name], "point")
        lines = {row["label"] for point in points for row in rows(documents[name], point)}
        assert lines <= drawn
        assert "null, 95% of draws" in drawn
        assert "null, 95% of draws" not in lines


def test_lines_differ_in_more_than_colour(documents: dict[str, dict[str, Any]]) -> None:
    document = documents["language.lens-zh-lens"]
    shapes = [encoding["shape"]["scale"]["range"] for encoding in encodings(document) if "shape" in encoding]
    assert len(set(shapes[0])) == len(shapes[0]) == 5
    dashes = [tuple(mark["mark"].get("strokeDash", ())) for mark in marks(document, "line")]
    assert len(set(dashes)) == len(dashes)


def test_every_chart_over_layers_says_n(documents: dict[str, dict[str, Any]]) -> None:
    for name, document in documents.items():
        if name != "bands":
            assert re.search(r"n = \d", json.dumps(document)), name


def test_files_are_written_and_hold_what_they_say(folder: Path) -> None:
    figures = draw_all(folder)
    identifiers: set[str] = set()
    for figure in figures:
        stem = folder / "figures" / figure.name
        svg = stem.with_name(figure.name + ".svg").read_text(encoding="utf-8")
        assert svg == figure.svg
        root = ElementTree.fromstring(svg)
        assert not [node for node in root.iter() if node.tag.endswith("script")]
        own = {node.attrib["id"] for node in root.iter() if "id" in node.attrib}
        assert not own & identifiers
        identifiers |= own
        assert float(root.attrib["width"]) >= CANVAS
        assert stem.with_name(figure.name + ".png").read_bytes().startswith(b"\x89PNG")
        assert stem.with_name(figure.name + ".pdf").read_bytes().startswith(b"%PDF")
        table = pd.read_csv(io.BytesIO(stem.with_name(figure.name + ".csv").read_bytes()))
        assert len(table) == len(figure.data) > 0
    results = pd.read_parquet(folder / "results.parquet")
    rows = results[(results["experiment"] == "language.lens") & (results["variant"] == "zh")]
    expected = rows.loc[rows["measure"] == "logprob", "estimate"].to_numpy()
    drawn = next(figure for figure in figures if figure.name == "language.lens-zh-lens").data["estimate"]
    np.testing.assert_array_equal(drawn.to_numpy(), expected)


def test_hostile_tokens_are_text_in_the_grid(folder: Path) -> None:
    figure = next(draft for draft in drafts(read_run(folder)) if draft.name == "grid-01")
    svg = render.to_svg(render.specification(figure.chart), "g")
    assert "<script" not in svg
    texts = "".join(ElementTree.fromstring(svg).itertext())
    assert "<scrip…" in texts
    assert "\u202e" not in texts
    assert set(figure.data["nearest"]) >= {"\\n", "\\0", "\\ud800", "∅", "␣five", "这代表了"}
    assert len(HOSTILE) == figure.data["nearest"].nunique()


def test_charts_without_numbers_are_named_and_not_drawn(tmp_path: Path, folder: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "run")
    results = pd.read_parquet(copy / "results.parquet")
    lens = results["experiment"] == "language.lens"
    results.loc[lens, ["estimate", "ci_low", "ci_high"]] = np.nan
    results = results[~(results["condition"].isin(["twin", "twin_embeddings", "null"]))]
    write_table(results, RESULT_SCHEMA, copy / "results.parquet")
    found = {draft.name: draft for draft in drafts(read_run(copy))}
    assert found["language.lens-zh-lens"].chart is None
    assert found["language.similarity-zh-score"].chart is not None


@pytest.mark.parametrize("name", ["manifest.json", "verdicts.json", "results.parquet"])
@pytest.mark.parametrize("damage", ["gone", "torn"])
def test_a_damaged_folder_is_one_clear_line(tmp_path: Path, folder: Path, name: str, damage: str) -> None:
    copy = shutil.copytree(folder, tmp_path / "run", ignore=shutil.ignore_patterns("figures"))
    (copy / name).unlink() if damage == "gone" else (copy / name).write_bytes(b"{")
    with pytest.raises(RunFolderError, match=name) as caught:
        read_run(copy)
    assert "\n" not in str(caught.value)


def test_a_language_has_one_colour_in_all_charts(documents: dict[str, dict[str, Any]]) -> None:
    colours = []
    for name in ("language.trend-en-mass", "language.trend-zh-mass"):
        scales = [e["color"]["scale"] for e in encodings(documents[name]) if "color" in e]
        colours.append(dict(zip(scales[0]["domain"], scales[0]["range"], strict=True)))
    common = set(colours[0]) & set(colours[1])
    assert {"English", "Chinese", "all others"} <= common
    assert {key: colours[0][key] for key in common} == {key: colours[1][key] for key in common}
    assert len(set(colours[1].values())) == len(colours[1])


def test_identifiers_of_two_charts_in_one_page_are_kept_apart(documents: dict[str, dict[str, Any]]) -> None:
    first, second = (render.to_svg(documents["arithmetic.trajectory-addition"], name) for name in ("a", "b"))
    names = [set(re.findall(r'\bid="([^"]+)"', svg)) for svg in (first, second)]
    assert names[0]
    assert all(name.startswith("a-") for name in names[0])
    assert not names[0] & names[1]
    assert set(re.findall(r"url\(#([^)]+)\)", first)) == names[0]


def test_words_that_vega_reserves_are_drawn_like_others() -> None:
    """Vega takes the string 'if' in an expression for its function of that name."""
    words = ["if", "for", "true", "null", "datum", "i", "it's", "猫"]
    joined = " ".join(f"datum.value == {i} ? {_quoted(word)} :" for i, word in enumerate(words))
    chart = alt.Chart(pd.DataFrame({"x": range(len(words)), "y": 1})).mark_point()
    chart = chart.encode(x=alt.X("x:O", axis=alt.Axis(labelExpr=f"{joined} ''")), y="y:Q")
    shown = html.unescape(render.to_svg(render.specification(chart), "f0"))
    assert [word for word in words if f">{word}<" not in shown] == []


def test_a_chart_that_fails_leaves_the_others(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object, prefix: str) -> str:
        if prefix == "f1":
            raise ValueError("Unrecognized signal name\nmore")
        return "<svg></svg>"

    monkeypatch.setattr(render, "to_svg", fail)
    monkeypatch.setattr(render, "write_files", lambda *_: None)
    figures = draw_all(folder)
    assert [bool(figure.svg) for figure in figures[:3]] == [True, False, True]
    assert figures[1].caption == "This chart could not be drawn: Unrecognized signal name"
