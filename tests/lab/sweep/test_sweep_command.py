"""`semhub lab sweep` as a user types it, and what it says before anything is trained."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from lab.sweep import fake_sweep as fake
from semhub.errors import RunFolderError, UsageError
from semhub.lab.cli import app
from semhub.lab.pool import Failure
from semhub.lab.sweep import dryrun, run
from semhub.lab.sweep.grid import Spec, cells, read_spec
from semhub.lab.sweep.table import tidy

RUNNER = CliRunner()
SPEED = dryrun.Speed(start=2.0, step=1e-9, judged=1e-6)


def invoke(*arguments: str) -> Any:
    return RUNNER.invoke(app, ["sweep", *arguments])


def test_help_has_an_example() -> None:
    result = invoke("--help")
    assert result.exit_code == 0
    assert "Example: semhub lab sweep" in result.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--width", "48,,96"], "write values with commas"),
        (["--width", "100"], "no multiple of 12"),
        (["--parallel", "0.5", "--dominant-share", "0.6"], "more than all documents"),
        (["--recipe", "maxi"], "unknown recipe 'maxi'"),
        (["--workers", "0"], "--workers must be at least 1, not 0"),
        (["--snapshots", "0,x"], "snapshots is a number"),
        (["--steps", "10", "--snapshots", "5,11"], "from 0 to 10"),
        (["--config", "none.yaml"], "cannot be read"),
    ],
)
def test_wrong_use_is_told_before_anything_is_written(
    arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = invoke(*arguments)
    assert isinstance(result.exception, UsageError)
    assert said in str(result.exception)
    assert list(tmp_path.iterdir()) == []


def test_options_reach_the_sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = dict[str, Any]()

    def sweep(spec: Spec, out: Path, workers: int, console: Any, command: str) -> list[Failure]:
        asked.update(spec=spec, out=out, workers=workers)
        return [Failure("bad", "why not")]

    monkeypatch.setattr(run, "sweep", sweep)
    options = "--parallel 0,0.05 --width 48,96 --seed 1,2 --planted-weight 0 --dominant-share 0.5 --depth 5,6"
    rest = f"--steps 10 --snapshots 0,5 --n 50 --twins 2 --full-size --workers 3 --out {tmp_path / 'out'}"
    result = invoke(*options.split(), *rest.split())
    assert result.exit_code == 1
    assert "failed: bad: why not" in result.output
    assert str(tmp_path / "out" / "sweep.html") in result.output
    assert (asked["workers"], asked["out"]) == (3, tmp_path / "out")
    axes = {
        "parallel": (0, 0.05), "d_model": (48, 96), "seed": (1, 2), "planted_weight": (0,),
        "dominant_share": (0.5,), "n_layers": (5, 6), "steps": (10,),
    }  # fmt: skip
    assert asked["spec"] == Spec(axes=axes, snapshots=(0, 5), n=50, twins=2, full_size=True)


def test_dry_run_lists_cells_and_trains_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dryrun, "measure", lambda cell, spec: SPEED)
    grid = fake.grid(seed=[0, 1, 2])
    fake.write(tmp_path / "cells", grid[:1], lambda cell, step: "supported")
    common = ["--steps", "20", "--snapshots", "2", "--workers", "2", "--out", str(tmp_path), "--dry-run"]
    result = invoke("--seed", "0,1,2", *common)
    assert result.exit_code == 0, result.output
    for seed in (0, 1, 2):
        assert f"seed {seed}" in result.output
    assert "3 cells, 1 of them done" in result.output
    assert [one.name for one in tmp_path.iterdir()] == ["cells"]


def test_expected_time() -> None:
    small, large = cells(read_spec({"axes": {"d_model": [96, 192], "steps": 100}, "snapshots": 4}))
    recipe = small.recipe
    attention = 2 * 96 * 96 + 2 * 96 * 96 * recipe.n_kv_heads // recipe.n_heads
    weights = recipe.n_layers * (attention + 3 * 96 * recipe.d_ff) + recipe.vocab_size * 96
    assert dryrun.weights(recipe) == weights
    step = recipe.documents_per_step * (weights + 2 * recipe.vocab_size * 96)
    assert dryrun.seconds(small, SPEED) == pytest.approx(2 + 100 * step * 1e-9 + 4 * weights * 1e-6)
    assert dryrun.seconds(large, SPEED) > 2 * dryrun.seconds(small, SPEED) - 2
    assert dryrun.total([1, 2, 2, 3], 2) == 4
    assert dryrun.total([], 3) == 0


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(RunFolderError, match="holds no sweep"):
        run.open_folder(tmp_path, Spec())
    with pytest.raises(RunFolderError, match="holds no sweep"):
        run.open_folder(tmp_path / "thesis.tex", Spec())
    run.open_folder(tmp_path / "new" / "one", Spec(n=7))
    assert json.loads((tmp_path / "new" / "one" / "sweep.json").read_text())["n"] == 7
    run.open_folder(tmp_path / "new" / "one", Spec(n=8))


def test_tracebacks_are_kept_until_nothing_fails(tmp_path: Path) -> None:
    run.note_failures(tmp_path, [Failure("cell", "why", "Traceback ...")])
    assert "cell: why\nTraceback" in (tmp_path / run.FAILED).read_text()
    run.note_failures(tmp_path, [])
    assert not (tmp_path / run.FAILED).exists()


@pytest.mark.slow
def test_a_real_sweep_of_two_steps_is_finished_once(tmp_path: Path) -> None:
    spec = read_spec(
        {
            "axes": {"steps": 2, "d_model": 24},
            "snapshots": [0, 1],
            "n": 40,
            "twins": 1,
            "experiments": ["language.similarity", "language.lens"],
        }
    )
    assert run.sweep(spec, tmp_path, 1) == []
    files = sorted((tmp_path / "cells").iterdir())
    before = {file: file.stat().st_mtime_ns for file in files}
    table = tidy(cells(spec), tmp_path / "cells")
    assert len(files) == table["cell"].nunique() == 1
    assert set(table["step"]) == {0, 1, 2}
    assert set(table["prediction"]) == {"P1", "P2"}
    assert table.dropna(subset=["layer"])["layer"].max() == 5
    assert table[table["step"] > 0]["loss"].notna().all()
    assert run.sweep(spec, tmp_path, 1) == []
    assert {file: file.stat().st_mtime_ns for file in files} == before
