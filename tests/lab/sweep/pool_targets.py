"""What the pool's tests let its processes do."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from pathlib import Path

import torch

from semhub.errors import DataError
from semhub.lab.pool import report

LOCKS: list[object] = []


def add(a: int, b: int) -> dict[str, object]:
    report(0.5)
    return {"sum": a + b, "threads": torch.get_num_threads(), "omp": os.environ["OMP_NUM_THREADS"]}


def process() -> int:
    return os.getpid()


def refuse() -> None:
    raise DataError("no such\nfile")


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def never(started: str) -> None:
    LOCKS.append(multiprocessing.get_context("spawn").RLock())  # what a killed process would leave behind
    Path(started).write_text(str(os.getpid()), encoding="utf-8")
    time.sleep(600)
