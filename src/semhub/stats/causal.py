"""What one deciding steering set says of P3: layers and strength from one half of the clusters, tested on the other.

Nothing was searched on the confirming half: one band at one strength is tested, so its p-values need no correction
for layers. The rank among K real differences cannot fall below 1/(K+1): it is held at 5% as it stands and, as the
twins' in P1, takes no part in Holm's correction.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from semhub.stats.bootstrap import Floats, mean_interval
from semhub.stats.dose import HYPOTHESIS, LOSS, MEASURE, MOST, OVER, REAL, Choice, choose_from_rows
from semhub.stats.evidence import (
    ALPHA,
    ENCODER_ALONE,
    KEPT,
    KEPT_ENCODER,
    MIN_CLUSTERS,
    SMALLEST_NAT,
    Check,
    Evidence,
    Tables,
    detectable_effect,
    too_few,
    twin_checks,
)
from semhub.stats.permutation import sign_flips
from semhub.stats.split import CONFIRM, TWINS, confirming
from semhub.stats.tables import Steered, VariantTable

COLLAPSE = 2.0  # times the median perplexity under real differences
ENOUGH_DRAWS = 19
NAMED = {"wrong_concept": "wrong concepts", "shuffled": "directions of other cases"}
MISSING = "control missing"
LARGE = "moves it by more than the smallest effect of interest"
NATIVE = "reference: the native direction"
IN_ITS_OWN = f"{NATIVE} in layers chosen for it"
BLIND = 0.1  # nat: the odds change by a tenth; where the input's own direction does less, little can be seen
SAME_DIRECTION = "every case has the same direction: there is no other to exchange it for"


@dataclass(frozen=True, slots=True)
class Moved:
    """Effects in the band at the chosen strength: values [case], or [draw, case]; clusters and case_ids [case]."""

    values: Floats
    clusters: np.ndarray
    case_ids: np.ndarray


def causal(
    tables: Tables, experiment: str, variant: str, seed: int, n_draws: int = 1000, sensed: bool = False
) -> Evidence:
    """P3 for one deciding steering set (experiments.md, "Verdicts").

    The effect is the hypothesised direction's less the mean of the real differences', per case. A value that is no
    finite number fails every condition that it enters; a control that was not run leaves the set untestable,
    unless a condition failed. sensed: what is written is a picture or a sound; random blocks behind a trained encoder
    carry what is added to the output by chance one way or the other, all cases alike, so the output must also be moved
    further than in the twins that keep the encoder, and without them nothing is supported.
    """
    table = tables.get((experiment, variant))
    grid = None if table is None else table.steered(MEASURE, HYPOTHESIS)
    if table is None or grid is None:
        reason = f"no usable case in {experiment} {variant}"
        return Evidence(experiment, variant, OVER, 0, 0, float("nan"), reason)
    n_clusters, n_layers = len(np.unique(grid.clusters)), int(grid.layers.max()) + 1
    detectable = detectable_effect(n_clusters // 2, n_layers=2)  # one band is tested
    start = Evidence(experiment, variant, OVER, len(grid.case_ids), n_clusters, detectable)
    if n_clusters < MIN_CLUSTERS:
        reason = f"{n_clusters} clusters in {variant}, at least {MIN_CLUSTERS} are needed"
        return replace(start, untestable=reason)
    choice = choose_from_rows(table, seed, n_layers)
    if choice is None:
        return replace(start, untestable=f"{n_layers} layers leave no band of intermediate layers")
    confirm = tables.get((experiment, f"{variant}/{CONFIRM}"))
    moved = None if confirm is None else _moved(confirm.steered(MEASURE, HYPOTHESIS), choice)
    if confirm is None or moved is None:
        where = f"layers {choice.band[0]} to {choice.band[1]} at strength {choice.strength:g}"
        return replace(start, untestable=f"{variant} has no confirming rows for {where}")
    strength = f"at strength {choice.strength:g}"
    rng = confirm.rng(seed, "beyond zero")
    checks = [_flipped("moves the output beyond zero", strength, moved, rng, n_draws)]
    effect = low = high = float("nan")
    draws, name = _drawn(confirm, choice), "moves it beyond real differences of states"
    if draws is None:
        checks.append(_absent(name, "no real differences were run"))
    else:
        with np.errstate(invalid="ignore"):
            over = _less(moved, replace(draws, values=draws.values.mean(axis=0)))
        more, rng = f"more than {len(draws.values)} of them on average", confirm.rng(seed, REAL)
        checks += [_flipped(name, more, over, rng, n_draws), _ranked(moved, draws)]
        effect, low, high = _interval(over, confirm.rng(seed, "effect"), n_draws)
        checks.append(_large_enough(low, high))
    for condition, words in NAMED.items():
        control, name = _moved(confirm.steered(MEASURE, condition), choice), f"moves it beyond {words}"
        if control is not None:
            rng, over = confirm.rng(seed, condition), _less(moved, control)
            checks.append(_flipped(name, "more than they do", over, rng, n_draws))
        elif (MEASURE, condition) in table.parts:
            checks.append(_absent(name, f"no {condition} rows confirm"))
        elif condition == "shuffled":
            checks.append(Check(name, True, float("nan"), SAME_DIRECTION))
    native = _moved(confirm.steered(MEASURE, "native"), choice)
    if native is not None:
        checks.append(_reference(native))
    checks += _in_its_own(table, seed, n_layers)
    checks += _necessary(tables, experiment, variant)
    checks.append(_fluent(confirm))
    without_twins = sensed and too_few(table, MOST)
    if sensed:
        checks += _beyond_twins(tables, table, n_layers)
    absent = [check.detail for check in checks if check.detail.startswith(MISSING)]
    passed = all(check.passed for check in checks)
    untestable = ENCODER_ALONE if passed and without_twins else "; ".join(absent) if passed else ""
    return replace(
        start,
        untestable=untestable,
        band=choice.band,
        effect=effect,
        ci_low=low,
        ci_high=high,
        checks=checks,
    )


def _beyond_twins(tables: Tables, table: VariantTable, n_layers: int) -> list[Check]:
    """Against the second kind of twins, which keep the encoder."""
    name = "moves it further than in its twins"
    compared = tables.get((table.experiment, f"{table.variant}/{TWINS}"))
    own = None if compared is None else compared.whole(MOST, HYPOTHESIS)
    if own is None:
        return [_absent(name, "too few of the cases for twins could be steered, with real differences")]
    return twin_checks(table, own, slice(1, n_layers), MOST, name, {KEPT: KEPT_ENCODER})


def _absent(name: str, why: str) -> Check:
    return Check(name, True, float("nan"), f"{MISSING}: {why}")


def _moved(view: Steered | None, choice: Choice) -> Moved | None:
    """Per case the mean over the band at the chosen strength; NaN for a case that lacks one of the layers."""
    if view is None:
        return None
    strength = np.flatnonzero(view.strengths == choice.strength)
    band = np.isin(view.layers, np.arange(choice.band[0], choice.band[1] + 1))
    if not len(strength) or band.sum() < choice.band[1] - choice.band[0] + 1:
        return None
    here = view.present[band, strength[0]].any(axis=0)
    with np.errstate(invalid="ignore"):
        values = view.values[band, strength[0]].mean(axis=0)
    return Moved(values[here], view.clusters[here], view.case_ids[here])


def _drawn(confirm: VariantTable, choice: Choice) -> Moved | None:
    """The real differences, [draw, case]."""
    view = confirm.steered_draws(MEASURE, REAL)
    if view is None:
        return None
    band = np.isin(view.layers, np.arange(choice.band[0], choice.band[1] + 1))
    if band.sum() < choice.band[1] - choice.band[0] + 1:
        return None
    with np.errstate(invalid="ignore"):
        return Moved(view.values[:, band].mean(axis=1), view.clusters, view.case_ids)


def _less(moved: Moved, control: Moved) -> Moved:
    """The paired difference, on the cases that both have."""
    _, mine, theirs = np.intersect1d(moved.case_ids, control.case_ids, return_indices=True)
    with np.errstate(invalid="ignore"):
        values = moved.values[mine] - control.values[theirs]
    return Moved(values, moved.clusters[mine], moved.case_ids[mine])


def _flipped(name: str, how: str, moved: Moved, rng: np.random.Generator, n_draws: int) -> Check:
    """Is the mean above zero, under random signs per cluster?"""
    n, unknown = len(moved.values), int((~np.isfinite(moved.values)).sum())
    if unknown or not n:
        return _no_number(name, unknown, n)
    mean = float(moved.values.mean())
    null = sign_flips(moved.values[None], moved.clusters, n_draws, rng)[:, 0]
    p = float((1 + (null >= mean).sum()) / (n_draws + 1))
    detail = f"log-odds moved by {mean:+.2f} nat {how}, n = {n}, p = {p:.4f}"
    return Check(name, p <= ALPHA and mean > 0, mean, detail, p)


def _large_enough(low: float, high: float) -> Check:
    """With enough cases any shift is beyond chance. low, high: of the shift over that of real differences."""
    measured = f"95% interval [{low:+.3f}, {high:+.3f}] nat more than real differences"
    detail = f"{measured}, smallest effect of interest {SMALLEST_NAT}"
    return Check(LARGE, low > SMALLEST_NAT, low, detail)


def _reference(native: Moved) -> Check:
    """Shown, never tested: where the input's own direction moves nothing, the test is blind."""
    mean, n = float(np.mean(native.values)), len(native.values)
    detail = (
        f"log-odds moved by {mean:+.2f} nat by the direction in the input's own type, n = {n}; not tested"
    )
    return Check(NATIVE, True, mean, detail)


def own_shift(checks: Iterable[Mapping[str, Any]]) -> float:
    """By how many nat the direction in the input's own type moves the output, in either reference, in the deciding set
    where it moves it least; NaN if none was run or one has no number. checks: as in verdicts.json."""
    by_set: dict[str, list[float]] = {}
    for check in checks:
        before, named, _ = str(check["name"]).partition(NATIVE)
        if named:
            by_set.setdefault(before, []).append(
                math.nan if check["value"] is None else float(check["value"])
            )
    return float(np.min([np.max(values) for values in by_set.values()])) if by_set else math.nan


def _in_its_own(table: VariantTable, seed: int, n_layers: int) -> list[Check]:
    """Shown, never tested: the same in the layers and at the strength that the other half chose for it, as it does for
    the hypothesised direction: the smallest strength with half of the largest effect."""
    view = table.steered(MEASURE, "native")
    choice = choose_from_rows(table, seed, n_layers, "native", (REAL,))
    moved = None if choice is None else _moved(view, choice)
    if view is None or choice is None or moved is None:
        return []
    held = np.isin(moved.clusters, view.clusters[confirming(view.clusters, seed)])
    mean, n = float(np.mean(moved.values[held])), int(held.sum())
    where = f"layers {choice.band[0]} to {choice.band[1]} at strength {choice.strength:g}"
    detail = (
        f"log-odds moved by {mean:+.2f} nat by the direction in the input's own type in {where}, chosen for it on the "
        f"other half, n = {n}; not tested"
    )
    return [Check(IN_ITS_OWN, True, mean, detail)]


def _necessary(tables: Tables, experiment: str, variant: str) -> list[Check]:
    """Shown, never tested: what both types lose without the subspace that the directions span."""
    found = []
    for side, words in (("spoke", "the input's type"), ("dominant", "the dominant type")):
        table = tables.get((experiment, f"{variant}/necessity/{side}"))
        own = None if table is None else table.cases(LOSS, HYPOTHESIS)
        real = None if table is None else table.cases(LOSS, REAL)
        if own is not None and real is not None:
            mean, other, n = float(own.values.mean()), float(real.values.mean()), own.values.shape[1]
            detail = (
                f"{words} loses {mean:+.2f} nat of its own next token without the directions' subspace, "
                f"{other:+.2f} without one of as many real differences, n = {n}; not tested"
            )
            found.append(Check(f"reference: necessity for {words}", True, mean, detail))
    return found


def _ranked(moved: Moved, draws: Moved) -> Check:
    """The mean among the means of the real differences; one without a number counts as higher."""
    name = "moves it further than each real difference"
    _, mine, theirs = np.intersect1d(moved.case_ids, draws.case_ids, return_indices=True)
    values = moved.values[mine]
    unknown = int((~np.isfinite(values)).sum())
    if unknown or not len(values):
        return _no_number(name, unknown, len(values))
    mean, k = float(values.mean()), len(draws.values)
    with np.errstate(invalid="ignore"):
        means = draws.values[:, theirs].mean(axis=1)
    higher = int((~(means < mean) | ~np.isfinite(means)).sum())
    p = (1 + higher) / (k + 1)
    detail = f"{mean:+.2f} nat; {higher} of {k} real differences move it as far, p = {p:.3f}"
    detail += f" (fewer than {ENOUGH_DRAWS} cannot reach {ALPHA})" if k < ENOUGH_DRAWS else ""
    return Check(name, p <= ALPHA, p, detail)


def _fluent(confirm: VariantTable) -> Check:
    """Median perplexity of the text under the direction, against that under real differences of the same length."""
    name, medians = "the text stays fluent", {}
    for condition in (HYPOTHESIS, REAL, "none"):
        view = confirm.steered("perplexity", condition)
        values = np.empty(0) if view is None else view.values[view.present]
        if condition == "none" and not (len(values) and np.isfinite(values).all()):
            continue
        if not len(values):
            return _absent(name, f"no perplexity of text under {condition}")
        if unknown := int((~np.isfinite(values)).sum()):
            return _no_number(name, unknown, len(values))
        medians[condition] = float(np.median(values))
    ratio = medians[HYPOTHESIS] / medians[REAL] if medians[REAL] > 0 else float("nan")
    detail = f"median perplexity {medians[HYPOTHESIS]:.1f} against {medians[REAL]:.1f} under real differences"
    detail += f" ({medians['none']:.1f} unsteered)" if "none" in medians else ""
    return Check(name, ratio <= COLLAPSE, ratio, f"{detail}; at most {COLLAPSE:g} times is allowed")


def _no_number(name: str, unknown: int, n: int) -> Check:
    return Check(name, False, float("nan"), f"{unknown} of {n} cases have no finite number", 1.0)


def _interval(over: Moved, rng: np.random.Generator, n_draws: int) -> tuple[float, float, float]:
    if not len(over.values) or not np.isfinite(over.values).all():
        return float("nan"), float("nan"), float("nan")
    found = mean_interval(over.values[None], over.clusters, rng, n_draws=n_draws)
    return float(found.estimate[0]), float(found.low[0]), float(found.high[0])
