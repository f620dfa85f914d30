"""What every contestant shares: it holds its model, runs a named job when told, and answers with time and memory.

One process each, in the package's own environment; the driver tells them in turn, so that a noisy machine hits all
alike. Protocol: a job's name on stdin; one JSON line on stdout; numbers to compare in `<answers>/<job>.npz`.
"""

from __future__ import annotations

import ctypes
import gc
import json
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

Answer = dict[str, np.ndarray]


def resident(key: str) -> int:
    """VmRSS (now) or VmHWM (peak) of this process in bytes, from Linux's /proc."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"no {key} in /proc/self/status")


class Peak:
    """The highest resident size while the block ran, above that at its start (bytes)."""

    def __enter__(self) -> Peak:
        gc.collect()
        ctypes.CDLL("libc.so.6").malloc_trim(0)
        self.start = self.highest = resident("VmRSS")
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._watch, daemon=True)
        try:
            Path("/proc/self/clear_refs").write_text("5")  # the kernel's own high-water mark restarts
            self.kernel = resident("VmHWM") < self.start + 2**22
        except OSError:
            self.kernel = False
        if not self.kernel:
            self.thread.start()
        return self

    def _watch(self) -> None:
        while not self.stop.wait(0.002):
            self.highest = max(self.highest, resident("VmRSS"))

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        if self.kernel:
            self.highest = resident("VmHWM")
        else:
            self.thread.join()
        self.bytes = self.highest - self.start


def serve(setup: Callable[[Path, dict], dict[str, Callable[[], Answer]]], versions: dict[str, str]) -> None:
    """setup(checkpoint folder, inputs) -> job name -> function that does the job and returns what to compare."""
    folder, answers, threads = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    torch.set_num_threads(threads)
    out, sys.stdout = sys.stdout, sys.stderr  # a package that prints must not break the protocol
    jobs = setup(folder, json.loads((folder / "inputs.json").read_text(encoding="utf-8")))
    versions = {"torch": torch.__version__, **versions}
    print(json.dumps({"jobs": sorted(jobs), "versions": versions}), file=out, flush=True)
    for line in sys.stdin:
        name = line.strip()
        with Peak() as peak:
            started, cpu_started = time.perf_counter(), time.process_time()
            answer = jobs[name]()
            seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu_started
        if answer:
            np.savez(answers / f"{name}.npz", **answer)
        del answer
        figures = {"wall": seconds, "cpu": cpu_seconds, "peak_bytes": peak.bytes}
        print(json.dumps(figures), file=out, flush=True)
