"""From the record of a model to its claims: one row per method and cell, beside what is true of that cell.

own: in a cell of P3, by how many nat the direction in the input's own type moves the output, in the language where it
moves it least; a rival's cell has that of semhub's. NaN elsewhere.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from semhub.lab.prove.jobs import PAIRS, WORLD, Record, dose_of
from semhub.stats.causal import NATIVE
from semhub.stats.verdict import SUPPORTED, UNTESTABLE

SEMHUB = "semhub"
OUTSIDE = "outside its world"
COLUMNS = (
    "method", "place", "recipe", "angle", "dose", "seed", "n", "spoke", "prediction", "truth", "claimed", "testable",
    "p", "effect", "first_layer", "last_layer", "own",
)  # fmt: skip


def claims_of(record: Record) -> Iterator[dict[str, Any]]:
    """Rows with COLUMNS. A cell whose experiment was not run has none."""
    recipe = record["recipe"]
    graded = {"angle": recipe.get("angle"), "dose": dose_of(recipe)}
    common = {"recipe": recipe["name"], **graded, "seed": record["seed"]}
    steered = record["parts"].get(f"steering/{WORLD}", {"verdicts": []})
    own = {one["spoke"]: _own(one) for one in steered["verdicts"]}
    for key, part in record["parts"].items():
        kind, _, rest = key.partition("/")
        place, _, name = rest.partition("/")
        if kind in ("verdicts", "steering", "size"):
            n = int(rest) if kind == "size" else record["n"]
            where = WORLD if kind == "size" else place
            for one in part["verdicts"]:
                if not str(one["reason"]).startswith("not run"):
                    yield {**common, **_place(where, n), **_verdict(one, recipe["truth"], where)}
        elif kind == "rival":
            for spoke, claim in part.items():
                row = {
                    **common,
                    **_place(place, record["n"]),
                    "method": name,
                    "spoke": spoke,
                    "testable": True,
                }
                layers = {"first_layer": claim["layer"], "last_layer": claim["layer"]}
                truth = _truth(recipe["truth"], claim["prediction"], place)
                kept = {name: claim[name] for name in ("prediction", "claimed", "p", "effect")}
                moved = own.get(spoke, math.nan) if claim["prediction"] == "P3" else math.nan
                yield {**row, **layers, **kept, "truth": truth, "own": moved}


def _place(place: str, n: int) -> dict[str, Any]:
    return {"place": place, "n": PAIRS.get(place, n)}


def _verdict(one: Mapping[str, Any], truth: Mapping[str, str], place: str) -> dict[str, Any]:
    layers = one["layers"] or [None, None]
    return {
        "method": SEMHUB,
        "spoke": one["spoke"],
        "prediction": one["prediction"],
        "truth": _truth(truth, one["prediction"], place),
        "claimed": one["verdict"] == SUPPORTED,
        "testable": one["verdict"] != UNTESTABLE,
        "p": one["p_adjusted"],
        "effect": one["effect"],
        "first_layer": layers[0],
        "last_layer": layers[-1],
        "own": _own(one),
    }


def _own(one: Mapping[str, Any]) -> float:
    moved = [check["value"] for check in one["checks"] if check["name"].endswith(NATIVE)]
    return math.nan if None in moved else min(moved, default=math.nan)


def _truth(truth: Mapping[str, str], prediction: str, place: str) -> str:
    """What is absent by construction is absent on any text; what is there was taught in the micro-world alone."""
    known = truth[prediction]
    return known if place == WORLD or known == "no" else OUTSIDE
