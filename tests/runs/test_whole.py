"""Everything at once, as a user starts it: slow."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine import semhub
from tiny import cached_checkpoint

pytestmark = pytest.mark.slow


def test_all_experiments_with_enough_cases(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """No data is given, the dominant language is estimated, and every P1 is judged: a random model has no hub."""
    command = ["run", cached_checkpoint("llama"), "--preset", "quick", "--n", "40", "--twins", "19"]
    answer = semhub(capfd, *command, "--out", tmp_path / "run", "--json")
    assert answer.status == 0, answer.err
    found = json.loads(answer.out)
    verdicts = {(one["spoke"], one["prediction"]): one for one in found["verdicts"]}
    for spoke in ("language", "arithmetic"):
        assert verdicts[spoke, "P1"]["verdict"] == "not_supported"
        assert verdicts[spoke, "P1"]["n_clusters"] >= 30
        assert len(verdicts[spoke, "P1"]["checks"]) >= 5
    assert verdicts["arithmetic", "P3"]["verdict"] == "not_supported"
    assert verdicts["language", "P3"]["verdict"] == "untestable"  # its tokenizer spells none of the words
    assert Path(found["page"]).stat().st_size > 100_000
    figures = {path.suffix for path in (tmp_path / "run" / "figures").iterdir()}
    assert {".svg", ".png", ".pdf", ".csv"} <= figures
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["dominant"]["status"] in {"found", "none", "two", "abstain"}
    assert not any("twins" in warning for warning in manifest["warnings"])
