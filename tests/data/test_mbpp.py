"""MBPP's layouts, on rows of our own, and the real file where it is."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from semhub.data import hub, mbpp
from semhub.data.programs import EMPTY, NOT_SAMPLED, NOT_TEXT
from semhub.data.source import NOT_PARSED
from semhub.errors import DataError

DATA = Path(
    os.environ.get("SEMHUB_TEST_DATA") or Path(__file__).resolve().parents[2] / ".." / "shared" / "data"
)
ROW = {
    "text": "Write a function to halve a number. ",
    "code": "def half(n):\r\n\treturn n / 2\r\n",
    "task_id": 7,
    "test_setup_code": "",
    "test_list": ["assert half(4) == 2", "assert half(3) == 1.5"],
    "challenge_test_list": [],
}


def write(path: Path, *rows: Mapping[str, Any]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def test_a_row(tmp_path: Path) -> None:
    loaded = mbpp.load(write(tmp_path / "mbpp.jsonl", ROW), 10, 0)
    (one,) = loaded.items
    assert one.id == "mbpp:0"
    assert one.code == one.shown == "def half(n):\r\n\treturn n / 2\r\n"
    assert one.tests == "assert half(4) == 2\nassert half(3) == 1.5"
    assert one.description == "Write a function to halve a number."
    assert (loaded.kept.given, loaded.kept.dropped) == (1, {})
    assert (loaded.provenance.version, len(loaded.provenance.sha256)) == ("full", 64)


def test_the_sanitized_list_and_a_folder(tmp_path: Path) -> None:
    row = {key: value for key, value in ROW.items() if key != "text"} | {"prompt": "Halve."}
    (tmp_path / "sanitized-mbpp.json").write_text(json.dumps([row]), encoding="utf-8")
    (tmp_path / "README.md").write_text("no data", encoding="utf-8")
    loaded = mbpp.load(str(tmp_path), 10, 0)
    assert [one.description for one in loaded.items] == ["Halve."]
    assert loaded.provenance.version == "sanitized"


def test_what_cannot_be_used_is_counted(tmp_path: Path) -> None:
    rows = [ROW, ROW | {"code": "def f(:"}, ROW | {"code": "x = '\0'"}, ROW | {"code": " \n"},
            ROW | {"code": "-" * 50_000 + "1"}, ROW | {"text": "\ud800"}]  # fmt: skip
    loaded = mbpp.load(write(tmp_path / "mbpp.jsonl", *rows), 10, 0)
    assert [one.id for one in loaded.items] == ["mbpp:0"]
    assert loaded.kept.dropped == {NOT_PARSED: 3, EMPTY: 1, NOT_TEXT: 1}
    assert loaded.kept.given == 6


def test_a_sample(tmp_path: Path) -> None:
    spec = write(tmp_path / "mbpp.jsonl", *[ROW | {"code": f"x = {i}"} for i in range(20)])
    samples = [mbpp.load(spec, 5, seed) for seed in (0, 0, 1)]
    assert samples[0].items == samples[1].items != samples[2].items
    assert [int(one.code[4:]) for one in samples[0].items] == [int(one.id[5:]) for one in samples[0].items]
    assert samples[0].kept.dropped == {NOT_SAMPLED: 15}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"text": None}, 'line 2: no text under "text"'),
        ({"code": 3}, 'line 2: no text under "code"'),
        ({"test_list": "assert x"}, 'line 2: "test_list" must be a list of texts'),
        ({"test_list": [1]}, 'line 2: "test_list" must be a list of texts'),
    ],
)
def test_malformed_rows_are_named(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        mbpp.load(write(tmp_path / "mbpp.jsonl", ROW, ROW | change), 10, 0)


def test_missing_and_empty_data(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        mbpp.load(str(tmp_path / "no"), 10, 0)
    with pytest.raises(DataError, match=r"no \.jsonl file"):
        mbpp.load(str(tmp_path), 10, 0)
    (tmp_path / "x.json").write_text("{}", encoding="utf-8")
    with pytest.raises(DataError, match="no list of objects"):
        mbpp.load(str(tmp_path), 10, 0)


def test_a_hub_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "rows", lambda spec: ([ROW, ROW | {"code": "("}], "full", "1.0.2"))
    loaded = mbpp.load("hub:org/mbpp:full:test", 10, 0)
    assert [one.id for one in loaded.items] == ["mbpp:0"]
    assert loaded.provenance.source == "https://huggingface.co/datasets/org/mbpp"
    assert (loaded.provenance.version, len(loaded.provenance.sha256)) == ("1.0.2", 64)


def test_the_real_file() -> None:
    path = DATA / "mbpp"
    if not path.exists():
        pytest.skip(f"real data not found: {path} (set SEMHUB_TEST_DATA)")
    loaded = mbpp.load(str(path), 10_000, 0)
    assert (len(loaded.items), loaded.kept.given, loaded.kept.dropped) == (974, 974, {})
    assert sum("\r\n" in one.code for one in loaded.items) == 972
    assert sum("\t" in one.code for one in loaded.items) == 129
