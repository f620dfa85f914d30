"""The run's folder: whose it is, and writes that never leave half a file."""

from __future__ import annotations

import errno
import json
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from semhub import results
from semhub.errors import DataError, RunFolderError
from semhub.results import SCHEMA_VERSION, draw_rows
from semhub.runs.config import RunConfig
from semhub.runs.store import Store

CONFIG = RunConfig(n=20)
OWNED_CONFIG = CONFIG.model_dump(mode="json")
OWNED = {"config": OWNED_CONFIG, "config_hash": CONFIG.hash}
MANIFEST: dict[str, Any] = {"schema_version": SCHEMA_VERSION, **OWNED} | dict.fromkeys(
    ("model", "dominant", "experiments", "data", "units")
)


def rows(n: int = 3) -> pd.DataFrame:
    names = dict(experiment="e", variant="v", measure="m", condition="null")
    return draw_rows(np.random.default_rng(0).normal(size=(n, 2)), **names)


def opened(folder: Path) -> Store:
    store = Store(folder)
    store.open(CONFIG)
    store.write_json(folder / "manifest.json", MANIFEST)
    return store


def test_a_shard_comes_back(tmp_path: Path) -> None:
    store = opened(tmp_path / "new" / "run")
    assert not store.done("a")
    store.write_shard("a", rows(), {"cases": [1]})
    assert store.done("a")
    pd.testing.assert_frame_equal(store.rows(["a"]), rows(), check_dtype=False)
    assert store.notes("a") == {"cases": [1]}
    assert sorted(path.name for path in store.shards.iterdir()) == ["a.json", "a.parquet"]
    store.open(CONFIG)


def test_equal_rows_give_equal_bytes(tmp_path: Path) -> None:
    store = opened(tmp_path)
    store.write_shard("a", rows(), {})
    store.write_shard("b", rows(), {})
    one, two = ((tmp_path / "shards" / f"{name}.parquet").read_bytes() for name in "ab")
    assert one == two


@pytest.mark.parametrize("where", ["file", "file/below", "/proc/semhub-run", "/proc/self/semhub-run"])
def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path, where: str) -> None:
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    with pytest.raises(RunFolderError, match="Choose another --out"):
        Store(tmp_path / where).check(CONFIG)
    assert (tmp_path / "file").read_text(encoding="utf-8") == "mine"


def test_checking_leaves_nothing_behind(tmp_path: Path) -> None:
    Store(tmp_path / "a" / "b").check(CONFIG)
    assert not list(tmp_path.iterdir())


def test_a_foreign_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("x", encoding="utf-8")
    with pytest.raises(RunFolderError, match="is not empty and holds no run"):
        Store(tmp_path).open(CONFIG)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_the_folder_of_another_configuration_is_refused(tmp_path: Path) -> None:
    opened(tmp_path)
    other = RunConfig(n=30, data={"flores": "there"})
    with pytest.raises(
        RunFolderError, match=r"another configuration \(n 20, not 30; data \{\}, not \{'flores': 'there'\}\)"
    ):
        Store(tmp_path).open(other)


@pytest.mark.parametrize("change", ["gone", "new"])
def test_options_of_another_version_are_named(tmp_path: Path, change: str) -> None:
    opened(tmp_path)
    config = {
        name: value for name, value in OWNED_CONFIG.items() if (change, name) != ("new", "quantization")
    }
    config |= {"gone": 1} if change == "gone" else {}
    known = {**MANIFEST, "config": config, "config_hash": "ffff"}
    (tmp_path / "manifest.json").write_text(json.dumps(known), encoding="utf-8")
    name = {"gone": "gone", "new": "quantization"}[change]
    with pytest.raises(
        RunFolderError, match=rf"another version of semhub, .* \({name}\)\. Choose another --out"
    ):
        Store(tmp_path).open(CONFIG)


@pytest.mark.parametrize(
    "manifest",
    [
        [],
        {},
        {"schema_version": SCHEMA_VERSION},
        {**MANIFEST, "schema_version": 0},
        {**MANIFEST, "config": None},
        {**MANIFEST, "units": None},
    ],
)
def test_what_is_no_manifest_is_refused(tmp_path: Path, manifest: Any) -> None:
    (tmp_path / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    if manifest == {**MANIFEST, "units": None}:
        Store(tmp_path).open(CONFIG)
        return
    with pytest.raises(RunFolderError, match=r"manifest\.json is no manifest"):
        Store(tmp_path).open(CONFIG)


@pytest.mark.parametrize("text", ["", "nope", "{"])
def test_an_unreadable_manifest_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.json").write_text(text, encoding="utf-8")
    with pytest.raises(RunFolderError, match=r"manifest\.json cannot be read"):
        Store(tmp_path).open(CONFIG)


def test_a_run_stopped_before_its_manifest_goes_on(tmp_path: Path) -> None:
    Store(tmp_path).open(CONFIG)
    (tmp_path / "manifest.json.77.tmp").write_text("{", encoding="utf-8")
    (tmp_path / ".DS_Store").write_text("", encoding="utf-8")
    Store(tmp_path).open(CONFIG)
    (tmp_path / "shards" / "somebody's.parquet").write_text("", encoding="utf-8")
    with pytest.raises(RunFolderError, match="holds no run"):
        Store(tmp_path).open(CONFIG)


@contextmanager
def no_file_over(size: int) -> Iterator[None]:
    """Writes beyond `size` bytes fail in the kernel, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_shard_that_does_not_fit_leaves_no_half(tmp_path: Path) -> None:
    store = opened(tmp_path)
    store.write_shard("a", rows(), {})
    with no_file_over(4096), pytest.raises(RunFolderError, match=r"b\.parquet.*File too large.*Free space"):
        store.write_shard("b", rows(20_000), {})
    assert not store.done("b")
    assert sorted(path.name for path in store.shards.iterdir()) == ["a.json", "a.parquet", "b.json"]
    store.write_shard("b", rows(20_000), {})
    assert len(store.rows(["a", "b"])) == 40_006


def test_a_full_disk_at_the_sync_leaves_no_half(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = opened(tmp_path)
    before = (tmp_path / "manifest.json").read_bytes()

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RunFolderError, match="No space left on device"):
        store.write_json(tmp_path / "manifest.json", {"new": 1})
    with pytest.raises(RunFolderError, match="No space left on device"):
        results.write_table(rows(), results.ROW_SCHEMA, store.shards / "a.parquet")
    assert (tmp_path / "manifest.json").read_bytes() == before
    assert not list(tmp_path.rglob("*.tmp"))
    assert not store.done("a")


def test_a_stop_in_the_middle_of_a_write_leaves_no_half(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = opened(tmp_path)

    def stop(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", stop)
    with pytest.raises(KeyboardInterrupt):
        results.write_table(rows(), results.ROW_SCHEMA, store.shards / "a.parquet")
    with pytest.raises(KeyboardInterrupt):
        store.write_json(store.shards / "a.json", {})
    assert not list(store.shards.iterdir())


def test_temporary_names_never_end_in_parquet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    real = Path.replace

    def watch(path: Path, target: Path) -> Path:
        seen.append(path.name)
        return real(path, target)

    monkeypatch.setattr(Path, "replace", watch)
    opened(tmp_path).write_shard("a", rows(), {})
    assert len(seen) == 3
    assert all(name.endswith(".tmp") for name in seen)


def test_a_damaged_shard_is_named(tmp_path: Path) -> None:
    store = opened(tmp_path)
    store.write_shard("a", rows(), {})
    path = store.shards / "a.parquet"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(DataError, match=r"a\.parquet is not a readable shard.*Delete it"):
        store.rows()


def test_no_number_is_not_json(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        opened(tmp_path).write_json(tmp_path / "x.json", float("nan"))
    assert not (tmp_path / "x.json").exists()
    assert not list(tmp_path.rglob("*.tmp"))
