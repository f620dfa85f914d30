"""The run folder: who owns it, what is finished, and writes that never leave half a file."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pandas as pd

from semhub.errors import RunFolderError
from semhub.results import RESULT_SCHEMA, ROW_SCHEMA, read_rows, write_table

MANIFEST, RESULTS, VERDICTS = "manifest.json", "results.parquet", "verdicts.json"


class Store:
    """One run's folder. Several processes may share it: they write different shards."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.shards = folder / "shards"

    def check(self, config_hash: str) -> None:
        """Refuses a folder that is no folder, or that belongs to something else. Raises RunFolderError."""
        if not self.folder.exists():
            return
        if not self.folder.is_dir():
            raise RunFolderError(f"{self.folder} is a file, not a folder. Choose another --out.")
        entries = [entry for entry in self.folder.iterdir() if not entry.name.startswith(".")]
        if entries and not (self.folder / MANIFEST).exists():
            raise RunFolderError(f"{self.folder} is not empty and holds no run. Choose another --out.")
        if entries:
            self._check_owner(config_hash)

    def open(self, config_hash: str) -> None:
        """Creates the folder, or continues one of the same configuration. Raises RunFolderError."""
        self.check(config_hash)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.shards.mkdir(exist_ok=True)
            (self.folder / "grids").mkdir(exist_ok=True)
            probe = self.folder / f".probe-{os.getpid()}"
            probe.write_text("x")
            probe.unlink()
        except OSError as error:
            raise RunFolderError(
                f"cannot write to {self.folder}: {error.strerror or error}. Choose --out."
            ) from error

    def _check_owner(self, config_hash: str) -> None:
        found = self.manifest().get("config_hash")
        if found != config_hash:
            raise RunFolderError(
                f"{self.folder} holds a run of another configuration ({found}, not {config_hash}). "
                "Choose another --out, or give the same options to continue it."
            )

    def manifest(self) -> dict[str, Any]:
        """The manifest; RunFolderError if the folder has none that can be read."""
        return dict(self._read_json(self.folder / MANIFEST))

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
            temporary.unlink(missing_ok=True)
            raise RunFolderError(
                f"cannot write {path}: {error.strerror or error}. Free space or choose --out."
            ) from error

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
