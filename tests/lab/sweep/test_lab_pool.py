"""Jobs in processes: done once, one thread each, failures apart, Ctrl-C clean."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from semhub.errors import RunFolderError, UsageError
from semhub.lab import pool
from semhub.lab.pool import Job, run_jobs

TARGETS = "lab.sweep.pool_targets"
TESTS = Path(__file__).parents[2]


def job(name: str, target: str, folder: Path, **arguments: object) -> Job:
    return Job(name, f"{TARGETS}:{target}", arguments, folder / f"{name}.json")


@pytest.mark.slow
def test_failures_and_deaths_leave_the_other_jobs_alone(tmp_path: Path) -> None:
    before = dict(os.environ)
    out = tmp_path / "deep" / "results"
    jobs = [
        job("first", "add", out, a=1, b=2),
        job("refused", "refuse", out),
        job("dead", "die", out),
        job("last", "add", out, a=3, b=4),
    ]
    failures = run_jobs(jobs, 1)
    assert [(one.id, one.reason) for one in failures] == [
        ("refused", "no such file"),
        ("dead", "its process ended with status -9 (out of memory?)"),
    ]
    assert "DataError" in failures[0].traceback
    found = {path.name: json.loads(path.read_text()) for path in out.iterdir()}
    assert found == {
        "first.json": {"sum": 3, "threads": 1, "omp": "1"},
        "last.json": {"sum": 7, "threads": 1, "omp": "1"},
    }
    assert dict(os.environ) == before


@pytest.mark.slow
def test_several_processes_share_the_jobs(tmp_path: Path) -> None:
    jobs = [job(str(index), "add", tmp_path, a=index, b=0) for index in range(5)]
    assert run_jobs(jobs, 2) == []
    assert [json.loads(one.result.read_text())["sum"] for one in jobs] == list(range(5))


@pytest.mark.slow
def test_a_process_gives_way_to_a_fresh_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "JOBS_EACH", 2)
    jobs = [job(str(index), "process", tmp_path) for index in range(4)]
    assert run_jobs(jobs, 1) == []
    first, second, third, fourth = (json.loads(one.result.read_text()) for one in jobs)
    assert first == second != third == fourth


def test_a_job_with_a_result_is_not_done_again(tmp_path: Path) -> None:
    done = job("done", "refuse", tmp_path)
    done.result.write_text("{}")
    assert run_jobs([done], 2) == []
    assert done.result.read_text() == "{}"


def test_wrong_use(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--workers must be at least 1, not 0"):
        run_jobs([], 0)
    (tmp_path / "file").write_text("")
    with pytest.raises(RunFolderError, match="cannot make"):
        run_jobs([job("a", "add", tmp_path / "file" / "below", a=1, b=1)], 1)


@pytest.mark.slow
def test_ctrl_c_ends_the_processes_and_keeps_what_is_done(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from pathlib import Path\n"
        "from semhub.lab.pool import Job, run_jobs\n"
        "if __name__ == '__main__':\n"
        f"    out = Path({str(tmp_path)!r})\n"
        f"    add = Job('add', '{TARGETS}:add', {{'a': 1, 'b': 1}}, out / 'add.json')\n"
        f"    never = Job('never', '{TARGETS}:never', {{'started': str(out / 'pid')}}, out / 'never.json')\n"
        "    run_jobs([add, never], 1)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(TESTS)}
    process = subprocess.Popen(
        [sys.executable, str(script)], env=environment, stderr=subprocess.PIPE, start_new_session=True
    )
    started = tmp_path / "pid"
    deadline = time.monotonic() + 60
    while not (started.exists() and started.read_text()) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the pool and to its processes
    said = process.communicate(timeout=20)[1].decode()
    assert said.count("KeyboardInterrupt") == 1
    assert "leaked" not in said
    assert (tmp_path / "add.json").exists()
    assert not (tmp_path / "never.json").exists()
    with pytest.raises(ProcessLookupError):
        os.kill(int(started.read_text()), 0)
