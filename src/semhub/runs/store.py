"""The run folder: who owns it, what is finished, and writes that never leave half a file."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd

from semhub.errors import RunFolderError
from semhub.results import RESULT_SCHEMA, ROW_SCHEMA, SCHEMA_VERSION, read_rows, write_table
from semhub.runs.config import RunConfig

MANIFEST, RESULTS, VERDICTS = "manifest.json", "results.parquet", "verdicts.json"
SHARDS, GRIDS = "shards", "grids"
NEEDED = {
    "config",
    "config_hash",
    "model",
    "dominant",
    "experiments",
    "data",
    "units",
}  # of a manifest, to go on


class Store:
    """One run's folder. Several processes may share it: they write different shards."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.shards = folder / SHARDS

    def check(self, config: RunConfig) -> None:
        """Refuses what cannot be written to, and a folder that belongs to something else. Raises RunFolderError."""
        if self.folder.exists() and not self.folder.is_dir():
            raise RunFolderError(f"{self.folder} is a file, not a folder. Choose another --out.")
        nearest = next(path for path in (self.folder, *self.folder.absolute().parents) if path.exists())
        try:
            tempfile.TemporaryFile(dir=nearest).close()
            entries = [] if nearest != self.folder else list(self.folder.iterdir())
        except OSError as error:
            raise self._unwritable(error) from error
        if (self.folder / MANIFEST).exists():
            self._check_owner(config)
        elif not all(_left_by_a_stopped_run(entry) for entry in entries):
            raise RunFolderError(f"{self.folder} is not empty and holds no run. Choose another --out.")

    def open(self, config: RunConfig) -> None:
        """Creates the folder, or continues one of the same configuration. Raises RunFolderError."""
        self.check(config)
        try:
            for folder in (self.shards, self.folder / GRIDS):
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._unwritable(error) from error

    def _unwritable(self, error: OSError) -> RunFolderError:
        return RunFolderError(
            f"cannot write to {self.folder}: {error.strerror or error}. Choose another --out."
        )

    def _check_owner(self, config: RunConfig) -> None:
        manifest = self.manifest()
        if manifest["config_hash"] == config.hash:
            return
        before, now = manifest["config"], config.model_dump(mode="json")
        if before.keys() != now.keys():
            names = ", ".join(sorted(before.keys() ^ now.keys()))
            raise RunFolderError(
                f"{self.folder} holds a run of another version of semhub, which has other options ({names}). "
                "Choose another --out."
            )
        changed = [
            f"{name} {before[name]!r}, not {value!r}" for name, value in now.items() if before[name] != value
        ]
        raise RunFolderError(
            f"{self.folder} holds a run of another configuration ({'; '.join(changed)}). "
            "Choose another --out, or give the same options to continue it."
        )

    def manifest(self) -> dict[str, Any]:
        """The manifest; RunFolderError if the folder has none that can be read."""
        found = self._read_json(self.folder / MANIFEST)
        known = isinstance(found, dict) and found.get("schema_version") == SCHEMA_VERSION
        if not (known and found.keys() >= NEEDED and isinstance(found["config"], dict)):
            raise RunFolderError(
                f"{self.folder / MANIFEST} is no manifest of a run of this version of semhub."
            )
        return dict(found)

    def verdicts(self) -> list[dict[str, Any]]:
        return list(self._read_json(self.folder / VERDICTS))

    def _read_json(self, path: Path) -> Any:
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise RunFolderError(f"{path.parent} holds no finished run: {path.name} is missing.") from error
        except (OSError, ValueError) as error:
            raise RunFolderError(f"{path} cannot be read: {error}") from error

    def write_json(self, path: Path, value: object) -> None:
        """Writes JSON under a temporary name and renames it."""
        temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
        try:
            with temporary.open("w", encoding="utf-8") as handle:
                json.dump(value, handle, ensure_ascii=False, indent=1, allow_nan=False)
                handle.flush()
                os.fsync(handle.fileno())
            temporary.replace(path)
        except OSError as error:
            raise RunFolderError(
                f"cannot write {path}: {error.strerror or error}. Free space or choose --out."
            ) from error
        finally:
            temporary.unlink(missing_ok=True)

    def done(self, shard: str) -> bool:
        return (self.shards / f"{shard}.parquet").exists()

    def write_shard(self, shard: str, rows: pd.DataFrame, notes: dict[str, Any]) -> None:
        """The shard's notes first, then its rows: a shard counts once its .parquet is there."""
        self.write_json(self.shards / f"{shard}.json", notes)
        write_table(rows, ROW_SCHEMA, self.shards / f"{shard}.parquet")

    def notes(self, shard: str) -> dict[str, Any]:
        return dict(self._read_json(self.shards / f"{shard}.json"))

    def rows(self, shards: list[str] | None = None) -> pd.DataFrame:
        """The rows of the named shards, of all finished ones by default."""
        if shards is None:
            return read_rows(self.shards.glob("*.parquet"))
        return read_rows(self.shards / f"{shard}.parquet" for shard in shards)

    def write_results(self, results: pd.DataFrame) -> None:
        write_table(results, RESULT_SCHEMA, self.folder / RESULTS)


def _left_by_a_stopped_run(entry: Path) -> bool:
    """What a run that was stopped before its manifest may leave behind, and hidden files."""
    empty = entry.name in (SHARDS, GRIDS) and entry.is_dir() and not any(entry.iterdir())
    return empty or entry.name.startswith(".") or entry.name.endswith(".tmp")
