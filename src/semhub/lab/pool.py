"""Named jobs in single-threaded processes; each leaves its result as one JSON file, and none is done twice."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import signal
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from semhub.errors import RunFolderError, SemhubError, UsageError

ENVIRONMENT = {  # one thread each, and no bars of theirs
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
}
CONTEXT = multiprocessing.get_context("spawn")
PATIENCE = 5.0  # seconds for a process to tidy up
JOBS_EACH = 12  # then a fresh process goes on: one that trains model after model keeps growing


@dataclass(frozen=True, slots=True)
class Job:
    """`target`, as `package.module:function`, is called with `arguments`; what it returns is written to `result`.

    arguments and the returned value are what JSON can say. A job is done when the file `result` exists.
    """

    id: str
    target: str
    arguments: Mapping[str, Any]
    result: Path


@dataclass(frozen=True, slots=True)
class Failure:
    """A job that left no result: why, in one line, and the traceback (empty where its process died)."""

    id: str
    reason: str
    traceback: str = ""


def run_jobs(jobs: Sequence[Job], workers: int, console: Console | None = None) -> list[Failure]:
    """Does the jobs that have no result yet, `workers` at a time, and returns those that failed.

    A failure does not stop the others, nor does a process that dies. console: where a bar is drawn, or None.
    KeyboardInterrupt ends the processes and is raised again; results are written whole or not at all.
    Raises UsageError for workers below 1, RunFolderError where a result's folder cannot be made.
    """
    if workers < 1:
        raise UsageError(f"--workers must be at least 1, not {workers}.")
    todo = [job for job in jobs if not job.result.exists()]
    for folder in {job.result.parent for job in todo}:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunFolderError(f"cannot make {folder}: {error.strerror or error}.") from error
    with _bar(console, len(jobs), len(jobs) - len(todo)) as show, _environment(ENVIRONMENT):
        return _run(deque(todo), min(workers, len(todo)), show)


def report(share: float) -> None:
    """To be called by a job: the share of its work that is done, 0 to 1. Outside a pool it does nothing."""
    if _to_pool is not None:
        _to_pool.send(share)


_to_pool: Connection | None = None


@dataclass(slots=True)
class _Worker:
    """One process, the job it is at, and the share of that job that is done."""

    job: Job | None = None
    share: float = 0.0
    given: int = 0
    pipe: Connection = field(init=False)
    process: Any = field(init=False)

    def __post_init__(self) -> None:
        self.pipe, theirs = CONTEXT.Pipe()
        self.process = CONTEXT.Process(target=_serve, args=(theirs,), daemon=True)
        with _ignored_interrupt():
            self.process.start()
        theirs.close()

    def give(self, job: Job) -> None:
        self.job, self.share, self.given = job, 0.0, self.given + 1
        self.pipe.send(job)

    def end(self) -> None:
        self.process.terminate()
        self.process.join(PATIENCE)
        self.process.kill()
        self.process.join()
        self.pipe.close()


def _run(waiting: deque[Job], workers: int, show: Callable[[float, str], None]) -> list[Failure]:
    failures, finished = list[Failure](), 0
    crew = [_Worker() for _ in range(workers)]
    try:
        for worker in crew:
            worker.give(waiting.popleft())
        while busy := {worker.pipe: worker for worker in crew if worker.job is not None}:
            names = ", ".join(worker.job.id for worker in busy.values() if worker.job is not None)
            show(finished + sum(worker.share for worker in busy.values()), names)
            for pipe in wait(list(busy)):
                worker = busy[pipe]  # type: ignore[index]
                said = _heard(worker)
                if isinstance(said, float | int):
                    worker.share = float(said)
                    continue
                finished += 1
                worker.job = None
                if said is not None:
                    failures.append(said)
                spent = worker.given >= JOBS_EACH or not worker.process.is_alive()
                if spent and waiting:
                    worker.end()
                    crew[crew.index(worker)] = worker = _Worker()
                if waiting:
                    worker.give(waiting.popleft())
        show(finished, "done")
    finally:
        for worker in crew:
            worker.end()
    return failures


def _heard(worker: _Worker) -> float | Failure | None:
    """A share of the job under way, or how it ended: a failure, or None."""
    assert worker.job is not None
    try:
        said: float | Failure | None = worker.pipe.recv()
    except (EOFError, OSError):
        worker.process.join()
        status = worker.process.exitcode
        reason = f"its process ended with status {status}" + (" (out of memory?)" if status == -9 else "")
        return Failure(worker.job.id, reason)
    return said


def _serve(pipe: Connection) -> None:
    """The life of a process: jobs until the pool ends it."""
    import torch

    global _to_pool
    _to_pool = pipe
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    torch.set_num_threads(1)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    while True:
        pipe.send(_do(pipe.recv()))


def _do(job: Job) -> Failure | None:
    from semhub.runs.store import Store

    module, _, name = job.target.partition(":")
    try:
        value = getattr(importlib.import_module(module), name)(**job.arguments)
        Store(job.result.parent).write_json(job.result, value)
    except Exception as error:
        said = str(error) if isinstance(error, SemhubError) else f"{type(error).__name__}: {error}"
        return Failure(job.id, " ".join(said.split()), traceback.format_exc())
    return None


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


@contextmanager
def _ignored_interrupt() -> Iterator[None]:
    """A process started here never sees Ctrl-C: the pool does, and ends it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


@contextmanager
def _bar(console: Console | None, total: int, done: int) -> Iterator[Callable[[float, str], None]]:
    if console is None:
        yield lambda finished, names: None
        return
    columns = (
        TextColumn("{task.fields[whole]} of {task.total:g}"),
        BarColumn(),
        TextColumn("elapsed"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=console) as bars:
        task = bars.add_task("starting", total=total, completed=done, whole=done)

        def show(finished: float, names: str) -> None:
            bars.update(task, completed=done + finished, whole=done + int(finished), description=names)

        yield show
