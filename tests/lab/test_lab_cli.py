"""`semhub lab` as a user types it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from semhub.errors import UsageError
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


@pytest.mark.parametrize("arguments", [["train", "maxi"], ["train", "mini", "--steps", "0"]])
def test_wrong_use_is_one_clear_error(arguments: list[str]) -> None:
    result = RUNNER.invoke(app, arguments)
    assert isinstance(result.exception, UsageError)
