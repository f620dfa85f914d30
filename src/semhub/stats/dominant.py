"""Which language the intermediate layers speak, from language mass alone: found, two, none or abstain.

A candidate is judged on texts in *other* languages, so that a model which merely speaks the language of its input
has none. The rule's constants are conventions of this project.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from semhub.results import UNCOUNTED
from semhub.stats.bootstrap import Floats
from semhub.stats.evidence import Tables
from semhub.stats.split import band_width

ENOUGH_MASS = 0.1
ENOUGH_ODDS = 2.0
CLEAR_LEAD = 2.0
TOO_MUCH_UNCOUNTED = 0.2
TOO_LITTLE = "texts in at least two languages and three layers are needed"


def estimate(
    tables: Tables, experiment: str, languages: list[str], background: Mapping[str, float]
) -> dict[str, object]:
    """The dominant language over input languages `languages` (the variants of the trend experiment).

    background: each language's share of the mass if every token were equally probable. A candidate qualifies if,
    in its best band of intermediate layers, its mean mass over texts in other languages is at least 0.1 and its odds
    are at least twice those of the background. `found`: one qualifies, or leads the next by a factor of two.
    `two`: several qualify and none leads. `abstain`: over 20% of the mass there is on tokens never counted.
    """
    if len(languages) < 2:
        return _result("abstain", reason=TOO_LITTLE)
    mass = {code: _foreign(tables, experiment, languages, code) for code in languages}
    if len(mass[languages[0]]) < 4:
        return _result("abstain", reason=TOO_LITTLE)
    peaks = sorted(((*_peak(values), code) for code, values in mass.items()), reverse=True)
    qualified = [
        peak
        for peak in peaks
        if peak[0] >= ENOUGH_MASS and _odds(peak[0]) >= ENOUGH_ODDS * _odds(background[peak[2]])
    ]
    ranked = qualified + [peak for peak in peaks if peak not in qualified]
    (value, layer, code), (next_value, _, next_code) = ranked[0], ranked[1]
    uncounted = np.mean(
        [_mean(tables, experiment, one, UNCOUNTED)[layer] for one in languages if one != code]
    )
    numbers = dict(language=code, mass=value, layer=layer, runner_up=next_code, runner_up_mass=next_value)
    if uncounted > TOO_MUCH_UNCOUNTED:
        reason = f"{uncounted:.0%} of the mass at layer {layer} is on tokens that were never counted"
        reason += "; give more text with --data counts=DIR"
        return _result("abstain", reason=reason, **numbers)
    if not qualified:
        reason = f"no language stands out in texts of others: at most {value:.2f} of the mass ({code}, layer {layer})"
        return _result("none", reason=reason, **numbers)
    if len(qualified) > 1 and value < CLEAR_LEAD * next_value:
        return _result("two", reason=f"{code} and {next_code} are read about equally", **numbers)
    return _result(
        "found", reason=f"{value:.2f} of the mass of texts in other languages at layer {layer}", **numbers
    )


def _foreign(tables: Tables, experiment: str, languages: list[str], code: str) -> Floats:
    """Mass of a language [layer], averaged over the texts in the other languages."""
    return np.asarray(
        np.mean([_mean(tables, experiment, one, code) for one in languages if one != code], axis=0)
    )


def _mean(tables: Tables, experiment: str, variant: str, language: str) -> Floats:
    cases = tables[experiment, variant].cases("language_mass", language)
    if cases is None:  # too little mass to have rows of its own
        entropy = tables[experiment, variant].cases("language_entropy", "matched")
        return np.zeros(0 if entropy is None else len(entropy.values))
    return np.asarray(cases.values @ cases.weights / cases.weights.sum())


def _peak(values: Floats) -> tuple[float, int]:
    """The highest mean over a band of intermediate layers, and the middle layer of that band."""
    n_layers = len(values) - 1
    width = min(band_width(n_layers), n_layers - 1)
    means = [values[start : start + width].mean() for start in range(1, n_layers - width + 1)]
    best = int(np.argmax(means))
    return float(means[best]), 1 + best + width // 2


def _odds(share: float) -> float:
    return share / max(1e-9, 1 - share)


def _result(status: str, reason: str, **numbers: object) -> dict[str, object]:
    blank: dict[str, object] = dict.fromkeys(("language", "mass", "layer", "runner_up", "runner_up_mass"))
    return {"status": status, **blank, **numbers, "reason": reason}
