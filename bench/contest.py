"""Contestants in their own processes, told in turn, and the ratios that come of it."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
ENVS = HERE / ".envs"
PEERS = {"nnterp": "nnterp_lens.py", "tuned_lens": "tuned_lens_lens.py"}  # environment -> script
STEERING_PEERS = {name: f"steer_{name}.py" for name in ("pyvene", "nnsight", "repeng")}
SCRIPTS = {
    "floor": "floor.py",
    "semhub": "ours.py",
    "plain": "plain.py",
    **PEERS,
    "semhub_steer": "steer_ours.py",
    "loop": "steer_loop.py",
    **STEERING_PEERS,
}


def environment(name: str) -> Path:
    """The Python of a contestant; a peer's environment is made from `peers/<name>.txt` when it is missing."""
    if name not in PEERS | STEERING_PEERS:
        return Path(sys.executable)
    pins, done = HERE / "peers" / f"{name}.txt", ENVS / name / ".installed"
    if not done.exists() or done.read_text() != pins.read_text():
        print(f"installing {name} into {ENVS / name}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", str(ENVS / name)], check=True)
        pip = [str(ENVS / name / "bin" / "python"), "-m", "pip", "install", "--quiet", "-r", str(pins)]
        subprocess.run([*pip, "--disable-pip-version-check"], check=True)
        done.write_text(pins.read_text())
    return ENVS / name / "bin" / "python"


@dataclass
class Contestant:
    """One process that holds a model and does jobs when told."""

    name: str
    checkpoint: Path
    answers: Path
    threads: int
    versions: dict[str, str] = field(default_factory=dict)
    jobs: tuple[str, ...] = ()

    def __enter__(self) -> Contestant:
        self.answers = self.answers / self.name
        self.answers.mkdir(parents=True, exist_ok=True)
        script = HERE / "peers" / SCRIPTS[self.name]
        arguments = [str(environment(self.name)), str(script), str(self.checkpoint), str(self.answers)]
        self.log = (self.answers / "stderr.txt").open("w")
        self.process = subprocess.Popen(
            [*arguments, str(self.threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
            env={**os.environ, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"},
        )
        said = self._listen()
        self.versions, self.jobs = said["versions"], tuple(said["jobs"])
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()
        self.log.close()

    def do(self, job: str) -> dict[str, float]:
        """Does a job; returns wall and cpu seconds and peak_bytes above the loaded model."""
        assert self.process.stdin is not None
        self.process.stdin.write(job + "\n")
        self.process.stdin.flush()
        return self._listen()

    def _listen(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            said = Path(self.log.name).read_text()[-2000:]
            raise SystemExit(f"{self.name} ended without an answer:\n{said}")
        return dict(json.loads(line))

    def answer(self, job: str) -> dict[str, np.ndarray]:
        with np.load(self.answers / f"{job}.npz") as found:
            return {key: found[key] for key in found.files}


@dataclass(frozen=True)
class Timing:
    """Seconds of each round, the ratio to the floor of each round, and the peak of the first run in bytes."""

    seconds: list[float]
    ratios: list[float]
    peak_bytes: float

    def ratio(self) -> str:
        low, high = min(self.ratios), max(self.ratios)
        return f"{statistics.median(self.ratios):.2f} ({low:.2f} to {high:.2f})"


def race(
    floor: Contestant, others: Sequence[Contestant], job: str, rounds: int, clock: str
) -> dict[str, Timing]:
    """Floor, contestant, floor, contestant, ...: each ratio is to the mean of the floors before and after.

    A first round warms up, gives the memory and is not timed.
    """
    peaks = {one.name: one.do(job)["peak_bytes"] for one in (floor, *others)}
    seconds: dict[str, list[float]] = {one.name: [] for one in (floor, *others)}
    ratios: dict[str, list[float]] = {one.name: [] for one in (floor, *others)}
    for _ in range(rounds):
        before = floor.do(job)[clock]
        for one in others:
            own = one.do(job)[clock]
            after = floor.do(job)[clock]
            seconds[one.name].append(own)
            ratios[one.name].append(own / ((before + after) / 2))
            seconds[floor.name].append(before)
            ratios[floor.name].append(1.0)
            before = after
    for name, values in ratios.items():
        if name != floor.name:
            print(f"  {job}: {name} {statistics.median(values):.3f} x {floor.name}", flush=True)
    return {name: Timing(seconds[name], ratios[name], peaks[name]) for name in seconds}


def deviation(plain: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> float:
    """Largest difference of log-probabilities (or scores) from the plain loop's; `_blocks` has no layer 0."""
    worst = 0.0
    for key, values in other.items():
        reference = plain[key.removesuffix("_blocks")]
        reference = reference[1:] if key.endswith("_blocks") else reference
        if values.shape != reference.shape:
            raise SystemExit(f"{key}: shape {values.shape}, the plain loop has {reference.shape}")
        if not np.issubdtype(values.dtype, np.integer):
            worst = max(worst, float(np.abs(values - reference).max()))
    return worst
