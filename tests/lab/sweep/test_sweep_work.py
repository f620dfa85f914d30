"""One cell's work: resumed at cell and checkpoint, half-written models trained again, curves as computed by hand."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lab.sweep import fake_sweep as fake
from semhub.lab.judge import Judgement
from semhub.lab.pool import run_jobs
from semhub.lab.recipe import Recipe
from semhub.lab.sweep import run, work
from semhub.lab.sweep.grid import cells, read_spec
from semhub.lab.train import Progress
from semhub.results import draw_rows, long_rows


class Stand:
    """Stands in for training and judging, counts what is asked of it and stops where it is told to."""

    def __init__(self) -> None:
        self.trained = list[tuple[int, tuple[int, ...]]]()
        self.judged = list[int]()
        self.stop_at = -1
        self.half_written = -1

    def train(
        self,
        recipe: Recipe,
        out: Path,
        seed: int,
        *,
        checkpoint_every: int = 100,
        progress: Any = None,
        snapshots: Sequence[int] = (),
    ) -> Path:
        self.trained.append((recipe.steps, tuple(snapshots)))
        for step in range(1, recipe.steps + 1):
            if step in snapshots:
                self.export(out / f"step-{step:06d}", step)
            progress(Progress(step, recipe.steps, 10 - step, float("nan")))
        self.export(out, recipe.steps)
        return out

    def export(self, folder: Path, step: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        if step == self.half_written and folder.name.startswith("step"):
            self.half_written = -1
        else:
            (folder / "README.md").write_text(str(step))

    def judge(self, model: Path, **options: Any) -> Judgement:
        step = int(model.name.removeprefix("step-"))
        assert (model / "README.md").read_text() == str(step)
        assert options == {"n": 40, "twins": 1, "experiments": ("language.similarity",)}
        if step == self.stop_at:
            raise KeyboardInterrupt
        self.judged.append(step)
        verdicts = [
            fake.verdict("P1", "supported", [2, 3], 0.5),
            {**fake.verdict("P3", "untestable", None, None), "experiment": ""},
        ]
        return Judgement(verdicts, {"language": None, "status": "none"}, rows(), built())


def rows() -> pd.DataFrame:
    """P1 and P2 of three layers and two cases; P1's null has two draws. Half sets beside them must not count."""
    names = dict(experiment="language.similarity", measure="paper_score_centred")
    values = np.array([[0.1, 0.3], [0.5, 0.7], [0.0, np.nan]])
    null = np.array([[0.1, 0.2, 0.0], [0.3, 0.2, 0.0]])
    concept = np.array([[1.0, 2.0], [-1.0, -2.0], [0.0, 1.0]])
    ids = ["a", "b"]
    frames = [
        long_rows(values, ids, ids, variant="zh", condition="matched", **names),
        draw_rows(null, variant="zh", condition="null", **names),
        long_rows(values + 9, ids, ids, variant="zh/select", condition="matched", **names),
        long_rows(
            concept,
            ids,
            ids,
            experiment="language.lens",
            variant="es",
            measure="concept_diff",
            condition="matched",
        ),
    ]
    return pd.concat(frames, ignore_index=True)


def built() -> tuple[Any, ...]:
    def one(name: str, prediction: str, *variants: str) -> Any:
        experiment = SimpleNamespace(id=name, spoke="language", prediction=prediction)
        return SimpleNamespace(experiment=experiment, sets=[SimpleNamespace(variant=v) for v in variants])

    return one("language.similarity", "P1", "zh", "absent"), one("language.lens", "P2", "es")


@pytest.fixture
def stand(monkeypatch: pytest.MonkeyPatch) -> Stand:
    made = Stand()
    monkeypatch.setattr(work, "train", made.train)
    monkeypatch.setattr(work, "judge", made.judge)
    return made


def arguments(folder: Path, **options: Any) -> dict[str, Any]:
    spec = read_spec(
        {
            "axes": {"steps": 6},
            "snapshots": [2, 4],
            "n": 40,
            "twins": 1,
            "experiments": ["language.similarity"],
            **options,
        }
    )
    (job,) = work.jobs(spec, cells(spec), folder)
    assert job.result == folder / "cells" / f"{job.id}.json"
    return dict(json.loads(json.dumps(job.arguments)))


def test_every_checkpoint_is_judged_once(stand: Stand, tmp_path: Path) -> None:
    found = work.train_and_judge(**arguments(tmp_path))
    assert stand.trained == [(6, (2, 4, 6))]
    assert stand.judged == [one["step"] for one in found["checkpoints"]] == [2, 4, 6]
    first = found["checkpoints"][0]
    assert (first["loss"], first["planted_loss"], first["dominant"]) == (8, None, "none")
    assert [verdict["prediction"] for verdict in first["verdicts"]] == ["P1"]
    json.dumps(found, allow_nan=False)


def test_an_interrupted_cell_goes_on_where_it_stopped(stand: Stand, tmp_path: Path) -> None:
    stand.stop_at = 4
    with pytest.raises(KeyboardInterrupt):
        work.train_and_judge(**arguments(tmp_path))
    stand.stop_at = -1
    found = work.train_and_judge(**arguments(tmp_path))
    assert len(stand.trained) == 1
    assert stand.judged == [2, 4, 6]
    assert [one["loss"] for one in found["checkpoints"]] == [8, 6, 4]


def test_a_half_written_model_is_trained_again(stand: Stand, tmp_path: Path) -> None:
    stand.half_written = 4
    work.train_and_judge(**arguments(tmp_path))
    assert stand.trained == [(6, (2, 4, 6)), (6, (2, 4, 6))]
    assert stand.judged == [2, 4, 6]


def test_step_0_is_the_untrained_model(stand: Stand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = work.train_and_judge(**arguments(tmp_path, snapshots=[0, 3]))
    assert stand.trained == [(6, (3, 6)), (0, ())]
    assert [one["step"] for one in found["checkpoints"]] == [0, 3, 6]
    assert "loss" not in found["checkpoints"][0]


def test_curves_are_means_over_the_cases_of_the_whole_set() -> None:
    p1, p2 = work.curves(Judgement([], {}, rows(), built()))
    assert (p1["variant"], p1["prediction"], p2["variant"]) == ("zh", "P1", "es")
    assert p1["estimate"][:2] == pytest.approx([0.2, 0.6])
    assert p1["estimate"][2] is None
    assert p1["null_mean"] == pytest.approx([0.2, 0.2, 0.0])
    assert p2["estimate"] == pytest.approx([1.5, -1.5, 0.5])
    assert p2["null_mean"] == [None, None, None]


def test_a_finished_cell_is_not_touched(stand: Stand, tmp_path: Path) -> None:
    spec = read_spec({"axes": {"steps": 20, "d_model": [48, 96]}, "snapshots": 2})
    grid = cells(spec)
    fake.write(tmp_path / "cells", grid, lambda cell, step: "supported")
    (tmp_path / "sweep.json").write_text("{}")
    assert run_jobs(work.jobs(spec, grid, tmp_path), 2) == []
    assert run.sweep(spec, tmp_path, 2, command="semhub lab sweep") == []
    assert stand.trained == []
    page = (tmp_path / "sweep.html").read_text(encoding="utf-8")
    assert "2 of 2 organisms" in page
    assert {"table.csv", "table.parquet", "figures", "sweep.json"} <= {one.name for one in tmp_path.iterdir()}
