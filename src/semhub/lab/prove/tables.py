"""The tables of the proof, from the records of its jobs alone."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from semhub.lab.prove.claims import COLUMNS, PRIORS_ALLOWED, SEMHUB, claims_of
from semhub.lab.prove.jobs import WORLD, Record
from semhub.lab.prove.rates import rates, totals
from semhub.stats.causal import BLIND

ENOUGH_POWER = 0.8
NEAREST = (
    "recipe", "spoke", "prediction", "models", "claimed", "largest_effect", "largest_size", "fewest", "by_one", "which",
)  # fmt: skip
SHIFTS = [f"{name}_{how}" for name in ("own", "dominant") for how in ("median", "min", "max")]
STEERED = ["recipe", "truth", "spoke", "models", "steerable", "chosen", *SHIFTS]
CELL = ["method", "place", "recipe", "truth", "spoke", "prediction"]


@dataclass(frozen=True, slots=True)
class Proof:
    """All tables. claims: one row per model, method and cell at the default n. power, smallest: of semhub's verdicts by
    the angle of graded recipes and n; doses, smallest_dose: by planted weight and n. nearest: what keeps semhub from
    false alarms. steerable: what moves outputs."""

    models: pd.DataFrame
    claims: pd.DataFrame
    rates: pd.DataFrame
    totals: pd.DataFrame
    nearest: pd.DataFrame
    steerable: pd.DataFrame
    bands: pd.DataFrame
    dominant: pd.DataFrame
    transfer: pd.DataFrame
    power: pd.DataFrame
    smallest: pd.DataFrame
    doses: pd.DataFrame
    smallest_dose: pd.DataFrame

    def frames(self) -> dict[str, pd.DataFrame]:
        """Every table by its name."""
        return {name: getattr(self, name) for name in self.__slots__}


def make(records: Iterable[Record]) -> Proof:
    """The tables of these records."""
    every = list(records)
    claims = pd.DataFrame([row for one in every for row in claims_of(one)], columns=list(COLUMNS))
    claims = claims.astype(dict.fromkeys(("angle", "dose", "p", "effect", "own"), float))
    size = {one["recipe"]["name"]: one["n"] for one in every}
    own = claims["recipe"].map(size)
    usual = claims[(claims["n"] == own) | (claims["place"] != WORLD)]
    graded = _graded(claims)
    power, doses = _power(graded, "angle"), _power(graded, "dose")
    return Proof(
        models=_models(every),
        claims=usual,
        rates=rates(usual, CELL),
        totals=totals(usual),
        nearest=_nearest(usual),
        steerable=_steerable(usual),
        bands=_bands(usual, every),
        dominant=_dominant(every),
        transfer=_transfer(every),
        power=power,
        smallest=_smallest(power, "angle"),
        doses=doses,
        smallest_dose=_smallest(doses, "dose"),
    )


def _models(records: list[Record]) -> pd.DataFrame:
    """Every recipe with what is true of it and how many of its models there are."""
    rows: dict[str, dict[str, Any]] = {}
    for one in records:
        recipe = one["recipe"]
        row = {"recipe": recipe["name"], "summary": recipe["summary"], **recipe["truth"], "models": 0}
        rows.setdefault(recipe["name"], row)["models"] += 1
    return pd.DataFrame(list(rows.values()))


def _nearest(claims: pd.DataFrame) -> pd.DataFrame:
    """How near semhub came to false alarms, by recipe and cell of the micro-world.

    fewest: the smallest number of conditions that any model failed, of those that were tried. by_one: models that a
    single one kept from a claim, all others having been tried. which: those conditions, each with its models.
    """
    own = (claims["method"] == SEMHUB) & (claims["place"] == WORLD)
    tested = claims[own & (claims["truth"] == "no") & claims["testable"].astype(bool)]
    rows = []
    for (recipe, spoke, prediction), part in tested.groupby(["recipe", "spoke", "prediction"], sort=False):
        failed = [names.split("; ") if names else [] for names in part["failed"]]
        alone = zip(failed, part["untried"], strict=True)
        single = Counter(names[0] for names, untried in alone if len(names) == 1 and not untried)
        rows.append(
            (
                *(recipe, spoke, prediction, len(part), int(part["claimed"].sum())),
                *(float(part["effect"].max()), float(part["effect"].abs().max()), min(map(len, failed))),
                sum(single.values()),
                "; ".join(f"{name} ({count})" for name, count in single.most_common()),
            )
        )
    return pd.DataFrame(rows, columns=list(NEAREST))


def _steerable(claims: pd.DataFrame) -> pd.DataFrame:
    """By how many nat a recipe's outputs move in P3: by the direction in the input's own type, and by the dominant one
    over real differences; median and range over models. steerable: models whose own direction moves it enough. chosen:
    models in which it was also read in layers chosen for it."""
    tested = claims[(claims["method"] == SEMHUB) & claims["own"].notna()]
    rows = []
    for (recipe, truth, spoke), part in tested.groupby(["recipe", "truth", "spoke"], sort=False):
        moved = [
            float(getattr(part[column], how)())
            for column in ("own", "effect")
            for how in ("median", "min", "max")
        ]
        enough, chosen = int((part["own"] >= BLIND).sum()), int(part["chosen"].sum())
        rows.append((recipe, truth, spoke, len(part), enough, chosen, *moved))
    return pd.DataFrame(rows, columns=STEERED)


def _bands(claims: pd.DataFrame, records: list[Record]) -> pd.DataFrame:
    """Where semhub's supported verdicts found the hub, for recipes whose planted layers are known.

    whole: bands with all planted layers. exact: bands of no other layers. usual_band: the commonest one.
    """
    planted = {one["recipe"]["name"]: one["recipe"]["planted_layers"] for one in records}
    found = claims[(claims["method"] == SEMHUB) & (claims["place"] == WORLD) & claims["claimed"]]
    rows = []
    for (recipe, spoke, prediction), part in found.groupby(["recipe", "spoke", "prediction"], sort=False):
        layers = planted[recipe]
        if not layers:
            continue
        bands = [
            set(range(int(a), int(b) + 1)) for a, b in zip(part.first_layer, part.last_layer, strict=True)
        ]
        names = pd.Series([f"{min(band)}-{max(band)}" for band in bands])
        rows.append(
            {
                "recipe": recipe,
                "spoke": spoke,
                "prediction": prediction,
                "planted": f"{min(layers)}-{max(layers)}",
                "supported": len(bands),
                "whole": sum(band >= set(layers) for band in bands),
                "exact": sum(band == set(layers) for band in bands),
                "usual_band": names.mode()[0],
            }
        )
    columns = ["recipe", "spoke", "prediction", "planted", "supported", "whole", "exact", "usual_band"]
    return pd.DataFrame(rows, columns=columns)


def _dominant(records: list[Record]) -> pd.DataFrame:
    """How often each answer was given to the question of the dominant language. planted: what was taught, if any."""
    rows = []
    for one in records:
        part = one["parts"].get(f"verdicts/{WORLD}")
        if part is None:
            continue
        recipe, found = one["recipe"], part["dominant"]
        taught = recipe["planted_as"] == "words" and bool(
            recipe["planted_layers"] and recipe["planted_weight"]
        )
        answer = found["language"] if found["status"] == "found" else found["status"]
        rows.append((recipe["name"], recipe["dominant"] if taught else "", answer))
    frame = pd.DataFrame(rows, columns=["recipe", "planted", "answer"])
    return frame.value_counts(["recipe", "planted", "answer"], sort=False).rename("models").reset_index()


def _transfer(records: list[Record]) -> pd.DataFrame:
    """The share of facts told in the dominant type only that a model answers, averaged over models, by data type."""
    rows = [
        {"recipe": one["recipe"]["name"], **row}
        for one in records
        for row in one["parts"].get("transfer", ())
    ]
    frame = pd.DataFrame(rows, columns=["recipe", "type", "told", "asked", "answered"])
    frame["share"] = frame["answered"] / frame["asked"]
    found = frame.groupby(["recipe", "type", "told"], sort=False)["share"]
    return found.agg(models="size", mean="mean", lowest="min", highest="max").reset_index()


def _graded(claims: pd.DataFrame) -> pd.DataFrame:
    """semhub's claims in the micro-world; P2's without its condition on priors are of a prediction named for that."""
    here = claims[(claims["place"] == WORLD) & claims["method"].isin((SEMHUB, PRIORS_ALLOWED))]
    allowed = here["method"] == PRIORS_ALLOWED
    return here.assign(prediction=here["prediction"].where(~allowed, here["prediction"] + ", priors allowed"))


def _power(claims: pd.DataFrame, scale: str) -> pd.DataFrame:
    """The share of models in which semhub claims each cell, by a scale (angle, dose) and n, with the mean effect."""
    cell = ["spoke", "prediction", scale, "n"]
    graded = claims[claims[scale].notna()]
    if graded.empty:
        return rates(graded, cell).assign(effect=[])
    effect = graded.groupby(cell, sort=True)["effect"].mean().rename("effect").reset_index()
    return rates(graded.sort_values(cell), cell).merge(effect, on=cell, how="left")


def _smallest(power: pd.DataFrame, scale: str) -> pd.DataFrame:
    """The weakest hub that is found with a power of 80% or more, as all stronger ones are, by cell and n.

    The strongest has the smallest angle, or the largest dose. effect, models: the mean effect of the weakest that is
    found, and in how many models. A strength at which other cells were judged and this one was not is not found.
    """
    rows = []
    strongest_first = sorted(power[scale].unique(), reverse=scale == "dose")
    for (spoke, prediction, n), part in power.groupby(["spoke", "prediction", "n"], sort=True):
        reached = {scale: math.nan, "effect": math.nan, "models": 0}
        for strength in strongest_first:
            here = part[part[scale] == strength].to_dict("records")
            if not here or here[0]["share"] < ENOUGH_POWER:
                break
            reached = {scale: strength, "effect": here[0]["effect"], "models": here[0]["models"]}
        rows.append({"spoke": spoke, "prediction": prediction, "n": n, **reached})
    found = pd.DataFrame(rows, columns=["spoke", "prediction", "n", scale, "effect", "models"])
    if scale == "angle":
        found.insert(4, "shared", np.cos(np.radians(found["angle"].astype(float))))
    return found
