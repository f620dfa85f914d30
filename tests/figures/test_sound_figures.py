"""Charts of sounds from made-up tables: windows at one layer, in order without times, the words of audio.lens."""

from __future__ import annotations

import base64

import numpy as np
import pytest
from test_picture_figures import curve, run_of, texts

from semhub.figures.curves import readout
from semhub.figures.sounds import ROWS, sound_draft
from semhub.figures.text import pictured
from semhub.pictures import mask_png
from semhub.types import IMAGE, SOUND, Content, Sound

URI = "data:image/png;base64," + base64.b64encode(mask_png(np.ones((2, 3), bool))).decode()


def grid(times: list[list[float]] | None, n: int = 6) -> dict[str, object]:
    n = n if times is None else len(times)
    sound = {
        "at": 0, "positions": list(range(1, n + 1)), "times": times,
        "words": [["dog", "en"], ["</script>\u202e", None], ["蛙", "zh"]],
        "top": [[[(layer + place) % 3] for place in range(n)] for layer in range(3)],
        "p": [[[0.5]] * n] * 3,
        "clip": {"uri": "", "seconds": 3.0, "played": 3.0, "spectrogram": {"uri": URI, "seconds": 3.0, "top": 8000}},
    }  # fmt: skip
    names = {"title": f"{SOUND} What?", "dominant": "en", "lens": "paper", "experiment": "audio.lens"}
    return {"layers": [0, 1, 2], "sounds": [sound], **names}


def halves(n: int) -> list[list[float]]:
    return [[i / 2, i / 2 + 0.5] for i in range(n)]


@pytest.mark.parametrize(("layer", "first"), [(None, "&lt;/script&gt;\\u202e"), (2, "蛙")])
def test_the_windows_at_one_layer(layer: int | None, first: str) -> None:
    whole = grid(halves(6))
    draft = sound_draft(whole, whole["sounds"][0], "grid-01-sound-0", layer)  # type: ignore[index]
    shown = texts(draft)
    assert shown.index(f">{first}</text>") > 0
    assert "<script" not in shown
    assert "\u202e" not in shown
    assert ">1.0 s<" in shown
    assert shown.count(URI) == 1
    assert len(draft.data) == 3 * 6
    assert list(draft.data[["layer", "position", "start", "end", "nearest"]].iloc[10]) == [
        1,
        5,
        2.0,
        2.5,
        "蛙",
    ]
    assert draft.title == f"Nearest tokens, layer {1 if layer is None else layer} · ⟨sound⟩ What?"
    assert "beginning" not in draft.caption


def test_windows_without_times() -> None:
    whole = grid(None)
    draft = sound_draft(whole, whole["sounds"][0], "g", None)  # type: ignore[index]
    assert draft.caption.startswith("Which part of the clip each token carries is not known")
    assert draft.data["start"].isna().all()
    assert draft.chart is not None
    assert texts(draft).count(">dog<") == 2


def test_a_long_clip_shows_its_beginning() -> None:
    long = grid([[i * 0.02, i * 0.02 + 0.02] for i in range(25 * (ROWS + 2))])
    long["sounds"][0]["clip"]["spectrogram"]["seconds"] = 4.0  # type: ignore[index]
    draft = sound_draft(long, long["sounds"][0], "g", None)  # type: ignore[index]
    assert draft.caption.endswith("The chart shows the beginning.")
    assert texts(draft).count(URI) == ROWS
    assert len(draft.data) == 3 * 25 * (ROWS + 2)
    padded = grid(halves(50))  # the clip ends after 3 of 25 seconds
    draft = sound_draft(padded, padded["sounds"][0], "g", None)  # type: ignore[index]
    assert texts(draft).count(URI) == 1
    assert draft.caption.endswith("The chart shows the beginning.")


def test_a_sound_is_a_word_in_every_title() -> None:
    assert pictured(Content.of("a ", Sound(data=b"x"), f" b {IMAGE}").text) == "a ⟨sound⟩ b ⟨picture⟩"


def test_what_is_read_over_a_sound() -> None:
    where = "audio.lens|asked|P2"
    frames = [
        curve(where, measure, condition, 0.6 if condition == "dominant" else 0.1)
        for measure in ("logprob", "prob", "top1", "concept")
        for condition in ("dominant", "control")
    ]
    frames += [curve(where, "concept", "null", 0), curve(where, "logprob_diff", "control", 0.4)]
    made = list(readout(run_of(frames), "audio.lens"))
    for draft in made[:3]:
        assert ">the label's word<" in texts(draft)
        assert ">a word of another label<" in texts(draft)
    assert "mean over the sound's positions" in made[0].caption
