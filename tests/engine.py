"""Running the command line and the run engine in tests: small inputs, captured output."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import pytest

from semhub import cli

STEPS = ("loading ", "counting tokens ", "making the cases ")
LINES = {
    "en": [
        "the river was cold",
        "three plus five equals eight",
        "one two three four",
        "two horses went home",
    ],
    "zh": ["河水很冷", "我们回家", "三加五等于八", "这代表了"],
    "es": ["el río estaba frío", "tres más cinco", "la casa es grande", "dijo que sí"],
}


@dataclass(frozen=True)
class Answer:
    """What a command left behind."""

    status: int
    out: str
    err: str


def semhub(capfd: pytest.CaptureFixture[str], *arguments: object) -> Answer:
    """One command in this process."""
    capfd.readouterr()
    argv = ["semhub", *map(str, arguments)]
    with mock.patch.object(sys, "argv", argv):
        status = cli._status()
    out, err = capfd.readouterr()
    return Answer(status, out, err)


def start(*arguments: object, folder: Path) -> subprocess.Popen[str]:
    """One command in a process of its own."""
    code = "from semhub.cli import main; main()"
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def write_counts(folder: Path) -> Path:
    """Texts in three languages for `--data counts=`, in place of thousands of generated ones."""
    folder.mkdir(parents=True, exist_ok=True)
    for code, lines in LINES.items():
        (folder / f"{code}.txt").write_text("\n".join(lines * 5) + "\n", encoding="utf-8")
    return folder


def one_line(answer: Answer, status: int, *words: str) -> None:
    """Asserts one line on stderr that holds the words, nothing on stdout, no traceback."""
    lines = [line for line in answer.err.splitlines() if not line.startswith(STEPS)]
    assert answer.status == status, answer.err
    assert len(lines) == 1, answer.err
    assert lines[0].startswith("semhub: "), answer.err
    assert "Traceback" not in answer.err
    assert not answer.out
    for word in words:
        assert word in lines[0], answer.err


def shard_bytes(folder: Path) -> dict[str, bytes]:
    """Name -> content of every file in shards/."""
    return {path.name: path.read_bytes() for path in sorted((folder / "shards").iterdir())}
