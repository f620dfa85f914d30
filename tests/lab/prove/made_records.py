"""Records of jobs as a proof writes them, with chosen verdicts and claims."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

N = 300


Check = dict[str, Any]


def check(name: str, value: float | None = 0.1, *, passed: bool = True, detail: str = "") -> Check:
    """One condition of a verdict."""
    return {"name": name, "value": value, "passed": passed, "detail": detail, "p": None}


def verdict(
    spoke: str,
    prediction: str,
    word: str,
    layers: tuple[int, ...] = (2, 3),
    *,
    checks: Sequence[Check] = (),
    effect: float = 0.4,
    reason: str = "",
) -> dict[str, Any]:
    """One of verdicts.json; an untestable one was not run if it has no cases."""
    run = 0 if word == "not run" else N
    return {
        "spoke": spoke,
        "prediction": prediction,
        "verdict": "untestable" if word in ("not run", "too few") else word,
        "reason": "not run: none" if word == "not run" else reason,
        "layers": list(layers) if word == "supported" else [],
        "effect": effect if run else None,
        "p_adjusted": 0.01 if run else None,
        "checks": list(checks),
        "n": run,
    }


def record(
    name: str,
    seed: int,
    truth: str = "no",
    verdicts: list[dict[str, Any]] | None = None,
    *,
    rivals: dict[str, bool] | None = None,
    dominant: str | None = None,
    angle: float | None = None,
    planted_layers: tuple[int, ...] = (),
    planted_weight: float = 0.5,
    **parts: Any,
) -> dict[str, Any]:
    """A record; rivals: name -> what it claims of P1 in language."""
    claims = {
        f"rival/micro-world/{rival}": {
            "language": {"prediction": "P1", "claimed": claimed, "p": 0.02, "effect": 0.1, "layer": 2}
        }
        for rival, claimed in (rivals or {}).items()
    }
    status = "none" if dominant is None else "found"
    recipe = {
        "name": name,
        "summary": f"what {name} is",
        "truth": dict.fromkeys(("P1", "P2", "P3"), truth),
        "planted_layers": list(planted_layers),
        "planted_as": "words",
        "planted_weight": planted_weight,
        "dominant": "en",
        "angle": angle,
    }
    found = {"verdicts": verdicts or [], "dominant": {"status": status, "language": dominant, "scored": "en"}}
    return {
        "recipe": recipe,
        "seed": seed,
        "n": N,
        "twins": 19,
        "parts": {"verdicts/micro-world": found, **claims, **parts},
    }


def write(folder: Path, records: list[dict[str, Any]]) -> Path:
    """The records as job files under `folder`."""
    (folder / "jobs").mkdir(parents=True, exist_ok=True)
    for one in records:
        path = folder / "jobs" / f"{one['recipe']['name']}-{one['seed']}.json"
        path.write_text(json.dumps(one), encoding="utf-8")
    return folder
