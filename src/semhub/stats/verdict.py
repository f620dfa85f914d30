"""The verdicts: one for each spoke and prediction, with Holm's correction over the cells of a report.

A cell with several deciding sets (one per language) is supported only if every one of them is. The p of the twins,
and of the rank among K real differences in P3, cannot fall below 1/(K+1), so these conditions are held at 5% as they
stand and take no part in Holm's correction.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict

import numpy as np

from semhub.stats.causal import BLIND, causal, own_shift
from semhub.stats.evidence import ALPHA, WEAK, Evidence, Tables, dominant_reading, shared_space
from semhub.stats.multiplicity import holm

NO_DOMINANT = "no dominant language was found in this model"
SUPPORTED, NOT_SUPPORTED, UNTESTABLE = "supported", "not_supported", "untestable"
DECIDING = {
    ("language", "P1"): "language.similarity",
    ("language", "P2"): "language.lens",
    ("language", "P3"): "language.steer",
    ("arithmetic", "P1"): "arithmetic.similarity",
    ("arithmetic", "P2"): "arithmetic.lens",
    ("arithmetic", "P3"): "arithmetic.steer",
    ("code", "P1"): "code.similarity",
    ("code", "P2"): "code.lens_role",
    ("code", "P3"): "code.steer",
    ("semantics", "P1"): "semantics.similarity",
    ("semantics", "P2"): "semantics.lens",
    ("vision", "P1"): "vision.similarity",
    ("vision", "P2"): "vision.lens_caption",
    ("vision", "P3"): "vision.steer",
    ("audio", "P1"): "audio.similarity",
    ("audio", "P2"): "audio.lens",
    ("audio", "P3"): "audio.steer",
}
PREDICTIONS = ("P1", "P2", "P3")


def decide(
    tables: Tables,
    spokes: Sequence[str],
    deciding: Mapping[str, Sequence[str]],
    seed: int,
    *,
    experiments: Mapping[tuple[str, str], str] | None = None,
    shares_words: Collection[str] = (),
    sensed: Collection[str] = (),
    dominant_found: bool = True,
    n_draws: int = 1000,
    untaken: Mapping[str, str] | None = None,
) -> list[dict[str, object]]:
    """The verdicts of a run, as in verdicts.json; `passed` of a condition without a number is None: it was not tested.

    deciding: experiment -> its deciding variants, for the experiments that were run. experiments: (spoke,
    prediction) -> the deciding experiment of a spoke from outside the package. shares_words: the experiments whose
    pairs spell words alike by design. sensed: those on pictures or sounds. dominant_found: False where the model was
    found to have no dominant language, which makes every P2 not supported. untaken: spoke -> why the model cannot take
    its input, for what was not run.
    """
    cells = [(spoke, prediction) for spoke in spokes for prediction in PREDICTIONS]
    named = {**(experiments or {}), **DECIDING}
    found: list[list[Evidence]] = []
    for spoke, prediction in cells:
        experiment = named.get((spoke, prediction), "")
        variants = deciding.get(experiment, ())
        if prediction == "P2":
            tested = [
                dominant_reading(tables, experiment, variant, seed, n_draws, experiment in sensed)
                for variant in variants
            ]
        elif prediction == "P3":
            tested = [
                causal(tables, experiment, variant, seed, n_draws, experiment in sensed)
                for variant in variants
            ]
        else:
            shares = experiment in shares_words
            tested = [
                shared_space(tables, experiment, variant, seed, n_draws, shares, experiment in sensed)
                for variant in variants
            ]
        found.append(tested)
    p = np.array([_cell_p(evidence) for evidence in found])
    adjusted = holm(p)
    return [
        _verdict(
            spoke,
            prediction,
            evidence,
            float(p[i]),
            float(adjusted[i]),
            dominant_found,
            (untaken or {}).get(spoke, ""),
        )
        for i, ((spoke, prediction), evidence) in enumerate(zip(cells, found, strict=True))
    ]


def verdict_of(spoke: str, prediction: str, evidence: Sequence[Evidence]) -> dict[str, object]:
    """The verdict of a single cell, with nothing to correct for beside it."""
    p = _cell_p(evidence)
    return _verdict(spoke, prediction, evidence, p, p, dominant_found=True)


def _cell_p(evidence: Sequence[Evidence]) -> float:
    """The largest p of the cell's sets; NaN if any of them cannot be tested."""
    if not evidence or any(one.untestable for one in evidence):
        return float("nan")
    return max(one.p for one in evidence)


def _verdict(
    spoke: str,
    prediction: str,
    evidence: Sequence[Evidence],
    p: float,
    adjusted: float,
    dominant_found: bool,
    untaken: str = "",
) -> dict[str, object]:
    verdict, reason = _word(spoke, prediction, evidence, adjusted, dominant_found)
    if untaken and not evidence:
        reason = untaken
    weakest = min(evidence, key=lambda one: one.effect if one.band else math.inf) if evidence else None
    band = _common_band(evidence)
    blank: dict[str, object] = {
        "spoke": spoke,
        "prediction": prediction,
        "verdict": verdict,
        "reason": reason,
        "layers": list(band) if band else [],
    }
    if weakest is None:
        nothing = dict.fromkeys(("effect", "ci_low", "ci_high", "p", "p_adjusted", "detectable"))
        names = {"measure": "", "experiment": DECIDING.get((spoke, prediction), ""), "variant": ""}
        return {**blank, **nothing, **names, "n": 0, "n_clusters": 0, "checks": []}
    numbers = {
        "effect": weakest.effect,
        "ci_low": weakest.ci_low,
        "ci_high": weakest.ci_high,
        "p": p,
        "p_adjusted": adjusted,
        "detectable": weakest.detectable,
    }
    checks = []
    for one in evidence:
        for check in one.checks:
            row = asdict(check)
            if check.passed and math.isnan(check.value):
                row["passed"] = None  # a condition without a number was not tested, whatever it lets pass
            row["name"] = f"{one.variant}: {check.name}" if len(evidence) > 1 else check.name
            checks.append({key: _plain(value) for key, value in row.items()})
    return {
        **blank,
        **{key: _plain(value) for key, value in numbers.items()},
        "measure": weakest.measure,
        "experiment": weakest.experiment,
        "variant": weakest.variant,
        "n": weakest.n,
        "n_clusters": weakest.n_clusters,
        "checks": checks,
    }


def _word(
    spoke: str, prediction: str, evidence: Sequence[Evidence], adjusted: float, dominant_found: bool
) -> tuple[str, str]:
    if not evidence:
        return UNTESTABLE, f"not run: {DECIDING.get((spoke, prediction)) or _none(spoke, prediction)}"
    for one in evidence:
        if one.untestable:
            found = "" if math.isnan(one.detectable) else f"; detectable was d = {one.detectable:.2f}"
            return UNTESTABLE, one.untestable + found
    failed = dict.fromkeys(check.name for one in evidence for check in one.checks if not check.passed)
    if prediction == "P2" and not dominant_found:
        return NOT_SUPPORTED, NO_DOMINANT
    if failed:
        return NOT_SUPPORTED, "; ".join(["failed: " + "; ".join(failed), *_blind(evidence)])
    if not adjusted <= ALPHA:
        return NOT_SUPPORTED, f"p = {adjusted:.3f} after Holm's correction over the cells of this report"
    missing = sorted({check.detail for one in evidence for check in one.checks if math.isnan(check.value)})
    if any(WEAK in check.detail for one in evidence for check in one.checks):
        missing.append(f"{WEAK}: fewer than 19 twins cannot reach {ALPHA}")
    return SUPPORTED, "; ".join(["all conditions hold in the band", *missing])


def _blind(evidence: Sequence[Evidence]) -> list[str]:
    """Where the input's own direction moves nothing either, a P3 that is not supported says little of a hub."""
    own = own_shift(
        {"name": f"{one.variant}{check.name}", "value": check.value}
        for one in evidence
        for check in one.checks
    )
    if not own < BLIND:
        return []
    return [f"the input's own direction moves the output by {round(own, 2) + 0.0:+.2f} nat only"]


def _none(spoke: str, prediction: str) -> str:
    """Why a spoke has no experiment for a prediction."""
    if prediction != "P3":
        return "no deciding experiment"
    if spoke in {name for name, _ in DECIDING}:
        return f"the paper has no steering experiment for {spoke}"
    return "this spoke has no steering experiment"


def _common_band(evidence: Sequence[Evidence]) -> tuple[int, int] | None:
    """Layers that lie in the band of every deciding set; of the weakest set where they have none in common."""
    bands = [one.band for one in evidence if one.band]
    if not bands:
        return None
    low, high = max(band[0] for band in bands), min(band[1] for band in bands)
    return (low, high) if low <= high else bands[0]


def _plain(value: object) -> object:
    """JSON has no NaN."""
    return None if isinstance(value, float) and math.isnan(value) else value
