"""Runs with pictures: what a text model leaves out, and all three predictions on a tiny vision-language model."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console
from tests.models.visionmodels import cached_vision_checkpoint, picture

from engine import semhub, shard_bytes
from semhub.models import load
from semhub.models.base import Adapter
from semhub.runs import dryrun
from semhub.runs.config import RunConfig
from semhub.runs.dryrun import estimate
from semhub.runs.execute import execute
from semhub.runs.fit import BROKEN, REASON, fit
from semhub.runs.store import Store
from semhub.types import Area, Content, Image, Kept, LensCase, LensSet, Pair, PairSet
from tiny import cached_checkpoint

NONE = "this model takes no pictures"
OWN = """
import io, random
from PIL import Image as Pil
from semhub.types import *

NAME = "own"
WORDS = ("one", "two", "three", "five", "eight", "nine", "ten")

def png(made):
    out = io.BytesIO()
    made.save(out, "PNG")
    return out.getvalue()

def shown(i):
    colours = random.Random(i).sample(range(256), 6)
    made = Pil.new("RGB", (24, 24), tuple(colours[:3]))
    made.paste(tuple(colours[3:]), (0, 0, 12, 24))
    return Image(data=png(made))

HALF = png(Pil.new("L", (24, 24)).point(lambda _: 0))
LEFT = Pil.new("L", (24, 24))
LEFT.paste(255, (0, 0, 16, 24))
LEFT = png(LEFT)

def similarity(request):
    both = [(Content.of(shown(i), " is"), Content.of(f"{WORDS[i % 7]} {i} is")) for i in range(request.n)]
    pairs = [Pair(f"p:{i}", f"p:{i}", *one) for i, one in enumerate(both)]
    return [PairSet("own.similarity", "all", pairs, Kept(len(pairs)), "made", deciding=True)], []

def lens(request):
    cases = [
        LensCase(f"p:{i}:{j}", f"p:{i}", Content.of("USER: ", shown(i), " the"), 0,
                 {"dominant": (WORDS[(i + j) % 7],), "control": (WORDS[(i + j + 1) % 7],)}, area=Area(6, mask))
        for i in range(request.n) for j, mask in enumerate((b"", LEFT, HALF))
    ]
    return [LensSet("own.lens", "nouns", cases, Kept(len(cases)), "made", "en", "", deciding=True)], []

def parse(steered, plain, case):
    return "unchanged" if steered == plain else "other"

def steer(request):
    out = []
    for variant, how, onward in (("thing", "add", False), ("two", "replace", True)):
        cases = [
            SteerCase(f"p:{i}", f"p:{i}", Content.of(shown(i), " plus"), 0,
                      {"hypothesis": RowDifference(WORDS[i % 7], WORDS[(i + 1) % 7]),
                       "wrong_concept": RowDifference(WORDS[(i + 2) % 7], WORDS[(i + 3) % 7])},
                      (WORDS[i % 7],), (WORDS[(i + 1) % 7],), area=Area(0, LEFT if i % 2 else b""))
            for i in range(request.n)
        ]
        out.append(SteerSet("own.steer", variant, cases, Kept(len(cases)), "made", how == "add", strengths=(1.0, 2.0),
                            readings={"": parse}, new_tokens=3, how=how, onward=onward))
    return out, []

def one(name, prediction, build):
    return Experiment(f"own.{name}", "own", prediction, name, "q", "f", build, needs="image")

EXPERIMENTS = (one("similarity", "P1", similarity), one("lens", "P2", lens), one("steer", "P3", steer))
"""


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("spoke") / "own.py"
    path.write_text(OWN, encoding="utf-8")
    return str(path)


@pytest.fixture(scope="module")
def unbuildable(tmp_path_factory: pytest.TempPathFactory, own: str) -> str:
    path = tmp_path_factory.mktemp("spoke") / "unbuildable.py"
    path.write_text(
        OWN + "\ndef similarity(request): 1 / 0\nlens = steer = similarity\n" + OWN[OWN.index("EXP") :]
    )
    return str(path)


@pytest.fixture(scope="module")
def llava() -> Adapter:
    return load(str(cached_vision_checkpoint("llava")), check=False)


def test_a_text_model_says_what_it_does_not_take(
    small: RunConfig, adapter: Adapter, unbuildable: str, tmp_path: Path
) -> None:
    console = Console(record=True, width=400)
    config = small.model_copy(update={"spokes": (unbuildable,)})
    assert execute(config, tmp_path / "run", adapter=adapter, console=console)
    assert f"{NONE}, so these are left out: own.similarity, own.lens, own.steer" in console.export_text()
    store = Store(tmp_path / "run")
    assert [(one["spoke"], one["prediction"]) for one in store.verdicts()] == [
        ("own", "P1"), ("own", "P2"), ("own", "P3")
    ]  # fmt: skip
    for verdict in store.verdicts():
        assert (verdict["verdict"], verdict["reason"], verdict["n"]) == ("untestable", NONE, 0)
    manifest = store.manifest()
    assert manifest["experiments"] == manifest["units"] == []
    assert [(one["id"], one["needs"], one["reason"]) for one in manifest["left_out"]] == [
        (f"own.{name}", "image", NONE) for name in ("similarity", "lens", "steer")
    ]
    assert pd.read_parquet(tmp_path / "run" / "results.parquet").empty


def test_what_is_left_out_changes_nothing_else(
    small: RunConfig, reference: Path, adapter: Adapter, unbuildable: str, tmp_path: Path
) -> None:
    config = small.model_copy(update={"spokes": ("arithmetic", unbuildable)})
    assert execute(config, tmp_path / "run", adapter=adapter)
    assert shard_bytes(tmp_path / "run") == shard_bytes(reference)
    found, before = Store(tmp_path / "run").verdicts(), Store(reference).verdicts()
    assert found[: len(before)] == before
    assert [one["reason"] for one in found[len(before) :]] == [NONE] * 3


def test_the_command_for_pictures_ends_well_on_a_text_model(
    capfd: pytest.CaptureFixture[str], counts: Path, tmp_path: Path
) -> None:
    options = ["--spoke", "vision", "--data", f"counts={counts}", "--dominant", "en", "--preset", "quick"]
    answer = semhub(capfd, "run", cached_checkpoint("llama"), *options, "--out", tmp_path / "run")
    assert answer.status == 0, answer.err
    assert NONE in answer.err + answer.out
    verdicts = json.loads((tmp_path / "run" / "verdicts.json").read_text())
    assert [one["experiment"] for one in verdicts] == [
        "vision.similarity",
        "vision.lens_caption",
        "vision.steer",
    ]
    assert (tmp_path / "run" / "report.html").exists()


@pytest.fixture(scope="module")
def seen(own: str, llava: Adapter, counts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("seen") / "run"
    assert execute(options(own, counts), folder, adapter=llava)
    return folder


def options(own: str, counts: Path, **more: object) -> RunConfig:
    path = str(cached_vision_checkpoint("llava"))
    given = dict(
        model=path, preset="quick", spokes=(own,), n=32, twins=1, dominant="en", data={"counts": str(counts)}
    )
    return RunConfig(**{**given, **more})


def test_a_seeing_model_runs_all_three_predictions(seen: Path) -> None:
    store = Store(seen)
    manifest, rows = store.manifest(), store.rows(store.manifest()["units"])
    assert manifest["left_out"] == []
    by_variant = {one["variant"]: one for one in manifest["cases"]}
    assert by_variant["nouns"]["dropped"] == {"the part of the picture covers no patch": 32}
    assert {name: one["kept"] for name, one in by_variant.items()} == {
        "all": 32, "nouns": 64, "thing": 32, "two": 32
    }  # fmt: skip
    lens = rows[(rows["experiment"] == "own.lens") & (rows["variant"] == "nouns")]
    assert {"logprob", "prob", "top1", "logprob_diff", "concept"} == set(lens["measure"])
    assert set(lens["position"]) == {-1}
    steered = rows[rows["experiment"] == "own.steer"]
    assert {"thing", "two", "thing/confirm", "thing/necessity/spoke", "thing/twins"} == set(
        steered["variant"]
    )
    compared = steered[steered["measure"] == "most_moved"]
    assert set(zip(compared["variant"], compared["condition"], strict=True)) == {
        ("thing/twins", "hypothesis"), ("thing", "twin_embeddings"),
    }  # fmt: skip
    assert (compared.groupby("condition")["value"].nunique() > 1).all()
    assert {"real_difference", "wrong_concept", "shuffled"} <= set(steered["condition"])
    verdicts = {one["prediction"]: one for one in store.verdicts()}
    assert all(one["verdict"] == "not_supported" for one in verdicts.values()), verdicts
    assert {name: one["n"] for name, one in verdicts.items()} == {"P1": 32, "P2": 64, "P3": 32}


def test_a_model_in_its_twin_s_place_moves_the_output_as_far(
    own: str, llava: Adapter, counts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both are steered on the same cases with the same vectors, fewer than the model has."""
    monkeypatch.setattr("semhub.runs.plan.TWIN_STEERED", 12)
    monkeypatch.setattr(type(llava), "twin", lambda self, *_, **__: self)
    assert execute(options(own, counts), tmp_path / "run", adapter=llava)
    store = Store(tmp_path / "run")
    rows = store.rows(store.manifest()["units"])
    by = rows[rows["measure"] == "most_moved"].set_index("layer").groupby("condition")["value"]
    moved = dict(list(by))
    assert set(moved) == {"hypothesis", "twin_embeddings"}
    pd.testing.assert_series_equal(moved["hypothesis"], moved["twin_embeddings"], check_exact=True)


def test_a_run_is_repeated_exactly(
    seen: Path, own: str, llava: Adapter, counts: Path, tmp_path: Path
) -> None:
    assert execute(options(own, counts), tmp_path / "run", adapter=llava)
    assert shard_bytes(tmp_path / "run") == shard_bytes(seen)


def test_a_seeing_model_runs_text_too(llava: Adapter, counts: Path, tmp_path: Path) -> None:
    config = options("arithmetic", counts, experiments=("arithmetic.lens",), n=4, twins=0)
    assert execute(config, tmp_path / "run", adapter=llava)
    assert Store(tmp_path / "run").manifest()["left_out"] == []


def test_without_twins_nothing_is_compared_with_them(
    own: str, llava: Adapter, counts: Path, tmp_path: Path
) -> None:
    only = options(own, counts, experiments=("own.steer",), twins=0)
    assert execute(only, tmp_path / "run", adapter=llava)
    store = Store(tmp_path / "run")
    rows = store.rows()
    assert "delta_logit" in set(rows["measure"])
    assert "most_moved" not in set(rows["measure"])
    assert "thing/twins" not in set(rows["variant"])


def test_a_dry_run_counts_the_tokens_of_pictures(own: str, counts: Path, tmp_path: Path) -> None:
    found = estimate(options(own, counts, n=4, twins=0), tmp_path)
    tokens = {one["unit"]: one["tokens"] for one in found["units"]}
    assert tokens["own.lens--nouns"] >= 4 * 9  # 24 x 24 pixels in patches of 8
    read_again = (
        4 * 8 * 2 * 2 * 10 // 2
    )  # cases, conditions, strengths, layers, tokens at least; half of the blocks
    assert read_again < tokens["own.steer--thing"] < 4 * read_again
    assert found["left_out"] == []
    compared = {
        one["unit"]: one["tokens"] for one in estimate(options(own, counts, n=4, twins=1), tmp_path)["units"]
    }
    assert compared["own.steer--thing"] > tokens["own.steer--thing"], "with twins it also does what they do"
    blind = estimate(options(own, counts, model=str(cached_checkpoint("llama"))), tmp_path)
    assert (blind["units"], blind["left_out"]) == ([], ["own.similarity", "own.lens", "own.steer"])


def test_a_dry_run_reads_of_each_set_its_own_positions(llava: Adapter) -> None:
    """Sets that share their passes: what they have in common is run once, and each is read for itself."""
    shown, other = Content.of(picture(24, 24, 1), " one"), Content.of(picture(24, 24, 2), " two three")
    words = {"dominant": ("one",)}

    def lens(variant: str, *contents: Content) -> LensSet:
        cases = [LensCase(str(i), str(i), one, 0, words, area=Area(0)) for i, one in enumerate(contents)]
        return LensSet("own.lens", variant, cases, Kept(len(cases)), "made", "en", "")

    work = partial(dryrun._work, is_twin=False, is_compared=False)
    sets = [lens("a", shown), lens("b", shown, other)]
    alone = [work(llava, [one]) for one in sets]
    tokens, rows = work(llava, sets)
    assert tokens == alone[1][0] > alone[0][0] > 9
    assert rows == sum(read for _, read in alone)


def test_pictures_that_do_not_fit_and_broken_ones_are_counted(
    llava: Adapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, broken = picture(24, 24, 1), Image(data=picture(24, 24, 2).data[:90])
    plain = [Content.of(good), Content.of("one two"), Content.of(broken), Content.of(*[good] * 80)]
    cases = [
        LensCase(str(i), str(i), content, 0, {"dominant": ("one",)}, area=Area(0))
        for i, content in enumerate(plain)
    ]
    fitted = fit(llava, LensSet("own.lens", "v", cases, Kept(5, {"before": 1}), "made", "en", ""))
    assert isinstance(fitted, LensSet)
    assert [case.case_id for case in fitted.cases] == ["0", "1"]
    assert fitted.kept == Kept(5, {"before": 1, BROKEN: 1, REASON: 1})
    pairs = [Pair("a", "a", plain[0], plain[1], (plain[2],)), Pair("b", "b", plain[2], plain[1])]
    reduced = fit(llava, PairSet("own.similarity", "v", pairs, Kept(2), "made"))
    assert isinstance(reduced, PairSet)
    assert [(pair.case_id, pair.negatives) for pair in reduced.pairs] == [("a", ())]
    assert reduced.kept.dropped == {BROKEN: 1}
