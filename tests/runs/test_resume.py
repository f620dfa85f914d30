"""Stopping, going on, sharing: the shards of a run are the same bytes however they came about."""

from __future__ import annotations

import errno
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from engine import Answer, one_line, semhub, shard_bytes, write_counts
from semhub import api, registry
from semhub.errors import RunFolderError
from semhub.runs import execute as engine
from semhub.runs.config import RunConfig
from semhub.runs.execute import execute
from semhub.runs.finish import finish
from semhub.runs.store import Store
from tiny import tiny_checkpoint


def as_options(config: RunConfig) -> list[str]:
    """The command line that means `config`."""
    return [
        "run", config.model, "--preset", config.preset, "--spoke", *config.spokes, "--n", str(config.n),
        "--twins", str(config.twins), "--dominant", config.dominant, "--data", f"counts={config.data['counts']}",
    ]  # fmt: skip


def tables(folder: Path) -> tuple[bytes, bytes]:
    return (folder / "results.parquet").read_bytes(), (folder / "verdicts.json").read_bytes()


@pytest.fixture
def no_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaves out the figures and the page, which take longer than the small runs."""
    monkeypatch.setattr("semhub.report.write", lambda folder: folder / "report.html")


def test_the_same_command_gives_the_same_bytes(small: RunConfig, reference: Path, tmp_path: Path) -> None:
    assert execute(small, tmp_path)
    assert shard_bytes(tmp_path) == shard_bytes(reference)
    assert tables(tmp_path) == tables(reference)
    grids = [
        [path.read_bytes() for path in sorted((folder / "grids").iterdir())]
        for folder in (tmp_path, reference)
    ]
    assert grids[0] == grids[1]


def test_another_seed_gives_other_draws(small: RunConfig, reference: Path, tmp_path: Path) -> None:
    config = RunConfig(**{**small.model_dump(), "seed": 1, "experiments": ["arithmetic.lens"]})
    assert execute(config, tmp_path)
    name = "arithmetic.lens--all.parquet"
    assert shard_bytes(tmp_path)[name] != shard_bytes(reference)[name]


def test_a_finished_run_is_not_run_again(
    small: RunConfig, reference: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, both = shard_bytes(reference), tables(reference)
    monkeypatch.setattr(engine, "run_group", None)
    assert execute(small, reference)
    assert shard_bytes(reference) == before
    assert tables(reference) == both


@pytest.mark.usefixtures("no_page")
def test_two_shares_make_the_whole(
    small: RunConfig, reference: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    first = semhub(capfd, *as_options(small), "--out", out, "--shard", "2/2")
    assert (first.status, first.out) == (0, "")
    assert f"`semhub report {out}`" in first.err
    one_line(semhub(capfd, "report", out), 2, "4 of 9 shards", "Run the same command again")
    assert not (out / "results.parquet").exists()

    second = semhub(capfd, *as_options(small), "--out", out, "--shard", "1/2")
    assert second.status == 0
    (out / "results.parquet").unlink()
    merged = semhub(capfd, "report", out)
    assert merged.status == 0
    assert "report: " in merged.out
    assert shard_bytes(out) == shard_bytes(reference)
    assert tables(out) == tables(reference)


STOPS = """
import signal
import time
from semhub import cli
from semhub.runs import execute

real, done = execute.Store.write_shard, []
def slow(*given):
    if len(done) == 2:
        print("ready", flush=True)
        time.sleep(120)
    done.append(1)
    return real(*given)
execute.Store.write_shard = slow
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
cli.main()
"""


@pytest.mark.usefixtures("no_page")
def test_ctrl_c_keeps_what_is_finished(
    small: RunConfig, reference: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    command = [*as_options(small), "--out", str(tmp_path / "run")]
    process = subprocess.Popen(
        [sys.executable, "-c", STOPS, *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert out == ""
    assert err.splitlines()[-1] == "semhub: stopped; finished shards are kept, the same command continues"
    assert "Traceback" not in err

    kept = shard_bytes(tmp_path / "run")
    assert len(kept) == 4
    assert not list(tmp_path.rglob("*.tmp"))
    again = semhub(capfd, *command)
    assert again.status == 0
    found = shard_bytes(tmp_path / "run")
    assert found == shard_bytes(reference)
    assert {name: found[name] for name in kept} == kept
    assert tables(tmp_path / "run") == tables(reference)


def test_a_full_disk_keeps_what_is_finished(
    small: RunConfig,
    reference: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from semhub import results

    real = results.pq.write_table
    written: list[Path] = []

    def full(table: object, where: Path, **options: object) -> None:
        written.append(where)
        if len(written) > 3:
            where.write_bytes(b"half")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(table, where, **options)

    monkeypatch.setattr(results.pq, "write_table", full)
    answer = semhub(capfd, *as_options(small), "--out", tmp_path)
    assert answer.status == 2
    last = answer.err.splitlines()[-1]
    assert last.startswith("semhub: cannot write")
    assert "No space left on device" in last
    assert "Traceback" not in answer.err
    assert not list(tmp_path.rglob("*.tmp"))
    assert len(list((tmp_path / "shards").glob("*.parquet"))) == 3

    monkeypatch.setattr(results.pq, "write_table", real)
    assert execute(small, tmp_path)
    assert shard_bytes(tmp_path) == shard_bytes(reference)


@pytest.fixture
def begun(reference: Path, tmp_path: Path) -> Path:
    """A copy of the reference run, for tests that spoil it."""
    return Path(shutil.copytree(reference, tmp_path / "begun"))


def refused(capfd: pytest.CaptureFixture[str], config: RunConfig, folder: Path, *more: str) -> Answer:
    before = shard_bytes(folder)
    answer = semhub(capfd, *as_options(config), *more, "--out", folder)
    assert shard_bytes(folder) == before
    return answer


def test_another_configuration_is_refused(
    small: RunConfig, begun: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    answer = refused(capfd, small, begun, "--seed", "1")
    one_line(answer, 2, "holds a run of another configuration (seed 0, not 1)", "Choose another --out")


def test_changed_data_is_refused(small: RunConfig, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    counts = write_counts(tmp_path / "counts")
    config = RunConfig(**{**small.model_dump(), "data": {"counts": str(counts)}, "spokes": ["arithmetic"]})
    execute(config, tmp_path / "run", shard=(1, 4))
    with (counts / "en.txt").open("a", encoding="utf-8") as file:
        file.write("one more line\n")
    answer = refused(capfd, config, tmp_path / "run")
    one_line(answer, 2, "the data counts changed", "Choose another --out")


def test_changed_weights_are_refused(
    small: RunConfig, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    model = tiny_checkpoint("llama", tmp_path / "model")
    config = RunConfig(**{**small.model_dump(), "model": str(model)})
    execute(config, tmp_path / "run", shard=(1, 4))
    tiny_checkpoint("llama", model, seed=1)
    one_line(
        refused(capfd, config, tmp_path / "run"), 2, "the model's weights changed", "Choose another --out"
    )


def test_a_damaged_shard_is_named(begun: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = begun / "shards" / "arithmetic.lens--all.parquet"
    path.write_bytes(path.read_bytes()[:500])
    one_line(semhub(capfd, "report", begun), 2, str(path), "Delete it and run the command again")


def test_a_deleted_shard_is_made_again(small: RunConfig, begun: Path, reference: Path) -> None:
    """Alone, or from the middle of sets that share their forward passes: the same bytes, and no other is written."""
    for name in ("arithmetic.lens--all", "arithmetic.similarity--all-continued"):
        (begun / "shards" / f"{name}.parquet").unlink()
        before = {path.name: path.stat().st_mtime_ns for path in (begun / "shards").glob("*.parquet")}
        with pytest.raises(RunFolderError, match=rf"1 of 9 shards .* \({re.escape(name)} \.\.\.\)"):
            finish(Store(begun))
        assert execute(small, begun)
        assert shard_bytes(begun) == shard_bytes(reference)
        after = {path.name: path.stat().st_mtime_ns for path in (begun / "shards").glob("*.parquet")}
        assert {one for one in after if after[one] != before.get(one)} == {f"{name}.parquet"}


def test_from_python(small: RunConfig, reference: Path, tmp_path: Path) -> None:
    """`semhub.run` is the same run, and shares its folder with the command line."""
    options = small.model_dump(exclude={"model"})
    found = api.run(small.model, out=reference, **options)
    assert found.manifest["config_hash"] == small.hash
    assert len(found.results) > 100
    assert list(found.verdicts["prediction"]) == ["P1", "P2", "P3"]
    assert set(found.rows["experiment"]) == {one.id for one in registry.experiments(["arithmetic"])}
