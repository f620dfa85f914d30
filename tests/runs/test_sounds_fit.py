"""Sounds before a run: broken ones are counted as drops, and a text model leaves their experiments out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from rich.console import Console

from semhub import sounds
from semhub.errors import DataError
from semhub.models.base import Adapter
from semhub.runs.config import RunConfig
from semhub.runs.execute import execute
from semhub.runs.fit import BROKEN_SOUND, REASON, fit
from semhub.runs.store import Store
from semhub.types import Area, Content, Kept, LensCase, LensSet, Pair, PairSet, Sound

NONE = "this model takes no sounds"
OWN = """
from semhub.types import *
NAME = "own"
def build(request): 1 / 0
EXPERIMENTS = tuple(Experiment(f"own.{p}", "own", p, p, "q", "f", build, needs="audio") for p in ("P1", "P2", "P3"))
"""


class Hears:
    """An adapter that takes every readable sound and no text over ten characters."""

    def encode(self, contents: Sequence[Content], special_tokens: bool = True) -> None:
        for content in contents:
            for _, sound in content.sounds:
                sounds.open_sound(sound, 8_000)
            if len(content.text) > 10:
                raise DataError("too long")


def tone(hertz: float) -> bytes:
    return sounds.wav(0.5 * np.sin(2 * np.pi * hertz * np.arange(4_000) / 8_000), 8_000)


@pytest.fixture
def heard(tmp_path: Path) -> dict[str, Sound]:
    (tmp_path / "text.wav").write_text("no sound")
    (tmp_path / "cut.wav").write_bytes(tone(300)[:1_000])
    return {
        "good": Sound(data=tone(300)),
        "other": Sound(data=tone(500)),
        "text": Sound(path=str(tmp_path / "text.wav")),
        "cut": Sound(path=str(tmp_path / "cut.wav")),
        "missing": Sound(path=str(tmp_path / "none.wav")),
    }


def test_broken_sounds_are_counted(heard: dict[str, Sound]) -> None:
    cases = [
        LensCase(name, name, Content.of(one, " is"), 0, {"dominant": ("dog",)}, area=Area(0))
        for name, one in heard.items()
    ]
    cases.append(
        LensCase("long", "long", Content.of(heard["good"], " is so long"), 0, {"dominant": ("dog",)})
    )
    found = fit(
        cast(Adapter, Hears()), LensSet("own.lens", "words", cases, Kept(8, {"x": 2}), "made", "en", "")
    )
    assert isinstance(found, LensSet)
    assert [case.case_id for case in found.cases] == ["good", "other"]
    assert found.kept == Kept(8, {"x": 2, BROKEN_SOUND: 3, REASON: 1})


def test_pairs_with_a_broken_sound_are_counted(heard: dict[str, Sound]) -> None:
    pairs = [Pair(name, name, Content.of(one), Content.of(name)) for name, one in heard.items()]
    found = fit(cast(Adapter, Hears()), PairSet("own.similarity", "all", pairs, Kept(5), "made"))
    assert isinstance(found, PairSet)
    assert [pair.case_id for pair in found.pairs] == ["good", "other"]
    assert found.kept.dropped == {BROKEN_SOUND: 3}


def test_a_text_model_says_that_it_takes_no_sounds(
    small: RunConfig, adapter: Adapter, tmp_path: Path
) -> None:
    (tmp_path / "own.py").write_text(OWN, encoding="utf-8")
    console = Console(record=True, width=400)
    config = small.model_copy(update={"spokes": (str(tmp_path / "own.py"),)})
    assert execute(config, tmp_path / "run", adapter=adapter, console=console)
    assert f"{NONE}, so these are left out: own.P1, own.P2, own.P3" in console.export_text()
    found = Store(tmp_path / "run").verdicts()
    assert [(one["prediction"], one["verdict"], one["reason"]) for one in found] == [
        (prediction, "untestable", NONE) for prediction in ("P1", "P2", "P3")
    ]
    assert [one["reason"] for one in Store(tmp_path / "run").manifest()["left_out"]] == [NONE] * 3
