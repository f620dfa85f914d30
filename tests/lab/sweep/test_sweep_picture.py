"""The pictures and the page: there, valid, with the table's numbers, and nothing unescaped."""

from __future__ import annotations

import io
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from lab.sweep import fake_sweep as fake
from semhub.figures import render
from semhub.lab.pool import Failure
from semhub.lab.sweep import page, picture
from semhub.lab.sweep.table import tidy

NAMES = ["onset", "language-P1", "language-P2"]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    folder = tmp_path_factory.mktemp("cells")
    grid = fake.grid(d_model=[96, 48], n_layers=[5, 6])
    fake.write(folder, grid, lambda cell, step: "supported" if step == 20 else "not_supported")
    return tidy(grid, folder)


@pytest.fixture(scope="module")
def drawn(table: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Any]]:
    folder = tmp_path_factory.mktemp("figures")
    before, render.VALIDATE = render.VALIDATE, True
    yield folder, picture.draw(table, folder)
    render.VALIDATE = before


def texts(svg: str) -> list[str]:
    return [
        "".join(node.itertext()) for node in ElementTree.fromstring(svg).iter() if node.tag.endswith("text")
    ]


def test_every_picture_is_written(drawn: tuple[Path, Any]) -> None:
    folder, pictures = drawn
    assert [one.draft.name for one in pictures] == NAMES
    for name in NAMES:
        assert (folder / f"{name}.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
        assert (folder / f"{name}.pdf").read_bytes()[:5] == b"%PDF-"
        ElementTree.parse(folder / f"{name}.svg")


def test_a_heat_map_shows_the_weakest_effect_of_every_step_and_layer(drawn: tuple[Path, Any]) -> None:
    folder, pictures = drawn
    frame = pictures[1].draft.data
    assert len(frame) == 4 * 2 * 6
    assert set(frame["variant"]) == {"zh"}
    shown = texts(pictures[1].svg)
    for width, step, shape in ((96, 20, 1.0), (48, 10, 0.5), (96, 10, 0.25)):
        assert f"{step * width / 1000 * shape:.2f}" in shown
    for panel in ("width 96, depth 5", "width 48, depth 6", "training step", "layer"):
        assert panel in shown
    saved = pd.read_csv(folder / "language-P1.csv")
    assert saved["effect"].max() == pytest.approx(1.92)


def test_the_band_of_a_supported_verdict_is_framed(drawn: tuple[Path, Any]) -> None:
    p1, p2 = (one.draft.data for one in drawn[1][1:])
    framed = p1[p1["in_band"]]
    assert set(framed["layer"]) == {2, 3}
    assert set(framed["step"]) == {20}
    assert not p2["in_band"].any()


def test_negative_effects_keep_their_sign_and_missing_ones_are_blank(drawn: tuple[Path, Any]) -> None:
    shown = texts(drawn[1][2].svg)
    assert "-1.92" in shown or "−1.92" in shown
    assert len(drawn[1][2].draft.data) == 4 * 2 * 5
    assert not any("nan" in text for text in shown)


def test_the_onset_shows_the_grid(drawn: tuple[Path, Any]) -> None:
    first = drawn[1][0]
    shown = texts(first.svg)
    assert shown.count("1/1 from 20") == 4
    assert shown.count("0/1") == 4
    assert {"48", "96", "width", "depth 5", "depth 6", "language P1", "language P2"} <= set(shown)


def test_one_cell_without_any_varying_axis(tmp_path: Path) -> None:
    grid = fake.grid()
    fake.write(tmp_path, grid, lambda cell, step: "not_supported")
    pictures = picture.draw(tidy(grid, tmp_path), tmp_path)
    assert grid[0].id in texts(pictures[1].svg)


def test_the_page_stands_alone_and_escapes(
    table: pd.DataFrame, drawn: tuple[Path, Any], tmp_path: Path
) -> None:
    file = tmp_path / "sweep.html"
    page.write(
        file,
        table,
        drawn[1],
        [Failure("cell<1>", "no <script>alert(1)</script>")],
        recipe="mini",
        n_cells=5,
        facts={"width": "96, 48"},
        command="semhub lab sweep --width 96,48 & '<x>'",
    )
    text = file.read_text(encoding="utf-8")
    assert "4 of 5 organisms" in text
    assert "<script" not in text
    assert "cell&lt;1&gt;" in text
    assert "&lt;b&gt;&amp; this&lt;/b&gt;" in text
    assert "&lt;x&gt;" in text
    assert text.count("<svg") == 3
    assert "1.92" in text
    for outside in ('src="http', 'href="http', "url(http", "@import"):
        assert outside not in text
    tables = pd.read_html(io.StringIO(text)) if _has_lxml() else []
    assert all(len(one) for one in tables)


def _has_lxml() -> bool:
    try:
        import lxml  # noqa: F401
    except ImportError:
        return False
    return True


def test_a_page_without_any_finished_cell(tmp_path: Path) -> None:
    file = tmp_path / "sweep.html"
    empty = tidy([], tmp_path)
    assert picture.draw(empty, tmp_path) == []
    page.write(file, empty, [], [Failure("a", "why")], recipe="mini", n_cells=1, facts={}, command="")
    assert "No organism is finished yet" in file.read_text(encoding="utf-8")
