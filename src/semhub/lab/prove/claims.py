"""From the record of a model to its claims: one row per method and cell, beside what is true of that cell.

Beside a rival stands what it would claim with one of semhub's conditions added: that the effect exceeds the smallest of
interest for a difference of cosines, the reversal at the last layer for the lens; beside semhub's P2, what it would
claim without its condition on priors. A P2 that was judged before there was that condition is no claim of semhub's but
of this one, save where the truth is no: there claims can only be too many. failed: what kept a cell of semhub's
from a claim. untried: a control that was not run, so that more might have. own: in a cell of P3, `causal.own_shift`, a
rival's as semhub's. chosen: whether that was also read in layers chosen for it, which old records lack. before:
a P2 of semhub's that was judged before there was its condition on priors.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from semhub.lab.prove.jobs import PAIRS, WORLD, Record, dose_of
from semhub.lab.prove.older import before_priors, large_enough, without_priors
from semhub.lab.prove.rivals import lens_contrast, paper_score, raw_cosine
from semhub.stats.causal import IN_ITS_OWN, MISSING, own_shift
from semhub.stats.evidence import REVERSED, SMALLEST_EFFECT
from semhub.stats.verdict import NO_DOMINANT, NOT_SUPPORTED, SUPPORTED, UNTESTABLE

SEMHUB = "semhub"
PRIORS_ALLOWED = f"{SEMHUB}, priors allowed"
OUTSIDE = "outside its world"
COSINES = (paper_score.NAME, raw_cosine.NAME)
COLUMNS = (
    "method", "place", "recipe", "angle", "dose", "seed", "n", "spoke", "prediction", "truth", "claimed", "testable",
    "p", "effect", "first_layer", "last_layer", "own", "chosen", "failed", "untried", "before",
)  # fmt: skip


def claims_of(record: Record) -> Iterator[dict[str, Any]]:
    """Rows with COLUMNS. A cell whose experiment was not run has none."""
    recipe = record["recipe"]
    graded = {"angle": recipe.get("angle"), "dose": dose_of(recipe)}
    common = {"recipe": recipe["name"], **graded, "seed": record["seed"]}
    cells = {
        (one["spoke"], one["prediction"]): one
        for kind in ("verdicts", "steering")
        for one in record["parts"].get(f"{kind}/{WORLD}", {"verdicts": []})["verdicts"]
    }
    for key, part in record["parts"].items():
        kind, _, rest = key.partition("/")
        place, _, name = rest.partition("/")
        if kind in ("verdicts", "steering", "size"):
            n = int(rest) if kind == "size" else record["n"]
            where = WORLD if kind == "size" else place
            verdicts = [large_enough(one) for one in part["verdicts"]]
            before = before_priors(verdicts)
            for one in verdicts:
                if str(one["reason"]).startswith("not run"):
                    continue
                row = {**common, **_place(where, n), **_verdict(one, recipe["truth"], where)}
                if one["prediction"] != "P2":
                    yield row
                    continue
                if not before or row["truth"] == "no":
                    yield {**row, "untried": row["untried"] or before, "before": before}
                allowed = _verdict(without_priors(one, verdicts), recipe["truth"], where)
                yield {**row, **allowed, "method": PRIORS_ALLOWED}
        elif kind == "rival":
            for spoke, claim in part.items():
                cell = cells.get((spoke, claim["prediction"]))
                row = {
                    **common,
                    **_place(place, record["n"]),
                    **{key: claim[key] for key in ("prediction", "claimed", "p", "effect")},
                    **_moved(cell),
                    "method": name,
                    "spoke": spoke,
                    "truth": _truth(recipe["truth"], claim["prediction"], place),
                    "testable": True,
                    "first_layer": claim["layer"],
                    "last_layer": claim["layer"],
                    "failed": "",
                    "untried": False,
                    "before": False,
                }
                yield row
                yield from _stricter(row, cell)


def _stricter(row: Mapping[str, Any], cell: Mapping[str, Any] | None) -> Iterator[dict[str, Any]]:
    """cell: semhub's verdict on the same question."""
    if row["method"] in COSINES:
        large = (row["effect"] or 0.0) > SMALLEST_EFFECT
        named = f"{row['method']}, over {SMALLEST_EFFECT:g}"
        yield {**row, "method": named, "claimed": row["claimed"] and large}
    if row["method"] == lens_contrast.NAME and cell is not None:
        reversal = [check["passed"] for check in cell["checks"] if check["name"].endswith(REVERSED)]
        claimed = row["claimed"] and bool(reversal) and all(reversal)
        yield {**row, "method": f"{row['method']}, reversed", "claimed": claimed}


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
        **_moved(one),
        "failed": _failed(one),
        "untried": any(str(check["detail"]).startswith(MISSING) for check in one["checks"]),
        "before": False,
    }


def _failed(one: Mapping[str, Any]) -> str:
    """Without the deciding sets, which stand before their conditions where there are several."""
    names = [check["name"].rsplit(": ", 1)[-1] for check in one["checks"] if check["passed"] is False]
    if one["verdict"] == NOT_SUPPORTED and (one["reason"] == NO_DOMINANT or not names):
        names.append("no dominant language" if one["reason"] == NO_DOMINANT else "Holm's correction")
    return "; ".join(dict.fromkeys(names))


def _moved(one: Mapping[str, Any] | None) -> dict[str, Any]:
    checks = [] if one is None else one["checks"]
    chosen = any(check["name"].endswith(IN_ITS_OWN) for check in checks)
    return {"own": own_shift(checks), "chosen": chosen}


def _truth(truth: Mapping[str, str], prediction: str, place: str) -> str:
    """What is absent by construction is absent on any text; what is there was taught in the micro-world alone."""
    known = truth[prediction]
    return known if place == WORLD or known == "no" else OUTSIDE
