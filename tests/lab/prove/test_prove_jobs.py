"""Jobs: planned by seed, done once, resumed part by part; what is recorded is never done again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from semhub import models
from semhub.errors import RunFolderError, UsageError
from semhub.lab import train as training
from semhub.lab.pool import run_jobs
from semhub.lab.prove import evaluate
from semhub.lab.prove.jobs import (
    ANGLES,
    WORLD,
    Organism,
    Settings,
    dose_of,
    known_parts,
    plan,
    read_records,
    unfinished,
    versions,
)
from semhub.lab.prove.work import work
from semhub.lab.recipe import Recipe
from semhub.lab.recipes import recipe

SETTINGS = Settings(n=40, twins=1)
WITH_RIVAL = Settings(n=40, twins=1, rivals=("mine.py",))


def tiny(name: str = "mini", **changes: Any) -> Recipe:
    return recipe(name).small(**{"tokenizer_sentences": 300, "steps": 2, **changes})


def test_jobs_go_seed_by_seed() -> None:
    found = plan(["mini", "mini-zh", "mini"], 2)
    assert [one.recipe.name for one in found] == ["mini", "mini-zh", "mini", "mini-zh"]
    first, second = found[:2], found[2:]
    assert [one.seed for one in first] == [0, 0]
    assert len({one.seed for one in found}) == 3, "from the second on, no two recipes share a seed"
    assert plan(["mini-zh"], 2)[1] == second[1]
    assert found[0].recipe == recipe("mini").small()
    with pytest.raises(UsageError, match="unknown recipe"):
        plan(["maxi"], 1)


def test_a_graded_recipe_is_trained_at_every_angle() -> None:
    found = versions(recipe("mini-graded"))
    assert [one.angle for one in found] == list(ANGLES)
    assert [one.name for one in found][:2] == ["mini-graded-00", "mini-graded-15"]
    assert all(f"turned by {one.angle:g} degrees" in one.summary for one in found)
    assert versions(tiny()) == [tiny()]


def test_a_planted_recipe_is_trained_with_every_dose() -> None:
    found = plan(["mini"], 2, [0.0, 0.05, 0.05])
    assert [one.recipe.name for one in found] == ["mini-dose-0", "mini-dose-0.05"] * 2
    assert [one.recipe.planted_weight for one in found[:2]] == [0, 0.05]
    assert all(one.recipe.planted_layers == (2, 3) and one.recipe.truth.P2 == "measured" for one in found)
    assert [dose_of(one.recipe.told()) for one in found[:2]] == [0, 0.05]
    assert dose_of(tiny().told()) is None
    assert {f"size/{n}" for n in evaluate.SIZES} <= set(evaluate.parts(found[0].recipe, Settings()))
    with pytest.raises(UsageError, match="no planted hub"):
        plan(["mini-isolated"], 1, [0.1])
    with pytest.raises(UsageError, match="at least 0"):
        plan(["mini"], 1, [-0.1])


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Training and two parts that only count how often they are done."""
    counts = dict.fromkeys(("train", "verdicts", "rival"), 0)

    def train(recipe: Recipe, out: Path, seed: int, **_: Any) -> Path:
        counts["train"] += 1
        out.mkdir(parents=True)
        facts = {"recipe": recipe.told(), "seed": seed}
        (out / "semhub.json").write_text(json.dumps(facts), encoding="utf-8")
        return out

    def part(name: str) -> Callable[[object], int]:
        def make(_: object) -> int:
            counts[name] += 1
            return counts[name]

        return make

    def parts(_: Recipe, settings: Settings) -> dict[str, Any]:
        return {"verdicts": part("verdicts")} | ({"rival": part("rival")} if settings.rivals else {})

    monkeypatch.setattr(training, "train", train)
    monkeypatch.setattr(models, "load", lambda *_, **__: None)
    monkeypatch.setattr(evaluate, "parts", parts)
    return counts


def do(folder: Path, one: Organism, settings: Settings = SETTINGS) -> int:
    """Does what is unfinished in this process, as the pool would in another; returns how many jobs that were."""
    jobs = unfinished([one], folder, settings)
    for job in jobs:
        record = work(**json.loads(json.dumps(job.arguments)))
        job.result.parent.mkdir(parents=True, exist_ok=True)
        assert not job.result.exists()
        job.result.write_text(json.dumps(record), encoding="utf-8")
    return len(jobs)


def test_a_finished_job_is_not_done_again(tmp_path: Path, counted: dict[str, int]) -> None:
    one = Organism(tiny(), 1)
    assert [do(tmp_path, one), do(tmp_path, one)] == [1, 0]
    assert counted == {"train": 1, "verdicts": 1, "rival": 0}
    assert [path.name for path in (tmp_path / "jobs").iterdir()] == ["mini-1.json"]


@pytest.mark.parametrize(("seed", "trained"), [(0, 1), (1, 2)])
def test_a_new_rival_adds_its_part_alone(
    seed: int, trained: int, tmp_path: Path, counted: dict[str, int]
) -> None:
    """The model of seed 0 was kept; any other is trained once more."""
    one = Organism(tiny(), seed)
    assert [do(tmp_path, one), do(tmp_path, one, WITH_RIVAL), do(tmp_path, one, WITH_RIVAL)] == [1, 1, 0]
    assert counted == {"train": trained, "verdicts": 1, "rival": 1}
    assert sorted(path.name for path in (tmp_path / "jobs").iterdir()) == [
        f"mini-{seed}.1.json",
        f"mini-{seed}.json",
    ]
    assert known_parts(one, tmp_path, WITH_RIVAL) == {"verdicts": 1, "rival": 1}
    assert [record["parts"] for record in read_records(tmp_path)] == [{"verdicts": 1, "rival": 1}]


@pytest.mark.parametrize(("seed", "keep", "stays"), [(0, False, True), (1, False, False), (1, True, True)])
def test_models_go_once_they_are_judged(
    seed: int, keep: bool, stays: bool, tmp_path: Path, counted: dict[str, int]
) -> None:
    do(tmp_path, Organism(tiny(), seed), Settings(n=40, twins=1, keep=keep))
    assert (tmp_path / "models" / f"mini-{seed}").exists() is stays


def test_a_model_stays_if_judging_it_fails(
    tmp_path: Path, counted: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluate, "parts", lambda *_: {"verdicts": lambda _: 1 / 0})
    with pytest.raises(ZeroDivisionError):
        do(tmp_path, Organism(tiny(), 1))
    assert (tmp_path / "models" / "mini-1").exists()
    monkeypatch.setattr(evaluate, "parts", lambda *_: {"verdicts": lambda _: "there"})
    do(tmp_path, Organism(tiny(), 1))
    assert counted["train"] == 1
    assert read_records(tmp_path)[0]["parts"] == {"verdicts": "there"}


def test_a_record_of_something_else_is_refused(tmp_path: Path, counted: dict[str, int]) -> None:
    do(tmp_path, Organism(tiny(), 0))
    with pytest.raises(RunFolderError, match="another n"):
        unfinished([Organism(tiny(), 0)], tmp_path, Settings(n=41, twins=1))
    other = Organism(tiny(steps=3), 0)
    with pytest.raises(RunFolderError, match="another recipe"):
        unfinished([other], tmp_path, SETTINGS)
    (tmp_path / "jobs" / "mini-0.json").unlink()
    with pytest.raises(RunFolderError, match="another recipe's model"):
        do(tmp_path, other)


def test_other_words_about_a_recipe_keep_its_records(tmp_path: Path, counted: dict[str, int]) -> None:
    do(tmp_path, Organism(tiny(), 0))
    told_anew = Organism(tiny().model_copy(update={"summary": "other words"}), 0)
    assert unfinished([told_anew], tmp_path, SETTINGS) == []


def test_records_of_different_sizes_are_not_mixed(tmp_path: Path, counted: dict[str, int]) -> None:
    do(tmp_path, Organism(tiny(), 0))
    do(tmp_path, Organism(tiny(), 1), Settings(n=50, twins=1))
    with pytest.raises(RunFolderError, match="mixes"):
        read_records(tmp_path)


@pytest.mark.slow
def test_a_real_job_in_the_pool(tmp_path: Path) -> None:
    """An untrained model of a few words: every part is made, and nothing is left to do."""
    one = Organism(tiny("mini-untrained", steps=0), 1)
    assert run_jobs(unfinished([one], tmp_path, SETTINGS), 1) == []
    assert unfinished([one], tmp_path, SETTINGS) == []
    parts = known_parts(one, tmp_path, SETTINGS)
    assert set(parts) == set(evaluate.parts(one.recipe, SETTINGS))
    verdicts = parts[f"verdicts/{WORLD}"]["verdicts"]
    assert {cell["verdict"] for cell in verdicts if cell["prediction"] != "P3"} == {"not_supported"}
    assert parts[f"rival/{WORLD}/CKA"]["language"]["prediction"] == "P1"
    assert not (tmp_path / "models" / one.id).exists()


def test_the_published_proof_can_be_continued() -> None:
    """Its records are of the recipes as they are: a new field of a recipe must not orphan them."""
    folder = Path(__file__).parents[3] / "docs" / "proof"
    for one in plan((), 1):
        assert known_parts(one, folder, Settings()), one.id
