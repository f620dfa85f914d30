"""The picture's patches in a page and in the terminal, from tables alone: hostile words, large grids, no grid."""

from __future__ import annotations

import base64
import hashlib
import html
import io
import json
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_run import HOSTILE, build
from rich.cells import cell_len
from rich.console import Console

from semhub.figures import draw_all, read_run, visible
from semhub.figures.overview import strip
from semhub.figures.tables import closed
from semhub.pictures import mask_png
from semhub.report import grid_html, grid_rich, verdict_table
from semhub.report.layered import SCRIPT, shown_words
from semhub.report.page import render
from semhub.report.picture import picture_views

WORDS = [*HOSTILE, "مرحبا", "👩‍👩‍👧", "red", " blue", "红色", "a" * 60]


def uri(width: int = 48, height: int = 48) -> str:
    """A checkerboard as a data URI."""
    y, x = np.mgrid[:height, :width]
    return "data:image/png;base64," + base64.b64encode(mask_png((x // 8 + y // 8) % 2 == 0)).decode()


def picture_grid(
    rows: int = 4,
    columns: int = 6,
    n_layers: int = 4,
    known: bool = True,
    words: list[str] | None = None,
    k: int = 5,
) -> dict[str, Any]:
    """A grid of a content with one picture; the nearest token of patch i at layer l is word (l + i) % n."""
    words = WORDS if words is None else words
    n = rows * columns
    places = np.arange(n)[None, :, None] + np.arange(n_layers + 1)[:, None, None] + np.arange(k)
    picture = {
        "at": 0,
        "rows": rows if known else 0,
        "columns": columns if known else 0,
        "positions": list(range(1, n + 1)),
        "elsewhere": 0,
        "words": [[word, "en" if word.isascii() else None] for word in words],
        "top": (places % len(words)).tolist(),
        "p": np.broadcast_to(0.7 / (1 + np.arange(k)), places.shape).round(6).tolist(),
        "picture": {"uri": uri(8 * columns, 8 * rows), "width": 8 * columns, "height": 8 * rows},
    }
    cell = [{"token": "x", "p": 0.5, "language": None}]
    return {
        "experiment": "", "case_id": "", "title": "￼ What is it?", "lens": "final_norm", "dominant": "en",
        "layers": list(range(n_layers + 1)), "tokens": ["<s>"], "positions": [0],
        "cells": [[cell] for _ in range(n_layers + 1)], "pictures": [picture],
    }  # fmt: skip


class Page(HTMLParser):
    """Tags with their attributes, and the text of scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.inside: dict[str, str] = {"script": "", "style": ""}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {key: value or "" for key, value in attrs}))

    def handle_data(self, data: str) -> None:
        if self.cdata_elem in self.inside:
            self.inside[self.cdata_elem] += data

    def only(self, tag: str, **wanted: str) -> dict[str, str]:
        (found,) = [attrs for name, attrs in self.tags if name == tag and wanted.items() <= attrs.items()]
        return found


def unpacked(box: dict[str, str], shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """(places in the table of words, probabilities) [layer, patch, rank], as the page's script reads them."""
    wide = int(box["data-wide"])
    raw = np.frombuffer(base64.b64decode(box["data-packed"]), dtype=np.uint8).reshape(*shape, wide + 1)
    words = sum(raw[..., i].astype(int) << (8 * i) for i in range(wide))
    return np.asarray(words), (raw[..., -1] / 255) ** 2


def test_one_known_script_and_nothing_else_runs() -> None:
    page = Page(grid_html(picture_grid()))
    assert [tag for tag, _ in page.tags].count("script") == 1
    assert page.inside["script"] == SCRIPT
    digest = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
    policy = page.only("meta", **{"http-equiv": "Content-Security-Policy"})["content"]
    assert f"script-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none';")
    assert not {"iframe", "object", "embed", "link", "form", "img", "base"} & {tag for tag, _ in page.tags}
    assert not [key for _, attrs in page.tags for key in attrs if key.startswith("on") or key == "style"]
    assert all(attrs["href"].startswith("data:image/png;") for tag, attrs in page.tags if tag == "image")
    assert not re.search(r"innerHTML|eval|document\.write|https?:", SCRIPT)


def test_without_a_picture_there_is_no_script() -> None:
    page = grid_html({**picture_grid(), "pictures": []})
    assert "<script" not in page
    assert "script-src" not in page


def test_hostile_words_arrive_as_text() -> None:
    text = grid_html(picture_grid())
    box = Page(text).only("div", **{"class": "patchbox"})
    words = box["data-words"].split("\n")
    assert len(words) == len(WORDS) == len(box["data-spoken"].split())
    assert "<script>alert(1)</script>" in words
    assert "</style>" in words
    assert "\\n" in words
    assert "\\u202egnp.exe" in words
    assert "مرحبا" in words
    assert "<script>alert" not in text
    assert "\u202e" not in text


@pytest.mark.parametrize("n_words", [26, 70_000])
def test_all_layers_are_packed_as_they_are(n_words: int) -> None:
    words = [f"w{i}" for i in range(n_words)]
    grid = picture_grid(3, 5, 6, words=words)
    grid["pictures"][0]["top"][4][7] = [n_words - 1, 2, 1, 0, 3]
    grid["pictures"][0]["p"][4][7] = [0.9, 0.05, 0.003, 0.0, 1.0]
    box = Page(grid_html(grid)).only("div", **{"class": "patchbox"})
    places, p = unpacked(box, (7, 15, 5))
    np.testing.assert_array_equal(places, grid["pictures"][0]["top"])
    np.testing.assert_allclose(p, grid["pictures"][0]["p"], atol=0.005)
    assert box["data-layers"] == "0 1 2 3 4 5 6"


def test_the_first_layer_is_the_middle_of_the_band_or_of_the_model() -> None:
    grid = picture_grid(2, 2, 8, words=[f"w{i}" for i in range(40)])
    for wanted, shown in ((None, 4), (6, 6)):
        (view,) = picture_views(grid, wanted)
        assert view["layer"] == shown == view["start"]
        assert [str(cell["text"]) for cell in view["cells"]] == [f"w{shown + i}" for i in range(4)]
        assert str(view["cells"][1]["tip"]).startswith(f"w{shown + 1} 0.70, w{shown + 2} 0.35")


def test_a_large_grid_stays_small() -> None:
    rng = np.random.default_rng(0)
    words = ["".join(rng.choice(list("abcdefgh"), 6)) for _ in range(6000)]
    grid = picture_grid(24, 24, 32, words=words)
    assert len(grid_html(grid).encode()) < 640 * 1024
    (view,) = picture_views(grid)
    assert view["layers"].split()[-1] == "32"
    assert view["n_shown"] == 17
    assert not view["all_layers"]
    assert sum(len(str(value)) for value in view.values()) < 400 * 1024


def test_a_grid_that_is_not_known_is_a_list() -> None:
    text = grid_html(picture_grid(5, 6, known=False))
    assert "patch grid is not known: the picture's 30 positions" in text
    page = Page(text)
    assert page.only("svg", **{"class": "alone"})
    assert page.only("rect", **{"class": "paper"})
    assert page.only("div", **{"class": "patchbox"})["data-columns"] == "16"


def test_a_cropped_picture_lies_where_its_patches_are() -> None:
    grid = picture_grid(4, 4)
    assert "do not cover the picture" not in grid_html(grid)
    grid["pictures"][0] |= {
        "box": [0.25, 0.0, 0.75, 1.0],
        "picture": {"uri": uri(64, 32), "width": 64, "height": 32},
    }
    text = grid_html(grid)
    page = Page(text)
    (shown,) = [attrs for tag, attrs in page.tags if tag == "image"]
    side = 4 * 72
    assert [float(shown[key]) for key in ("x", "y", "width", "height")] == [-side / 2, 0, 2 * side, side]
    assert page.only("path", **{"class": "unseen"})
    assert "do not cover the picture" in text


def test_only_the_nearest_words_need_glyphs() -> None:
    grid = picture_grid(1, 2, 0, words=["红", "蓝", "绿"], k=2)
    assert shown_words(grid) == "红蓝"


def printed(grid: dict[str, Any], width: int = 80, **options: Any) -> str:
    file = io.StringIO()
    Console(width=width, file=file, color_system=None, **options).print(grid_rich(grid))
    return file.getvalue()


def test_a_terminal_of_80_columns() -> None:
    text = printed(picture_grid(24, 24, 32))
    assert max(map(cell_len, text.splitlines())) <= 80
    assert len(text.split("text:")[0].splitlines()) < 45
    said = " ".join(text.split())
    assert "picture: 24 rows x 24 columns of patches; shown: every 4th row and column, 4 of 33 layers" in said
    assert "all: --html or --json" in said
    assert "nearest most often" in said
    for layer in (8, 16, 24, 32):
        assert re.search(rf"^ +{layer} +0  ", text, flags=re.MULTILINE)
    assert "\u202e" not in text
    whole = printed(picture_grid(2, 3, 3))
    assert "shown:" not in whole
    unknown = " ".join(printed(picture_grid(5, 6, known=False)).split())
    assert "30 positions in the order of the model, whose patch grid is not known" in unknown


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with one text grid and three pictures, of a model that has no ears."""
    made = build(tmp_path_factory.mktemp("run"), n_grids=1)
    for number in range(3):
        grid = {**picture_grid(), "experiment": "language.lens", "case_id": f"picture:{number}"}
        (made / "grids" / f"{11 + number}.json").write_text(json.dumps(grid))
    manifest = json.loads((made / "manifest.json").read_text())
    picture = {"uri": uri(), "width": 48, "height": 48}
    manifest["experiments"][0]["example"] = [{"label": "a", "text": "⟨picture⟩", "picture": picture}]
    (made / "manifest.json").write_text(json.dumps(manifest))
    verdicts = json.loads((made / "verdicts.json").read_text())
    verdicts += [
        {"spoke": "audio", "prediction": p, "verdict": "untestable", "reason": REASON, "layers": [], "n": 0}
        for p in ("P1", "P2", "P3")
    ]
    (made / "verdicts.json").write_text(json.dumps(verdicts))
    return made


REASON = "this model takes no sounds"


def test_a_report_with_pictures(folder: Path) -> None:
    run = read_run(folder)
    grids_alone = replace(run, results=run.results[:0], plane=run.plane[:0])
    text = render(run, draw_all(grids_alone))
    page = Page(text)
    boxes = [attrs for tag, attrs in page.tags if attrs.get("class") == "patchbox"]
    assert len(boxes) == 3
    assert page.inside["script"] == SCRIPT
    assert "runs no script" not in text
    assert ">layer 3<" in text, "the middle of the band 2 to 5 of P2"
    shown = [
        attrs for tag, attrs in page.tags if tag == "svg" and "of this case" in attrs.get("aria-label", "")
    ]
    assert [attrs["width"] for attrs in shown] == ["160"]
    for name in ("svg", "png", "pdf", "csv"):
        assert (folder / "figures" / f"grid-02-picture-0.{name}").stat().st_size > 500
    assert "data:image/png" in (folder / "figures" / "grid-02-picture-0.svg").read_text()


def test_a_spoke_that_the_model_cannot_take_is_one_line(folder: Path) -> None:
    run = read_run(folder)
    text = render(run, [])
    assert text.count(REASON) == 1
    assert 'id="audio"' not in text
    assert 'href="#audio' not in text
    assert not [row for row in strip(run).data["row"] if "audio" in row]
    file = io.StringIO()
    Console(width=120, file=file).print(verdict_table(run.verdicts, run.manifest))
    assert " ".join(file.getvalue().split()).count("untestable: this model") == 1
    not_run = [{**one, "reason": f"not run: {one.get('experiment')}"} for one in run.verdicts]
    assert not any(closed(str(one["spoke"]), not_run) for one in not_run)


CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PROBE = """<script>addEventListener("load", () => {
  const box = document.querySelector(".patchbox"), slider = box.querySelector("input[type=range]");
  slider.value = 1; slider.dispatchEvent(new Event("input"));
  box.querySelectorAll("g")[5].dispatchEvent(new MouseEvent("click", {bubbles: true}));
  document.body.append(Object.assign(document.createElement("pre"), {id: "probe", textContent: JSON.stringify({
    told: box.querySelector("output").textContent, where: box.querySelector(".where").textContent,
    tops: [...box.querySelectorAll(".tops bdi")].map((one) => one.textContent),
    share: box.querySelector(".tops i").textContent,
    words: [...box.querySelectorAll("g text")].map((one) => one.textContent)})}));
});</script>"""


@pytest.mark.skipif(CHROMIUM is None, reason="no browser on this machine")
def test_the_slider_in_a_browser(tmp_path: Path) -> None:
    """The page's own policy would forbid the probe, so it is taken out here; the page's script is the same."""
    text = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", grid_html(picture_grid()))
    page = tmp_path / "page.html"
    page.write_text(text.replace("</body>", PROBE + "</body>"), encoding="utf-8")
    command = [
        str(CHROMIUM),
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        f"--user-data-dir={tmp_path}/profile",
    ]
    done = subprocess.run(
        [*command, "--dump-dom", page.as_uri()], capture_output=True, text=True, timeout=120, check=False
    )
    found = json.loads(html.unescape(re.search(r'<pre id="probe">(.*?)</pre>', done.stdout, re.DOTALL)[1]))  # type: ignore[index]
    shown = [visible(word) for word in WORDS]
    assert found["told"] == "layer 1"
    assert found["where"] == "layer 1, row 0, column 5"
    assert found["tops"] == [shown[i] for i in range(6, 11)]
    assert found["share"] == "0.70"
    assert found["words"][:3] == ["]]>", "\"'`onloa…", "\\n"]
    assert len(found["words"]) == 24
