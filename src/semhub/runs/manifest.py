"""manifest.json: everything needed to judge a run's numbers and to repeat it."""

from __future__ import annotations

import importlib.metadata
import math
import platform
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from semhub.errors import RunFolderError
from semhub.results import SCHEMA_VERSION
from semhub.runs.config import RunConfig
from semhub.runs.examples import example
from semhub.runs.plan import UNTAKEN
from semhub.runs.scorers import describe_scorers
from semhub.runs.store import MANIFEST, Store
from semhub.types import LensSet, PairSet, PromptSet, SteerSet

if TYPE_CHECKING:
    from semhub.runs.execute import Prepared

LIBRARIES = (
    "torch",
    "transformers",
    "tokenizers",
    "safetensors",
    "numpy",
    "scipy",
    "pandas",
    "pyarrow",
    "altair",
    "jieba",
)


def describe(config: RunConfig, prepared: Prepared, command: str, started: float) -> dict[str, Any]:
    """The manifest of a run that starts; counts of cases, seconds and warnings come when it is finished."""
    adapter = prepared.adapter
    return {
        "schema_version": SCHEMA_VERSION,
        "semhub_version": importlib.metadata.version("semhub"),
        "command": command,
        "config": config.model_dump(mode="json"),
        "config_hash": config.hash,
        "preset": config.preset,
        "model": {
            "id": adapter.model_id,
            "revision": adapter.revision,
            "weights_sha256": adapter.weights_sha256(),
            "n_parameters": adapter.n_parameters,
            "n_layers": adapter.n_layers,
            "d_model": adapter.d_model,
            "vocab_size": adapter.vocab_size,
            "architecture": adapter.architecture,
            "quantization": adapter.quantization,
            "card": _card(adapter.model_id),
        },
        "adapter": type(adapter).__name__,
        "lens": config.lens,
        "dtype": str(adapter.dtype).removeprefix("torch."),
        "device": str(adapter.device),
        "attention": adapter.attention,
        "libraries": {"python": platform.python_version(), **{name: _version(name) for name in LIBRARIES}},
        "seed": config.seed,
        "started": datetime.fromtimestamp(started, UTC).isoformat(timespec="seconds"),
        "seconds": None,
        "dominant": prepared.dominant,
        "experiments": [
            {
                "id": item.experiment.id,
                "spoke": item.experiment.spoke,
                "prediction": item.experiment.prediction,
                "title": item.experiment.title,
                "question": item.experiment.question,
                "if_false": item.experiment.if_false,
                "variants": dict(item.experiment.variants),
                "needs": item.experiment.needs,
                "deciding": [
                    one.variant
                    for one in item.sets
                    if isinstance(one, PairSet | LensSet | SteerSet) and one.deciding
                ],
                "example": example(item.sets),
                "shares_words": any(isinstance(one, PairSet) and one.shares_words for one in item.sets),
            }
            for item in prepared.built
        ],
        "left_out": [
            {
                "id": one.id,
                "spoke": one.spoke,
                "prediction": one.prediction,
                "title": one.title,
                "needs": one.needs,
                "reason": UNTAKEN[one.needs],
            }
            for one in prepared.left_out
        ],
        "data": _data(prepared),
        "scorers": _scorers(config, prepared),
        "units": [unit.id for unit in prepared.units],
        "twins": config.n_twins(adapter.n_parameters),
        "cases": [],
        "self_checks": [
            {
                "name": check.name,
                "deviation": check.deviation if math.isfinite(check.deviation) else None,
                "tolerance": check.tolerance,
                "passed": check.passed,
                "detail": check.detail,
            }
            for check in prepared.checks
        ],
        "warnings": _warnings(config, prepared),
    }


def keep_or_write(store: Store, facts: dict[str, Any]) -> None:
    """Writes the manifest of a new run; for a run that is continued, checks that model and data are the same."""
    if not (store.folder / MANIFEST).exists():
        store.write_json(store.folder / MANIFEST, facts)
        return
    check_same(store, facts)


def check_same(store: Store, facts: dict[str, Any]) -> None:
    """Raises RunFolderError if the folder's run is of another model or other data."""
    before = store.manifest()
    if before["model"]["weights_sha256"] != facts["model"]["weights_sha256"]:
        raise RunFolderError(
            f"the model's weights changed since {store.folder} was begun. Choose another --out."
        )
    checksums = [
        {entry["name"]: entry["sha256"] for entry in manifest["data"]} for manifest in (before, facts)
    ]
    changed = sorted(name for name, value in checksums[1].items() if checksums[0].get(name, value) != value)
    if changed:
        raise RunFolderError(
            f"the data {', '.join(changed)} changed since {store.folder} was begun. Choose another --out."
        )


def _data(prepared: Prepared) -> list[dict[str, Any]]:
    found: dict[tuple[str, str], dict[str, Any]] = {}
    used = [(item.experiment.id, one) for item in prepared.built for one in item.provenance]
    used += [("token counts per language", one) for one in prepared.counts_from]
    for experiment, one in used:
        entry = found.setdefault(
            (one.name, one.path),
            {
                "name": one.name,
                "source": one.source,
                "version": one.version,
                "licence": one.licence,
                "path": one.path,
                "sha256": one.sha256,
                "experiments": [],
            },
        )
        if experiment not in entry["experiments"]:
            entry["experiments"].append(experiment)
    return list(found.values())


def _scorers(config: RunConfig, prepared: Prepared) -> list[dict[str, Any]]:
    """What scores texts; empty where nothing is continued."""
    continued = any(isinstance(one, PromptSet) for item in prepared.built for one in item.sets)
    return describe_scorers(prepared.adapter, config) if continued else []


def _warnings(config: RunConfig, prepared: Prepared) -> list[str]:
    out = []
    status = prepared.dominant["status"]
    if status in ("abstain", "none"):
        out.append(f"dominant language: {status} ({prepared.dominant['reason']}); English was scored")
    for experiment in prepared.dominant.get("english_instead", ()):
        out.append(
            f"{experiment}: there is no data in {prepared.dominant['scored']}, English was scored instead"
        )
    if config.n_twins(prepared.adapter.n_parameters) < 19:
        out.append(
            "the control by twins (models with re-initialised weights) is missing or too small to reach 5%"
        )
    return out


def _card(model_id: str) -> str:
    """The first paragraph of a local model card that is no heading, for the report."""
    card = Path(model_id) / "README.md"
    if not card.is_file():
        return ""
    body = re.sub(
        r"\A---\n.*?\n---\n", "", card.read_text(encoding="utf-8", errors="replace"), flags=re.DOTALL
    )
    paragraphs = [part.strip() for part in body.split("\n\n")]
    return next((" ".join(part.split()) for part in paragraphs if part and not part.startswith("#")), "")


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
