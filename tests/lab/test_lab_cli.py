"""`semhub lab` as a user types it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from semhub.errors import RunFolderError, UsageError
from semhub.lab.cli import app
from semhub.lab.recipes import recipes

RUNNER = CliRunner()


def test_list_names_every_recipe() -> None:
    told = RUNNER.invoke(app, ["list"]).output
    found = json.loads(RUNNER.invoke(app, ["list", "--json"]).stdout)
    assert [one["name"] for one in found] == list(recipes())
    assert all(f"{name} " in told for name in recipes())
    assert "P1 no, P2 no, P3 no" in told


@pytest.mark.parametrize("command", ["train", "list"])
def test_help_has_an_example(command: str) -> None:
    result = RUNNER.invoke(app, [command, "--help"])
    assert result.exit_code == 0
    assert f"Example: semhub lab {command}" in result.output


def test_train_stops_and_leaves_a_checkpoint(tmp_path: Path) -> None:
    result = RUNNER.invoke(app, ["train", "mini", "--out", str(tmp_path / "mini"), "--steps", "1"])
    assert result.exit_code == 0, result.output
    assert result.stdout.strip() == str(tmp_path / "mini")
    assert (tmp_path / "mini" / "checkpoint.safetensors").exists()


def test_what_is_trained_is_not_overwritten(tmp_path: Path) -> None:
    """Neither a finished model nor a folder of something else; an empty one is taken."""
    (tmp_path / "model").mkdir()
    train = ["train", "mini-untrained", "--out"]
    assert RUNNER.invoke(app, [*train, str(tmp_path / "model")]).exit_code == 0
    weights = (tmp_path / "model" / "model.safetensors").read_bytes()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "x.txt").write_text("mine", encoding="utf-8")
    for folder in (tmp_path / "model", tmp_path / "other", tmp_path / "other" / "x.txt"):
        result = RUNNER.invoke(app, [*train, str(folder), "--seed", "1"])
        assert isinstance(result.exception, RunFolderError), result.output
        assert "Choose another --out" in str(result.exception)
    assert (tmp_path / "model" / "model.safetensors").read_bytes() == weights
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["x.txt"]


@pytest.mark.parametrize("arguments", [["train", "maxi"], ["train", "mini", "--steps", "0"]])
def test_wrong_use_is_one_clear_error(arguments: list[str]) -> None:
    result = RUNNER.invoke(app, arguments)
    assert isinstance(result.exception, UsageError)
