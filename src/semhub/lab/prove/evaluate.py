"""The parts of one model's record: semhub's verdicts, the rivals' claims, transfer, and verdicts at other sizes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from semhub.lab.documents.borrowed import borrowed_pairs
from semhub.lab.judge import judge
from semhub.lab.prove.cases import SpokeCases, spoke_cases
from semhub.lab.prove.jobs import BORROWED, FLORES, PAIRS, WORLD, Settings, dose_of
from semhub.lab.prove.rivals import Rival, claims_by_spoke, rivals
from semhub.lab.prove.transfer import share_answered, tells_facts
from semhub.lab.recipe import Recipe
from semhub.models.base import Adapter

SIMILARITIES = ("language.similarity", "arithmetic.similarity")
STEERING = ("language.steer", "arithmetic.steer")
EXPERIMENTS = (*SIMILARITIES, "language.lens", "arithmetic.lens")
SIZES = (50, 100, 200)
LANGUAGE, DOMINANT = "zh", "en"  # of the places with sentence pairs of their own


@dataclass(slots=True, eq=False)
class Bench:
    """One loaded model, the parts known of it, and its case sets, made once for all rivals."""

    model: Adapter
    seed: int
    settings: Settings
    parts: dict[str, Any]
    _cases: dict[str, list[SpokeCases]] = field(default_factory=dict)

    def cases(self, place: str) -> list[SpokeCases]:
        """The rivals' cases: those of the micro-world in the language that semhub scored, or a place's pairs."""
        if place not in self._cases:
            if place == WORLD:
                scored = self.parts[f"verdicts/{WORLD}"]["dominant"]["scored"]
                found = spoke_cases(
                    self.model, EXPERIMENTS, n=self.settings.n, seed=self.seed, dominant=scored
                )
            else:
                with sentence_pairs(place, self.seed, self.settings) as options:
                    found = spoke_cases(self.model, ("language.similarity",), seed=self.seed, **options)
            self._cases[place] = found
        return self._cases[place]


Part = Callable[[Bench], Any]


def parts(recipe: Recipe, settings: Settings) -> dict[str, Part]:
    """Key -> how that part is made, for all that a record of this recipe should hold. Raises UsageError."""
    methods = rivals(settings.rivals)
    out: dict[str, Part] = {f"verdicts/{WORLD}": _world}
    if settings.steer:
        out[f"steering/{WORLD}"] = _steering
    if recipe.angle is not None or dose_of(recipe.told()) is not None:
        out |= {f"size/{n}": partial(_size, n=n) for n in SIZES if n < settings.n}
    out |= {f"rival/{WORLD}/{one.name}": partial(_rival, place=WORLD, rival=one) for one in methods}
    places = [FLORES] if settings.flores is not None else []
    places += [BORROWED] if recipe.side == "shared" else []
    similar = [one for one in methods if one.prediction == "P1"]
    for place in places:
        out[f"verdicts/{place}"] = partial(_pairs, place=place)
        out |= {f"rival/{place}/{one.name}": partial(_rival, place=place, rival=one) for one in similar}
    if tells_facts(recipe):
        out["transfer"] = lambda bench: share_answered(bench.model)
    return out


def _world(bench: Bench) -> dict[str, Any]:
    found = judge(bench.model, n=bench.settings.n, twins=bench.settings.twins, seed=bench.seed)
    return {"verdicts": found.verdicts, "dominant": found.dominant}


def _steering(bench: Bench) -> dict[str, Any]:
    found = judge(bench.model, experiments=STEERING, n=bench.settings.n, twins=0, seed=bench.seed)
    tested = [one for one in found.verdicts if one["prediction"] == "P3"]
    return {"verdicts": tested, "dominant": found.dominant}


def _size(bench: Bench, n: int) -> dict[str, Any]:
    found = judge(bench.model, n=n, twins=bench.settings.twins, seed=bench.seed)
    return {"verdicts": found.verdicts, "dominant": found.dominant}


def _pairs(bench: Bench, place: str) -> dict[str, Any]:
    with sentence_pairs(place, bench.seed, bench.settings) as options:
        found = judge(
            bench.model,
            experiments=("language.similarity",),
            twins=bench.settings.twins,
            seed=bench.seed,
            **options,
        )
    tested = [one for one in found.verdicts if one["prediction"] == "P1"]
    return {"verdicts": tested, "dominant": found.dominant}


@contextmanager
def sentence_pairs(place: str, seed: int, settings: Settings) -> Iterator[dict[str, Any]]:
    """n, data, languages and dominant of a place with sentence pairs of its own, while its files exist."""
    options: dict[str, Any] = {"n": PAIRS[place], "languages": (LANGUAGE,), "dominant": DOMINANT}
    if place == FLORES:
        yield {**options, "data": {"flores": str(settings.flores)}}
        return
    with TemporaryDirectory() as folder:
        path = Path(folder) / "pairs.tsv"
        lines = ["\t".join(pair) for pair in borrowed_pairs(PAIRS[place], seed, LANGUAGE, DOMINANT)]
        path.write_text("\n".join([f"{LANGUAGE}\t{DOMINANT}", *lines]) + "\n", encoding="utf-8")
        yield {**options, "data": {"pairs": str(path)}}


def _rival(bench: Bench, place: str, rival: Rival) -> dict[str, Any]:
    return claims_by_spoke(bench.model, [rival], bench.cases(place))[rival.name]
