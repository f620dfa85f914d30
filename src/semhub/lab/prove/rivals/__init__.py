"""One file per rival method: a module with NAME, PREDICTION, SOURCE and `claims(model, cases) -> Claim`.

A file in this folder is found by its name (a leading underscore hides it); `--rival FILE.py` adds one from
anywhere. Every rival sees the same cases; where a spoke has several types it must claim each, as semhub must.
"""

from __future__ import annotations

import importlib
import importlib.util
import math
import pkgutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from semhub.errors import SemhubError, UsageError
from semhub.lab.prove.cases import Claim, SpokeCases
from semhub.models.base import Adapter

__all__ = ["Claim", "Rival", "SpokeCases", "claims_by_spoke", "rivals"]

PREDICTIONS = ("P1", "P2", "P3")


@dataclass(frozen=True, slots=True)
class Rival:
    """A method: its name, the prediction that it tests, where it is described, and the method itself."""

    name: str
    prediction: str
    source: str
    claims: Callable[[Adapter, SpokeCases], Claim]


def rivals(files: Sequence[str] = ()) -> list[Rival]:
    """The shipped rivals in the order of their file names, then those of `files`. Raises UsageError."""
    names = sorted(info.name for info in pkgutil.iter_modules(__path__) if not info.name.startswith("_"))
    found = [_rival(importlib.import_module(f"{__name__}.{name}"), name) for name in names]
    found += [_from_file(Path(file)) for file in files]
    for one in found:
        if sum(one.name == other.name for other in found) > 1:
            raise UsageError(f"two rivals are called {one.name!r}: give each its own NAME.")
    return found


def claims_by_spoke(
    model: Adapter, chosen: Sequence[Rival], cases: Sequence[SpokeCases]
) -> dict[str, dict[str, dict[str, Any]]]:
    """Rival -> spoke -> claim. Over a spoke's types: claimed if each is, with the numbers of the weakest."""
    out: dict[str, dict[str, dict[str, Any]]] = {}
    for rival in chosen:
        by_spoke: dict[str, list[Claim]] = {}
        for one in cases:
            if (one.pairs if rival.prediction == "P1" else one.lens) is not None:
                by_spoke.setdefault(one.spoke, []).append(rival.claims(model, one))
        out[rival.name] = {spoke: _together(found, rival) for spoke, found in by_spoke.items()}
    return out


def _together(found: list[Claim], rival: Rival) -> dict[str, Any]:
    weakest = max(found, key=lambda claim: (not claim.claimed, claim.p))
    numbers = {"p": weakest.p, "effect": weakest.effect}
    return {
        "prediction": rival.prediction,
        "claimed": all(claim.claimed for claim in found),
        **{name: float(value) if math.isfinite(value) else None for name, value in numbers.items()},
        "layer": weakest.layer,
    }


def _from_file(path: Path) -> Rival:
    if path.suffix != ".py" or not path.is_file():
        raise UsageError(f"--rival {path} is no .py file: give the file of a method.")
    spec = importlib.util.spec_from_file_location(f"semhub_rival_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise UsageError(f"--rival {path} cannot be imported: {type(error).__name__}: {error}") from error
    return _rival(module, str(path))


def _rival(module: ModuleType, where: str) -> Rival:
    texts = {name: getattr(module, name, None) for name in ("NAME", "PREDICTION", "SOURCE")}
    wrong = [name for name, value in texts.items() if not isinstance(value, str) or not value.strip()]
    if not callable(getattr(module, "claims", None)):
        wrong.append("claims")
    if wrong or texts["PREDICTION"] not in PREDICTIONS:
        raise UsageError(
            f"{where} is no rival: it needs NAME, PREDICTION ({', '.join(PREDICTIONS)}), SOURCE and "
            f"claims(model, cases); wrong or missing: {', '.join(wrong) or 'PREDICTION'}."
        )
    method = _guarded(where, module.claims)
    return Rival(str(texts["NAME"]), str(texts["PREDICTION"]), str(texts["SOURCE"]), method)


def _guarded(
    where: str, method: Callable[[Adapter, SpokeCases], Claim]
) -> Callable[[Adapter, SpokeCases], Claim]:
    """The method, whose own errors and wrong answers become one line that names its file."""

    def claims(model: Adapter, cases: SpokeCases) -> Claim:
        try:
            found = method(model, cases)
        except SemhubError:
            raise
        except Exception as error:
            raise UsageError(f"rival {where}: {type(error).__name__}: {error}") from error
        if not isinstance(found, Claim):
            raise UsageError(f"rival {where}: claims() returned {type(found).__name__}, not a Claim.")
        return found

    return claims
