"""From finished shards to results.parquet and verdicts.json; needs the folder alone, no model."""

from __future__ import annotations

from typing import Any

import pandas as pd

from semhub.errors import RunFolderError
from semhub.runs.config import make_config
from semhub.runs.store import MANIFEST, RESULTS, VERDICTS, Store
from semhub.stats.summary import summarise
from semhub.stats.tables import by_variant
from semhub.stats.verdict import decide


def finish(store: Store, seconds: float | None = None) -> None:
    """Writes the tables of a run whose units are all finished. Raises RunFolderError if some are not."""
    manifest = store.manifest()
    missing = [unit for unit in manifest["units"] if not store.done(unit)]
    if missing:
        raise RunFolderError(
            f"{len(missing)} of {len(manifest['units'])} shards in {store.folder} are not finished ({missing[0]} ...). "
            "Run the same command again to continue."
        )
    config = make_config(manifest["config"])
    rows = store.rows(manifest["units"])
    spokes = {entry["id"]: (entry["spoke"], entry["prediction"]) for entry in manifest["experiments"]}
    untaken = {entry["spoke"]: entry["reason"] for entry in manifest.get("left_out", ())}
    store.write_results(summarise(rows, spokes, config.seed, config.n_draws))
    verdicts = decide(
        by_variant(rows),
        list(dict.fromkeys([*(spoke for spoke, _ in spokes.values()), *untaken])),
        {entry["id"]: entry["deciding"] for entry in manifest["experiments"]},
        config.seed,
        experiments={
            spokes[entry["id"]]: entry["id"] for entry in manifest["experiments"] if entry["deciding"]
        },
        shares_words=[entry["id"] for entry in manifest["experiments"] if entry.get("shares_words")],
        sensed=[entry["id"] for entry in manifest["experiments"] if entry.get("needs", "text") != "text"],
        dominant_found=manifest["dominant"]["status"] != "none",
        n_draws=config.n_draws,
        untaken=untaken,
    )
    store.write_json(store.folder / VERDICTS, verdicts)
    cases: list[dict[str, Any]] = [case for unit in manifest["units"] for case in store.notes(unit)["cases"]]
    changes: dict[str, Any] = {"cases": cases}
    if seconds is not None:
        changes["seconds"] = round((manifest["seconds"] or 0) + seconds, 1)
    store.write_json(store.folder / MANIFEST, {**manifest, **changes})


def export_csv(store: Store) -> None:
    """results.csv and verdicts.csv beside the tables. Raises RunFolderError if they cannot be written."""
    try:
        pd.read_parquet(store.folder / RESULTS).to_csv(store.folder / "results.csv", index=False)
        verdicts = pd.DataFrame(store.verdicts()).drop(columns="checks")
        verdicts.to_csv(store.folder / "verdicts.csv", index=False)
    except OSError as error:
        raise RunFolderError(f"cannot write into {store.folder}: {error.strerror or error}.") from error
