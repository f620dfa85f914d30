"""Case sets with too little in them: the run goes through and says untestable."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from semhub.models.base import Adapter
from semhub.runs.config import RunConfig
from semhub.runs.execute import execute

HEAD = """
from semhub.types import Content, Experiment, Kept, LensCase, LensSet, Pair, PairSet

NAME = "toy"


def experiment(name, prediction, build):
    return Experiment(name, NAME, prediction, "title", "question?", "if false", build)
"""
PAIRS = """

def build(request):
    texts = [[Content.of(text.format(i)) for text in ("one two {}", "three {} four", "five {}")] for i in range(N)]
    pairs = [Pair(f"toy:{i}", f"c{i % CLUSTERS}", a, b, (near,)) for i, (a, b, near) in enumerate(texts)]
    return [PairSet("toy.similarity", "all", pairs, Kept(N + 1, {"a reason": 1}), "toy", deciding=True)], []


EXPERIMENTS = [experiment("toy.similarity", "P1", build)]
"""
WORDS = """

def build(request):
    cases = [
        LensCase(f"toy:{i}", f"c{i}", Content.of(f"one two {i}"), 4, {"dominant": (WORD,), "surface": ("two",)})
        for i in range(N)
    ]
    return [LensSet("toy.lens", "all", cases, Kept(N), "toy", "en", "toy", deciding=True)], []


EXPERIMENTS = [experiment("toy.lens", "P2", build)]
"""


def run(text: str, folder: Path, adapter: Adapter, counts: Path, **names: object) -> dict[str, Any]:
    """The manifest, with the verdicts under their prediction."""
    spoke = folder / "toy.py"
    settings = "".join(f"{name} = {value!r}\n" for name, value in names.items())
    spoke.write_text(HEAD + settings + text, encoding="utf-8")
    config = RunConfig(
        model=adapter.name,
        preset="quick",
        spokes=(str(spoke),),
        dominant="en",
        twins=1,
        data={"counts": str(counts)},
    )
    assert execute(config, folder / "run", adapter=adapter)
    verdicts = json.loads((folder / "run" / "verdicts.json").read_text(encoding="utf-8"))
    assert [(one["spoke"], one["prediction"]) for one in verdicts] == [("toy", p) for p in ("P1", "P2", "P3")]
    manifest = json.loads((folder / "run" / "manifest.json").read_text(encoding="utf-8"))
    return {**manifest, **{one["prediction"]: one for one in verdicts}}


@pytest.mark.parametrize("n", [0, 1, 2, 3, 5, 9])
def test_few_pairs(tmp_path: Path, adapter: Adapter, counts: Path, n: int) -> None:
    found = run(PAIRS, tmp_path, adapter, counts, N=n, CLUSTERS=n or 1)
    assert found["P1"]["verdict"] == "untestable"
    assert ("no usable case" if n < 2 else f"{n} clusters") in found["P1"]["reason"]
    assert found["P1"]["experiment"] == "toy.similarity"
    (case,) = found["cases"]
    assert (case["given"], case["kept"], case["dropped"]) == (n + 1, n, {"a reason": 1})


def test_clusters_count_not_pairs(tmp_path: Path, adapter: Adapter, counts: Path) -> None:
    found = run(PAIRS, tmp_path, adapter, counts, N=40, CLUSTERS=29)["P1"]
    assert found["verdict"] == "untestable"
    assert "29 clusters" in found["reason"]
    assert (found["n"], found["n_clusters"]) == (40, 29)


def test_thirty_clusters_are_judged(tmp_path: Path, adapter: Adapter, counts: Path) -> None:
    found = run(PAIRS, tmp_path, adapter, counts, N=30, CLUSTERS=30)["P1"]
    assert found["verdict"] in {"supported", "not_supported"}
    assert (found["n"], found["n_clusters"]) == (30, 30)
    low, high = found["layers"]
    assert 1 <= low < high <= 3


@pytest.mark.parametrize("n", [0, 1, 2, 3])
def test_few_words(tmp_path: Path, adapter: Adapter, counts: Path, n: int) -> None:
    found = run(WORDS, tmp_path, adapter, counts, N=n, WORD="three")
    assert found["P2"]["verdict"] == "untestable"
    assert ("no usable case" if n == 0 else "cluster") in found["P2"]["reason"]
    assert found["cases"][0]["kept"] == n


def test_words_that_no_single_token_spells(tmp_path: Path, adapter: Adapter, counts: Path) -> None:
    found = run(WORDS, tmp_path, adapter, counts, N=5, WORD="unspellable")
    assert found["P2"]["verdict"] == "untestable"
    (case,) = found["cases"]
    assert (case["given"], case["kept"]) == (5, 0)
    assert case["dropped"] == {"no single token spells the dominant word": 5}
    results = pd.read_parquet(tmp_path / "run" / "results.parquet")
    assert results.empty
