"""What figures and report know of a run: its tables and manifests, read once, never a model."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from semhub.errors import RunFolderError
from semhub.results import RESULT_SCHEMA

SPOKES = ("language", "arithmetic", "code", "semantics", "vision", "audio")
PLANE = ("pca_x", "pca_y")
PREDICTIONS = 3
NOT_RUN = "not run"


@dataclass(frozen=True)
class Run:
    """One run folder. `plane` holds the rows of the 2-D trajectories (columns of the shard table)."""

    folder: Path
    manifest: Mapping[str, Any]
    verdicts: tuple[Mapping[str, Any], ...]
    results: pd.DataFrame
    grids: tuple[Mapping[str, Any], ...]
    plane: pd.DataFrame

    @property
    def n_layers(self) -> int:
        return int(self.manifest["model"]["n_layers"])

    def experiment(self, name: str) -> Mapping[str, Any]:
        """The experiment's entry in the manifest; an empty one where it has none."""
        return next((entry for entry in self.manifest.get("experiments", ()) if entry.get("id") == name), {})

    def spokes(self) -> list[str]:
        """Spokes in the paper's order, others after them as the run lists them."""
        named = [entry.get("spoke", "") for entry in self.manifest.get("experiments", ())]
        judged = [verdict.get("spoke", "") for verdict in self.verdicts]
        return in_order(spoke for spoke in (*named, *judged) if spoke)

    def closed(self, spoke: str) -> str:
        """Why nothing of a spoke could be run on this model; empty where something was."""
        return closed(spoke, self.verdicts)

    def verdict(self, spoke: str, prediction: str) -> Mapping[str, Any] | None:
        for verdict in self.verdicts:
            if verdict.get("spoke") == spoke and verdict.get("prediction") == prediction:
                return verdict
        return None


def closed(spoke: str, verdicts: Iterable[Mapping[str, Any]]) -> str:
    """Why nothing of a spoke could be run on this model; empty where something was, or no one reason is given."""
    mine = [verdict for verdict in verdicts if verdict.get("spoke") == spoke]
    idle = [verdict for verdict in mine if verdict.get("verdict") == "untestable" and not verdict.get("n")]
    reasons = {str(verdict.get("reason") or NOT_RUN) for verdict in idle}
    one = reasons.pop() if len(idle) == PREDICTIONS and len(reasons) == 1 else NOT_RUN
    return "" if one.startswith(NOT_RUN) else one


def in_order(spokes: Iterable[str]) -> list[str]:
    """Distinct spokes in the paper's order, unknown ones after them."""
    distinct = list(dict.fromkeys(spokes))
    return sorted(distinct, key=lambda spoke: SPOKES.index(spoke) if spoke in SPOKES else len(SPOKES))


def finite(value: object) -> float | None:
    """The number, or None for anything that is no finite number (null, NaN, text)."""
    if isinstance(value, bool) or value is None:
        return None
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def band_of(verdict: Mapping[str, Any] | None) -> tuple[int, int] | None:
    """The verdict's band of layers, first and last, or None."""
    layers = list((verdict or {}).get("layers") or [])
    return (int(layers[0]), int(layers[-1])) if layers else None


def reading_layer(run: Run, spoke: str) -> int | None:
    """The middle of the band in which the spoke's dominant reading was found, or None."""
    band = band_of(run.verdict(spoke, "P2"))
    return None if band is None else (band[0] + band[1]) // 2


def read_run(folder: Path | str) -> Run:
    """Reads a run folder. Raises RunFolderError where it is none or is damaged."""
    folder = Path(folder)
    manifest = _json(folder / "manifest.json")
    if not isinstance(manifest, dict) or finite(manifest.get("model", {}).get("n_layers")) is None:
        raise RunFolderError(
            f"{folder / 'manifest.json'} names no model with layers. Run `semhub run` again."
        )
    verdicts = _json(folder / "verdicts.json")
    return Run(
        folder=folder,
        manifest=manifest,
        verdicts=tuple(verdicts),
        results=_results(folder / "results.parquet"),
        grids=tuple(_json(path) for path in sorted((folder / "grids").glob("*.json"))),
        plane=_plane(folder / "shards"),
    )


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise RunFolderError(
            f"{path} is missing: {path.parent} is not a finished run. Run `semhub run` first."
        ) from error
    except (OSError, ValueError) as error:
        raise RunFolderError(f"{path} cannot be read: {error}. Run `semhub run` again.") from error


def _results(path: Path) -> pd.DataFrame:
    try:
        table = pq.read_table(path)
    except FileNotFoundError as error:
        raise RunFolderError(
            f"{path} is missing: {path.parent} is not a finished run. Run `semhub run` first."
        ) from error
    except (OSError, pa.ArrowInvalid) as error:
        raise RunFolderError(
            f"{path} cannot be read: {error}. Run `semhub report` on a whole run folder."
        ) from error
    missing = set(RESULT_SCHEMA.names) - set(table.schema.names)
    if missing:
        raise RunFolderError(
            f"{path} lacks the columns {sorted(missing)}: it was written by another version."
        )
    frame: pd.DataFrame = table.to_pandas()
    return frame


def _plane(shards: Path) -> pd.DataFrame:
    """Only the rows of the trajectories: shards may hold millions of others."""
    columns = ["experiment", "variant", "case_id", "layer", "condition", "measure", "value"]
    frames = []
    for path in sorted(shards.glob("*.parquet")):
        try:
            table = pq.read_table(path, columns=columns, filters=[("measure", "in", list(PLANE))])
        except (OSError, pa.ArrowInvalid) as error:
            raise RunFolderError(
                f"{path} cannot be read: {error}. Delete it and run the command again."
            ) from error
        if table.num_rows:
            frames.append(table.to_pandas())
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame({name: [] for name in columns})
