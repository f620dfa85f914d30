"""The page of a synthetic run with hostile tokens: safe, complete, and true to its tables."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from report.fake_run import N_LAYERS, build
from semhub.figures import Figure, draw_all, read_run
from semhub.report import grid_html, grid_rich, verdict_table, write
from semhub.report.doubts import doubts
from semhub.report.page import render
from semhub.report.words import cell, dominant_line, number, p_value
from semhub.results import RESULT_SCHEMA, write_table

CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


class Page(HTMLParser):
    """What a page holds: its elements, their attributes, and the text of its style."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.style = ""
        self._inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {key: value or "" for key, value in attrs}))
        self._inside = tag

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "style":
            self.style += data

    def values(self, attribute: str) -> list[str]:
        return [attrs[attribute] for _, attrs in self.tags if attribute in attrs]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("run"), n_grids=4)


@pytest.fixture(scope="module")
def figures(folder: Path) -> list[Figure]:
    return draw_all(folder)


@pytest.fixture(scope="module")
def text(folder: Path, figures: list[Figure]) -> str:
    return render(read_run(folder), figures)


def test_a_case_of_each_experiment_is_shown_as_text(text: str) -> None:
    assert text.count("&lt;img src=x onerror=alert(1)&gt; &amp; so") == text.count('class="experiment"')


def test_nothing_runs_and_nothing_is_loaded(text: str, folder: Path) -> None:
    grid = json.loads((folder / "grids" / "00.json").read_text())
    for source in (text, grid_html(grid)):
        page = Page(source)
        assert not {"script", "iframe", "object", "embed", "link", "form", "img", "base"} & {
            tag for tag, _ in page.tags
        }
        assert not [key for _, attrs in page.tags for key in attrs if key.startswith("on") or key == "style"]
        assert all(link.startswith(("#", "data:text/csv")) for link in page.values("href"))
        assert not page.values("src")
        assert not re.search(r"url\((?!data:font/woff;base64,|#)", page.style)
        assert "@import" not in page.style
        (policy,) = [attrs["content"] for tag, attrs in page.tags if attrs.get("http-equiv")]
        digest = base64.b64encode(hashlib.sha256(page.style.encode()).digest()).decode()
        assert f"style-src 'sha256-{digest}'" in policy
        assert policy.startswith("default-src 'none';")
        assert not CONTROLS.search(source)
        assert "alert(1)</script>" not in source
        assert "{{ 7*7 }}" in source


def test_links_lead_somewhere_and_names_are_unique(text: str) -> None:
    page = Page(text)
    names = page.values("id")
    assert len(names) == len(set(names))
    targets = {link[1:] for link in page.values("href") if link.startswith("#")}
    assert targets <= set(names)
    assert {"language-P1", "language-P2", "arithmetic-P2", "semantics-P1"} <= targets


def test_the_first_thirty_seconds(text: str) -> None:
    head = text[: text.index('<section class="spoke"')]
    for words in (
        "synthetic/&lt;not-a-model&gt;",
        "2026-11-22",
        "quick preset",
        "lens: final_norm",
        "seed 0",
        "Dominant language: English (0.71 of the mass at layer 4; next: Chinese 0.20)",
        "● supported",
        "○ not supported",
        "◌ untestable",
        "+0.71 [0.67, 0.75]",
        "+3.40 [3.36, 3.44] nat",
        "L3–4",
        "n = 98 in 95 clusters",
        "fewer than 30 clusters (12)",
        "not run",
    ):
        assert words in head, words


def test_every_chart_has_its_numbers_one_click_away(text: str, figures: list[Figure], folder: Path) -> None:
    links = {attrs["download"]: attrs["href"] for tag, attrs in Page(text).tags if "download" in attrs}
    shown = [figure for figure in figures if figure.name != "bands" and not figure.name.startswith("grid-")]
    assert set(links) == {f"{figure.name}.csv" for figure in shown}
    for figure in shown:
        data = base64.b64decode(links[f"{figure.name}.csv"].split("base64,")[1])
        assert data == (folder / "figures" / f"{figure.name}.csv").read_bytes()


def test_what_a_careful_reader_looks_for(text: str) -> None:
    for words in (
        "197 kept of 250 given",
        "<b>zero_overlap</b>: no &lt;word&gt; in common.",
        "50 shares a word or number",
        "If the hypothesis were false:",
        "Where this could be wrong",
        "How to run this again",
        "semhub run synthetic --preset quick --out &#39;runs/&lt;b&gt;&#39;",
        "1" * 64,
        "last_layer",
        "published value not on file",
        "&lt;b&gt;not&lt;/b&gt; reversed",
        "29% of the pairs share a digit or a Latin string",
        "arithmetic: the predictions disagree (P1 supported, P2 not).",
    ):
        assert words in text, words


def test_controls_that_come_close_and_controls_that_are_missing_are_said(tmp_path: Path) -> None:
    folder = build(tmp_path / "run", twins=False, n_grids=0)
    results = pd.read_parquet(folder / "results.parquet")
    negative = (results["condition"] == "hard_negative") & (results["measure"] == "cosine_centred")
    results.loc[negative, "estimate"] = 0.6
    echo = (results["condition"] == "third_language") & (results["measure"] == "logprob")
    results.loc[echo, "estimate"] = -0.5
    write_table(results, RESULT_SCHEMA, folder / "results.parquet")
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["self_checks"][0]["deviation"] = 0.9 * manifest["self_checks"][0]["tolerance"]
    manifest["dominant"] = {"status": "abstain", "language": "zh", "reason": "why", "scored": "en"}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    said = "\n".join(doubts(read_run(folder)))
    for words in (
        "no twins (re-initialised copies of the model) were run",
        "“beats the twins” was not made: control missing",
        "hard negatives come close: centred cosine 0.60",
        "the word in a third language is read at −0.50 nat",
        "only 9 clusters",
        "in the paper's bare form the score is",
        "197 of 400 cases were kept",
        "passed close to its tolerance",
        "No dominant language could be named",
    ):
        assert words in said, words


def test_a_clean_run_is_not_talked_down(tmp_path: Path) -> None:
    folder = build(tmp_path / "run", n_grids=0)
    said = "\n".join(doubts(read_run(folder)))
    assert "twin" not in said
    assert "hard negatives" not in said
    assert "third language" not in said


@pytest.mark.parametrize(
    ("word", "native", "told"),
    [("not_supported", 0.05, True), ("not_supported", 0.2, False), ("supported", 0.05, False)],
)
def test_a_model_that_nothing_steers_is_named(tmp_path: Path, word: str, native: float, told: bool) -> None:
    folder = build(tmp_path / "run", n_grids=0)
    checks = [
        {"name": f"words/zh: reference: the native direction{where}", "value": value}
        for where, value in (("", native), (" in layers chosen for it", 0.01))
    ]
    verdict = {"spoke": "language", "prediction": "P3", "verdict": word, "checks": checks, "n_clusters": 90}
    (folder / "verdicts.json").write_text(json.dumps([verdict]))
    said = "\n".join(doubts(read_run(folder)))
    assert ("moved the output by 0.050 nat only" in said) == told


def test_a_run_with_almost_nothing_still_has_a_page_and_no_half_written_one(
    tmp_path: Path, folder: Path
) -> None:
    copy = shutil.copytree(
        folder, tmp_path / "run", ignore=shutil.ignore_patterns("figures", "grids", "shards")
    )
    results = pd.read_parquet(copy / "results.parquet").iloc[:0]
    write_table(results, RESULT_SCHEMA, copy / "results.parquet")
    (copy / "verdicts.json").write_text("[]")
    manifest = json.loads((copy / "manifest.json").read_text())
    for key in ("data", "cases", "self_checks", "warnings"):
        manifest[key] = []
    manifest["dominant"] = {"status": "none"}
    (copy / "manifest.json").write_text(json.dumps(manifest))
    page = write(copy)
    assert page == copy / "report.html"
    assert not list(copy.glob("*.tmp"))
    text = page.read_text(encoding="utf-8")
    assert text.count('<span class="why">not run</span>') == 6 + 4
    assert "Dominant language: none" in text


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.314, "0.31"),
        (-3.4, "−3.40"),
        (0.0123, "0.012"),
        (float("nan"), "–"),
        (None, "–"),
        (1e-5, "1e-05"),
        (0, "0.000"),
    ],
)
def test_numbers(value: float | None, shown: str) -> None:
    assert number(value) == shown


def test_words_of_verdicts() -> None:
    assert p_value(0.0004) == "p < 0.001"
    assert p_value(0.05) == "p = 0.05"
    assert p_value(None) == ""
    assert cell(None).reason == "not run"
    checks = [{"name": "a", "passed": False}, {"name": "b", "passed": True}, {"name": "c", "passed": False}]
    failed = {"verdict": "not_supported", "reason": "failed: a (long); c (long)", "checks": checks}
    assert cell(failed).reason == "failed: a and 1 more"
    blind = "the input's own direction moves the output by +0.01 nat only"
    told = cell({**failed, "reason": f"failed: a (long); c (long); {blind}"}).reason
    assert told == f"failed: a and 1 more; {blind}"
    assert cell({"verdict": "supported", "reason": "all conditions hold in the band"}).reason == ""
    assert "given" in dominant_line({"status": "given", "language": "en"})
    assert dominant_line({"status": "two", "language": "en", "runner_up": "zh", "mass": 0.4}).startswith(
        "Dominant language: two, English (0.40) and Chinese"
    )


def printed(item: object, width: int = 100) -> str:
    console = Console(width=width, record=True, color_system=None, file=io.StringIO())
    console.print(item)
    return console.export_text()


def test_the_terminal_says_the_same(folder: Path) -> None:
    run = read_run(folder)
    text = printed(verdict_table(run.verdicts, run.manifest))
    for words in (
        "● supported",
        "L3–4",
        "+0.71 [0.67, 0.75]",
        "○ not supported",
        "◌ untestable",
        "Dominant language: English",
    ):
        assert words in text
    assert len(text.splitlines()) < 25


def test_the_grid_fits_its_terminal(folder: Path) -> None:
    grid = json.loads((folder / "grids" / "00.json").read_text())
    text = printed(grid_rich(grid), width=80)
    assert max(len(line) for line in text.splitlines()) <= 80
    assert "<script…" in text
    tables = text.count(" layer ")
    assert tables == 3
    for layer in range(N_LAYERS + 1):
        assert len(re.findall(rf"^ +{layer} ", text, flags=re.MULTILINE)) == tables
    assert not CONTROLS.search(text)
    for token in ("\\n", "␣five", "这代表了"):
        assert token in text
