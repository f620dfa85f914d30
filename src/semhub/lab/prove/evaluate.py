"""The parts of one model's record: semhub's verdicts, the rivals' claims, transfer, and verdicts at other sizes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from semhub.lab.judge import judge
from semhub.lab.prove.cases import SpokeCases, spoke_cases
from semhub.lab.prove.jobs import FLORES, FLORES_N, WORLD, Settings
from semhub.lab.prove.rivals import Rival, claims_by_spoke, rivals
from semhub.lab.prove.transfer import share_answered, tells_facts
from semhub.lab.recipe import Recipe
from semhub.models.base import Adapter

SIMILARITIES = ("language.similarity", "arithmetic.similarity")
EXPERIMENTS = (*SIMILARITIES, "language.lens", "arithmetic.lens")
SIZES = (50, 100, 200)
FLORES_OPTIONS: dict[str, Any] = {"languages": ("zh",), "dominant": "en"}


@dataclass(slots=True, eq=False)
class Bench:
    """One loaded model, the parts known of it, and its case sets, made once for all rivals."""

    model: Adapter
    seed: int
    settings: Settings
    parts: dict[str, Any]
    _cases: dict[str, list[SpokeCases]] = field(default_factory=dict)

    def cases(self, place: str) -> list[SpokeCases]:
        """The rivals' cases: those of the micro-world in the language that semhub scored, or FLORES pairs."""
        if place not in self._cases:
            if place == WORLD:
                scored = self.parts[f"verdicts/{WORLD}"]["dominant"]["scored"]
                found = spoke_cases(
                    self.model, EXPERIMENTS, n=self.settings.n, seed=self.seed, dominant=scored
                )
            else:
                found = spoke_cases(
                    self.model,
                    ("language.similarity",),
                    n=FLORES_N,
                    seed=self.seed,
                    data={"flores": str(self.settings.flores)},
                    **FLORES_OPTIONS,
                )
            self._cases[place] = found
        return self._cases[place]


Part = Callable[[Bench], Any]


def parts(recipe: Recipe, settings: Settings) -> dict[str, Part]:
    """Key -> how that part is made, for all that a record of this recipe should hold. Raises UsageError."""
    methods = rivals(settings.rivals)
    out: dict[str, Part] = {f"verdicts/{WORLD}": _world}
    if recipe.angle is not None:
        out |= {f"size/{n}": partial(_size, n=n) for n in SIZES if n < settings.n}
    out |= {f"rival/{WORLD}/{one.name}": partial(_rival, place=WORLD, rival=one) for one in methods}
    if settings.flores is not None:
        out[f"verdicts/{FLORES}"] = _flores
        similar = [one for one in methods if one.prediction == "P1"]
        out |= {f"rival/{FLORES}/{one.name}": partial(_rival, place=FLORES, rival=one) for one in similar}
    if tells_facts(recipe):
        out["transfer"] = lambda bench: share_answered(bench.model)
    return out


def _world(bench: Bench) -> dict[str, Any]:
    found = judge(bench.model, n=bench.settings.n, twins=bench.settings.twins, seed=bench.seed)
    return {"verdicts": found.verdicts, "dominant": found.dominant}


def _size(bench: Bench, n: int) -> dict[str, Any]:
    found = judge(bench.model, n=n, twins=bench.settings.twins, seed=bench.seed)
    return {"verdicts": found.verdicts, "dominant": found.dominant}


def _flores(bench: Bench) -> dict[str, Any]:
    found = judge(
        bench.model,
        experiments=("language.similarity",),
        n=FLORES_N,
        twins=bench.settings.twins,
        seed=bench.seed,
        data={"flores": str(bench.settings.flores)},
        **FLORES_OPTIONS,
    )
    tested = [one for one in found.verdicts if one["prediction"] == "P1"]
    return {"verdicts": tested, "dominant": found.dominant}


def _rival(bench: Bench, place: str, rival: Rival) -> dict[str, Any]:
    return claims_by_spoke(bench.model, [rival], bench.cases(place))[rival.name]
