"""A sound's windows in a page and in the terminal, from tables alone: where tokens stand, hostile words, no times."""

from __future__ import annotations

import base64
import html
import io
import json
import re
import shutil
import subprocess
import wave
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_run import HOSTILE, build
from rich.cells import cell_len
from rich.console import Console
from test_picture_grid import Page, picture_grid, unpacked

from semhub.figures import draw_all, read_run, visible
from semhub.figures.windows import MOST_LANES, WIDTH, lay_out, ticks
from semhub.pictures import open_picture
from semhub.report import grid_html, grid_rich
from semhub.report.layered import SCRIPT
from semhub.report.page import render
from semhub.report.sound import POSITIONS, sound_views
from semhub.runs.embed import PLAYED, RATE, drawn_sound, embedded_sound
from semhub.runs.examples import example
from semhub.runs.grids import _examples
from semhub.runs.plan import Built
from semhub.runs.spectrogram import BANDS, mel_power, spectrogram
from semhub.sounds import wav
from semhub.types import Area, Content, Experiment, Image, Kept, LensCase, LensSet, Sound

WORDS = [*HOSTILE, "مرحبا", "dog", " frog", "红色", "a" * 60]
Windows = list[list[float]]


def tone(seconds: float, frequency: float = 1000.0, rate: int = RATE) -> np.ndarray:
    t = np.arange(round(seconds * rate)) / rate
    return (0.5 * np.sin(2 * np.pi * frequency * t)).astype(np.float32)


def even(n: int, width: float) -> Windows:
    return [[round(i * width, 4), round((i + 1) * width, 4)] for i in range(n)]


def sound_grid(
    times: Windows | None, seconds: float = 3.0, n: int = 8, n_layers: int = 4, played: float = PLAYED
) -> dict[str, Any]:
    """A grid of a content with one sound; the nearest token of window i at layer l is word (l + i) % n."""
    n = n if times is None else len(times)
    places = np.arange(n)[None, :, None] + np.arange(n_layers + 1)[:, None, None] + np.arange(5)
    sound = {
        "at": 6,
        "positions": list(range(3, 3 + n)),
        "times": times,
        "words": [[word, "en" if word.isascii() else None] for word in WORDS],
        "top": (places % len(WORDS)).tolist(),
        "p": np.broadcast_to(0.7 / (1 + np.arange(5)), places.shape).round(6).tolist(),
        "clip": embedded_sound(Sound(data=wav(tone(seconds), RATE)), played=played),
    }
    cell = [{"token": "x", "p": 0.5, "language": None}]
    return {
        "experiment": "", "case_id": "", "title": "USER: \ufff9 What can be heard?", "lens": "final_norm",
        "dominant": "en", "layers": list(range(n_layers + 1)), "tokens": ["<s>"], "positions": [0],
        "cells": [[cell] for _ in range(n_layers + 1)], "pictures": [], "sounds": [sound],
    }  # fmt: skip


def test_each_token_stands_below_its_window() -> None:
    layout = lay_out([(0.0, 1.0), (1.0, 2.0), (2.5, 3.0)])
    assert layout is not None
    assert layout.rows == ((0.0, 3.0),)
    assert [cell.x / layout.scale for cell in layout.cells] == pytest.approx([0, 1, 2.5])
    assert [cell.width / layout.scale for cell in layout.cells] == pytest.approx([1, 1, 0.5])
    assert not layout.overlap


def test_overlaps_are_cut_in_the_middle_and_said() -> None:
    layout = lay_out([(0.0, 2.0), (1.0, 3.0), (2.0, 4.0)])
    assert layout is not None
    assert layout.overlap
    assert [(cell.start, cell.end) for cell in layout.cells] == [(0, 1.5), (1.5, 2.5), (2.5, 4)]


def test_one_window_of_several_tokens_has_them_below_each_other() -> None:
    layout = lay_out([(0.0, 1.0), (0.0, 1.0), (1.0, 2.0), (1.0, 2.0)])
    assert layout is not None
    assert [cell.lane for cell in layout.cells] == [0, 1, 0, 1]
    assert [cell.start for cell in layout.cells] == [0, 0, 1, 1]
    assert lay_out([(0.0, 1.0)] * (MOST_LANES + 1)) is None
    assert lay_out([(1.0, 2.0), (0.0, 1.0)]) is None, "not in order"


def test_many_windows_take_several_rows_of_one_scale() -> None:
    layout = lay_out([(i * 0.04, i * 0.04 + 0.04) for i in range(750)])
    assert layout is not None
    assert len(layout.rows) == 30
    assert layout.rows[0][0] == 0
    assert layout.rows[-1][1] == pytest.approx(30)
    assert max(cell.x + cell.width for cell in layout.cells) <= WIDTH + 1e-6
    assert {round(cell.width, 6) for cell in layout.cells} == {round(layout.cells[0].width, 6)}
    assert [cell.row for cell in layout.cells] == [i // 25 for i in range(750)]


def test_the_axis_has_round_numbers() -> None:
    assert [text for _, text in ticks(0.9, 3.1, 100)] == ["1 s", "2 s"]
    assert [at for at, _ in ticks(0.9, 3.1, 100)] == pytest.approx([10, 110])


def test_a_tone_is_drawn_where_it_lies() -> None:
    power = mel_power(tone(1.0, 1000.0), RATE, 160)
    assert power.shape == (BANDS, 100)
    bands = power[:, 50].argmax(), mel_power(tone(1.0, 4000.0), RATE, 160)[:, 50].argmax()
    scale = 2595 * np.log10(1 + np.array([1000, 4000, 8000]) / 700)
    assert bands == pytest.approx(scale[:2] / scale[2] * (BANDS + 1) - 1, abs=0.6)
    late = np.concatenate([np.zeros(RATE // 2, np.float32), tone(0.5)])
    loud = mel_power(late, RATE, 160).sum(0)
    assert loud[:48].max() < 1e-6 * loud[52:].max()
    picture, seconds = spectrogram(late, RATE)
    grey = np.asarray(open_picture(Image(data=picture)).convert("L"))
    assert seconds == pytest.approx(1.0)
    assert grey.shape == (BANDS, 100)
    assert grey[:, :45].min() == 255, "silence is white"
    assert grey[: BANDS // 2, 75].min() > grey[BANDS // 2 :, 75].min() == 0, (
        "low is at the bottom, loud is black"
    )


def test_silence_and_one_sample_are_drawn() -> None:
    for samples in (np.zeros(RATE, np.float32), np.ones(1, np.float32)):
        picture, _ = spectrogram(samples, RATE)
        assert open_picture(Image(data=picture)).size[1] == BANDS
    assert np.asarray(open_picture(Image(data=spectrogram(np.zeros(RATE, np.float32), RATE)[0]))).min() == 255


def test_what_is_embedded_is_capped() -> None:
    sound = Sound(data=wav(tone(12.0, rate=8000), 8000))
    assert embedded_sound(sound, drawn=12.0)["played"] == PLAYED
    clip = embedded_sound(sound, drawn=5.0)
    with wave.open(io.BytesIO(base64.b64decode(clip["uri"].split(",")[1]))) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, RATE)
        assert file.getnframes() == PLAYED * RATE
    assert (clip["played"], clip["seconds"], clip["spectrogram"]["seconds"]) == (PLAYED, 12.0, 5.0)
    assert len(clip["uri"]) < 430_000
    thumb = drawn_sound(Sound(data=wav(tone(2.0), RATE)))
    assert open_picture(Image(data=base64.b64decode(thumb["uri"].split(",")[1]))).size == (320, 96)


def test_the_page_of_a_sound() -> None:
    text = grid_html(sound_grid(even(8, 0.34)))
    page = Page(text)
    assert page.inside["script"] == SCRIPT
    policy = page.only("meta", **{"http-equiv": "Content-Security-Policy"})["content"]
    assert "media-src data:;" in policy
    assert policy.startswith("default-src 'none';")
    assert page.only("audio")["src"].startswith("data:audio/wav;base64,")
    assert "controls" in page.only("audio")
    assert not {"iframe", "object", "embed", "link", "form", "img", "base"} & {tag for tag, _ in page.tags}
    assert not [key for _, attrs in page.tags for key in attrs if key.startswith("on") or key == "style"]
    names = [attrs["id"] for tag, attrs in page.tags if tag == "image"]
    assert [attrs["href"] for tag, attrs in page.tags if tag == "use"] == [f"#{name}" for name in names]
    assert "⟨sound⟩ What can be heard?" in text
    assert "without a time axis" not in text
    box = page.only("div", **{"class": "patchbox clipbox"})
    assert box["data-places"].split("\n")[1] == "0.34 to 0.68 s"
    assert box["data-starts"].split()[:2] == ["0", "0.34"]


def test_hostile_words_over_a_sound_arrive_as_text() -> None:
    text = grid_html(sound_grid(even(len(WORDS), 0.2)))
    box = Page(text).only("div", **{"class": "patchbox clipbox"})
    words = box["data-words"].split("\n")
    assert len(words) == len(WORDS)
    assert {"<script>alert(1)</script>", "</style>", "\\n", "\\u202egnp.exe"} <= set(words)
    assert "<script>alert" not in text
    assert "\u202e" not in text


def test_all_layers_of_a_sound_are_packed_as_they_are() -> None:
    grid = sound_grid(even(8, 0.34), n_layers=6)
    box = Page(grid_html(grid)).only("div", **{"class": "patchbox clipbox"})
    places, p = unpacked(box, (7, 8, 5))
    np.testing.assert_array_equal(places, grid["sounds"][0]["top"])
    np.testing.assert_allclose(p, grid["sounds"][0]["p"], atol=0.005)
    (view,) = sound_views(grid, 2)
    assert view["layer"] == 2
    assert str(view["cells"][1]["tip"]).startswith(f"{visible(WORDS[3])} 0.70, ")
    assert [cell["kind"] for cell in view["cells"]] == [
        "s7 dom" if WORDS[2 + i].isascii() else "s7" for i in range(8)
    ]


def test_without_times_the_tokens_stand_in_order_and_the_page_says_so() -> None:
    text = grid_html(sound_grid(None, n=40))
    assert "not known for this model: the sound&#39;s 40 positions stand in the order" in text
    box = Page(text).only("div", **{"class": "patchbox clipbox"})
    assert box["data-starts"] == box["data-places"] == ""
    assert text.count("<g>") == 40
    crowded = grid_html(sound_grid([[0.0, 3.0]] * 12))
    assert "cannot be drawn side by side" in crowded
    assert (
        Page(crowded).only("div", **{"class": "patchbox clipbox"})["data-places"].startswith("0.00 to 3.00")
    )


@pytest.mark.parametrize(
    ("grid", "words"),
    [
        (sound_grid(even(88, 1 / 3), 5.0), "The clip ends at 5 s; what follows is filled up"),
        (sound_grid(even(8, 0.5), 12.0), "The tokens carry the first 4 s of 12 s."),
        (sound_grid(even(8, 0.5), 12.0), "The first 10 s of 12 s can be played."),
        (sound_grid([[i * 0.3, i * 0.3 + 0.6] for i in range(9)]), "The windows overlap"),
        (sound_grid([[i // 2, i // 2 + 1] for i in range(6)]), "below each other, in order"),
        (sound_grid(even(1200, 0.0025)), f"The first {POSITIONS} of 1200 positions are shown."),
    ],
)
def test_what_a_reader_must_know_is_said(grid: dict[str, Any], words: str) -> None:
    assert words in grid_html(grid)


def test_a_page_stays_small() -> None:
    grid = sound_grid(even(750, 0.04), 30.0, n_layers=32)
    (view,) = sound_views(grid)
    assert view["n_shown"] < 20
    assert sum(len(str(value)) for value in view.values()) < 1_300_000


def test_a_sound_without_a_clip_is_tokens_alone() -> None:
    grid = sound_grid(even(8, 0.34))
    del grid["sounds"][0]["clip"]
    text = grid_html(grid)
    assert "<audio" not in text
    assert "<use" not in text
    assert text.count("<g>") == 8


def printed(grid: dict[str, Any], width: int = 80) -> str:
    file = io.StringIO()
    Console(width=width, file=file, color_system=None).print(grid_rich(grid))
    return file.getvalue()


def test_the_terminals_columns_are_windows_of_time() -> None:
    text = printed(sound_grid(even(8, 0.34)))
    assert max(map(cell_len, text.splitlines())) <= 80
    assert "sound: 8 positions, 3 s; they carry the first 2.72 s\n" in text
    assert re.search(r"^ +0\.00 +0\.34 +0\.68 +1\.02 *\n layer +–0\.34 s +–0\.68 s", text, flags=re.MULTILINE)
    assert "2.38" in text
    assert "\u202e" not in text
    assert "nearest most often" in text


def test_a_long_sound_in_the_terminal() -> None:
    text = printed(sound_grid(even(88, 1 / 3), 5.0, n_layers=32))
    said = " ".join(text.split())
    assert (
        "sound: 88 positions, 5 s; shown: the 15 before the clip's end, 17 of 33 layers; all: --html" in said
    )
    assert "–5.00 s" in text
    assert "5.33" not in text
    long = " ".join(printed(sound_grid(even(750, 0.04), 30.0, n_layers=32)).split())
    assert "every 36th position" in long
    unknown = " ".join(printed(sound_grid(None, n=8)).split())
    assert (
        "8 positions, 3 s; which part of the clip each carries is not known, they stand in order" in unknown
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with a text, a picture and two sounds, and a spoke `audio` with verdicts."""
    made = build(tmp_path_factory.mktemp("run"), n_grids=1)
    manifest = json.loads((made / "manifest.json").read_text())
    drawn = drawn_sound(Sound(data=wav(tone(2.0), RATE)))
    for name, prediction in (("audio.similarity", "P1"), ("audio.lens", "P2"), ("audio.steer", "P3")):
        example = [{"label": "read at all positions of the sound", "text": "⟨sound⟩", "picture": drawn}]
        words = {
            "title": name,
            "question": "Is it heard?",
            "if_false": "It would not be.",
            "example": example,
        }
        manifest["experiments"].append({"id": name, "spoke": "audio", "prediction": prediction, **words})
    (made / "manifest.json").write_text(json.dumps(manifest))
    verdicts = json.loads((made / "verdicts.json").read_text())
    for prediction, experiment in (("P1", "audio.similarity"), ("P2", "audio.lens"), ("P3", "audio.steer")):
        found = {**verdicts[0], "spoke": "audio", "prediction": prediction, "experiment": experiment}
        verdicts.append({**found, "variant": "all/continued"})
    (made / "verdicts.json").write_text(json.dumps(verdicts))
    grids = [picture_grid(), sound_grid(even(8, 0.34), n_layers=8), sound_grid(None, n_layers=8)]
    for number, grid in enumerate(grids):
        grid |= {"experiment": "audio.lens" if number else "language.lens", "case_id": f"clips:{number}"}
        (made / "grids" / f"{11 + number}.json").write_text(json.dumps(grid))
    return made


def test_a_report_with_sounds(folder: Path) -> None:
    run = read_run(folder)
    grids_alone = replace(run, results=run.results[:0], plane=run.plane[:0], grids=run.grids[2:])
    text = render(run, draw_all(grids_alone))
    page = Page(text)
    boxes = [attrs for tag, attrs in page.tags if attrs.get("class") == "patchbox clipbox"]
    assert len(boxes) == 2
    assert page.inside["script"] == SCRIPT
    assert 'id="audio"' in text
    assert 'href="#audio-P3"' in text
    assert text.index('id="audio"') < text.index(">Sounds <span>")
    assert "a spectrogram, 2.0 s" in text
    assert [tag for tag, _ in page.tags].count("audio") == 2
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    for name in ("svg", "png", "pdf", "csv"):
        assert (folder / "figures" / f"grid-01-sound-0.{name}").stat().st_size > 400
    assert len(text) < 4_000_000


CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PROBE = """<script>addEventListener("load", () => {
  const box = document.querySelector(".clipbox"), svg = box.querySelector(".clip");
  const slider = box.querySelector("input[type=range]"), audio = box.querySelector("audio");
  slider.value = 1; slider.dispatchEvent(new Event("input"));
  box.querySelectorAll("g")[3].dispatchEvent(new MouseEvent("click", {bubbles: true}));
  svg.dispatchEvent(new KeyboardEvent("keydown", {key: "ArrowRight"}));
  let asked = 0; audio.play = () => { asked += 1; };
  const report = () => document.body.append(Object.assign(document.createElement("pre"), {id: "probe",
    textContent: JSON.stringify({asked, length: audio.duration, at: audio.currentTime, focus: svg.tabIndex,
    told: box.querySelector("output").textContent, where: box.querySelector(".where").textContent,
    tops: [...box.querySelectorAll(".tops bdi")].map((one) => one.textContent)})}));
  const go = () => { svg.dispatchEvent(new KeyboardEvent("keydown", {key: "Enter"})); report(); };
  audio.readyState ? go() : audio.addEventListener("loadedmetadata", go);
});</script>"""


@pytest.mark.skipif(CHROMIUM is None, reason="no browser on this machine")
def test_slider_keys_and_clip_in_a_browser(tmp_path: Path) -> None:
    """The page's own policy would forbid the probe, so scripts are free here; for the clip it stays as it is."""
    whole = grid_html(sound_grid(even(8, 0.34)))
    text = re.sub("script-src &#39;[^&]*&#39;", "script-src 'unsafe-inline'", whole)
    assert text != whole
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
        [*command, "--virtual-time-budget=8000", "--dump-dom", page.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    found = json.loads(html.unescape(re.search(r'<pre id="probe">(.*?)</pre>', done.stdout, re.DOTALL)[1]))  # type: ignore[index]
    assert found["told"] == "layer 1"
    assert found["where"] == "layer 1, 1.36 to 1.70 s"
    assert found["tops"] == [visible(word) for word in WORDS[5:10]]
    assert found["length"] == pytest.approx(3.0)
    assert found["asked"] == 1
    assert found["at"] == pytest.approx(1.36)
    assert found["focus"] == 0


def lens_set(parts: list[tuple[object, ...]], deciding: bool = True, area: bool = True) -> LensSet:
    contents = [Content.of(*some) for some in parts]  # type: ignore[arg-type]
    cases = [
        LensCase(f"c:{i}", f"c:{i}", one, 0, {"dominant": ("dog",)}, area=Area(0) if area else None)
        for i, one in enumerate(contents)
    ]
    return LensSet("audio.lens", "asked", cases, Kept(len(cases)), "made", "en", "", deciding=deciding)


def built(*sets: LensSet) -> Built:
    experiment = Experiment("audio.lens", "audio", "P2", "", "", "", lambda _: ([], []), needs="audio")
    return Built(experiment, sets, ())


def test_three_sounds_of_the_set_that_decides_are_examples() -> None:
    clips = [Sound(data=bytes([i])) for i in range(5)]
    shown = lens_set([(one, " asked") for one in clips])
    others = lens_set([(one, " else") for one in clips], deciding=False)
    texts = lens_set([("a text",)], area=False)
    chosen = _examples([built(others, shown), built(texts)])
    assert [content.text for _, _, content in chosen] == ["a text", *["\ufff9 asked"] * 3]
    assert [content.sounds[0][1] for _, _, content in chosen[1:]] == clips[:3]


def test_one_case_says_that_it_is_read_over_the_sound() -> None:
    rows = example([lens_set([(Sound(data=wav(tone(1.0), RATE)), " What?")])])
    assert (rows[0]["label"], rows[0]["text"]) == ("read at all positions of the sound", "⟨sound⟩ What?")
    assert rows[0]["picture"]["alt"] == "the sound of this case as a spectrogram, 1.0 s"
