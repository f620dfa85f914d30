"""`semhub lab prove` as a user types it."""

from __future__ import annotations

import json
from pathlib import Path

import made_records as made
import pytest
from typer.testing import CliRunner

from semhub.errors import SemhubError
from semhub.lab.cli import app
from semhub.lab.pool import Failure

RUNNER = CliRunner()


def finished(folder: Path) -> Path:
    cells = [made.verdict("language", "P1", "supported")]
    records = [made.record("hub", seed, "yes", cells, rivals={"CKA": True}) for seed in range(3)]
    records += [made.record("dull", seed, "no", rivals={"CKA": seed == 0}) for seed in range(3)]
    records += [
        made.record(f"graded-{angle}", 0, "measured", cells, angle=float(angle)) for angle in (0, 45, 90)
    ]
    records += [
        made.record(f"hub-dose-{dose}", 0, "measured", cells, planted_layers=(2, 3), planted_weight=dose)
        for dose in (0, 0.1)
    ]
    return made.write(folder, records)


def test_help_has_an_example() -> None:
    result = RUNNER.invoke(app, ["prove", "--help"])
    assert result.exit_code == 0
    assert "semhub lab prove --recipe mini" in result.output


def test_tables_of_what_is_there(tmp_path: Path) -> None:
    folder, page = finished(tmp_path / "proof"), tmp_path / "docs" / "proof.md"
    result = RUNNER.invoke(app, ["prove", "--tables-only", "--out", str(folder), "--write", str(page)])
    assert result.exit_code == 0, result.output
    text = page.read_text(encoding="utf-8")
    assert "| semhub | micro-world | P1 | – | 3/3 (100% [29, 100]) |" in text
    assert "| CKA | micro-world | P1 | 1/3 (33% [1, 91]) | 3/3 (100% [29, 100]) |" in text
    assert "![Power over the angle between the embeddings](proof-power.svg)" in text
    assert "![Power over the planted weight](proof-dose.svg)" in text
    assert "| language | P1 | 300 | 0 | 0.4 | 1 |" in text, "the weakest dose that is found"
    assert page.with_name("proof-dose.svg").read_text().startswith("<svg")
    assert page.with_name("proof-power.svg").read_text().startswith("<svg")
    tables = {path.stem for path in (folder / "tables").glob("*.csv")}
    assert tables == set(json.loads((folder / "proof.json").read_text()))
    assert "false alarms" in result.stdout


def test_the_page_is_the_same_every_time(tmp_path: Path) -> None:
    folder, pages = finished(tmp_path / "proof"), [tmp_path / "a" / "p.md", tmp_path / "b" / "p.md"]
    for page in pages:
        RUNNER.invoke(app, ["prove", "--tables-only", "--out", str(folder), "--write", str(page)])
    assert pages[0].read_bytes() == pages[1].read_bytes()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--recipe", "maxi"], "unknown recipe"),
        (["--recipe", "mini-isolated", "--dose", "0.1"], "no planted hub"),
        (["--seeds", "0"], "--seeds must be at least 1"),
        (["--workers", "0"], "--workers must be at least 1"),
        (["--rival", "absent.py"], "absent.py"),
        (["--flores", "absent"], "absent"),
        (["--tables-only"], "no finished job"),
    ],
)
def test_wrong_use_is_one_clear_error(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("semhub.lab.pool._run", lambda *_: pytest.fail("work was begun"))
    result = RUNNER.invoke(app, ["prove", *arguments, "--out", str(tmp_path / "proof")])
    assert isinstance(result.exception, SemhubError), result.output
    assert message in str(result.exception)


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("semhub.lab.pool._run", lambda *_: pytest.fail("work was begun"))
    (tmp_path / "manifest.json").write_text("{}", encoding="utf-8")
    result = RUNNER.invoke(app, ["prove", "--recipe", "mini-untrained", "--out", str(tmp_path)])
    assert isinstance(result.exception, SemhubError), result.output
    assert "is not empty and holds no proof" in str(result.exception)
    assert [path.name for path in tmp_path.iterdir()] == ["manifest.json"]


def test_a_failed_model_is_named_and_the_rest_is_tabulated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = made.write(tmp_path, [made.record("mini-untrained", 0)])
    monkeypatch.setattr("semhub.lab.prove.command.unfinished", lambda *_: [])
    monkeypatch.setattr(
        "semhub.lab.prove.command.run_jobs", lambda *_: [Failure("mini-untrained-1", "it broke")]
    )
    options = ["--recipe", "mini-untrained", "--seeds", "2", "--no-simulate", "--out", str(folder)]
    result = RUNNER.invoke(app, ["prove", *options])
    assert result.exit_code == 1
    assert "mini-untrained-1 failed: it broke" in result.output
    assert (folder / "tables" / "totals.csv").exists()
