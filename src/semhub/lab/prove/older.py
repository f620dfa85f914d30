"""Verdicts that were recorded before a condition was there, by today's rules as far as their numbers allow.

P3's smallest effect of interest is asked of the interval that was recorded, that of the set that is moved least. P2's
condition on priors needs what no record holds; so verdicts are also given without it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from semhub.stats.causal import LARGE
from semhub.stats.evidence import ALPHA, BEYOND_PRIOR, SMALLEST_NAT
from semhub.stats.multiplicity import holm
from semhub.stats.verdict import NO_DOMINANT, NOT_SUPPORTED, SUPPORTED, UNTESTABLE

Verdict = Mapping[str, Any]


def large_enough(one: Verdict) -> Verdict:
    """A P3 with the condition on its smallest effect, if it was judged before there was one; any other as it is."""
    low = one.get("ci_low")
    if one["prediction"] != "P3" or low is None or any(_named(check, LARGE) for check in one["checks"]):
        return one
    passed = low > SMALLEST_NAT
    check = {"name": LARGE, "passed": passed, "value": low, "detail": "from the interval", "p": None}
    failed = one["verdict"] == SUPPORTED and not passed
    return {**one, "checks": [*one["checks"], check], "verdict": NOT_SUPPORTED if failed else one["verdict"]}


def before_priors(cells: Sequence[Verdict]) -> bool:
    """Whether these were judged before P2 had its condition on priors; cells: those of one part of a record."""
    checks = [check for one in cells if one["prediction"] == "P2" for check in one["checks"]]
    return bool(checks) and not any(_named(check, BEYOND_PRIOR) for check in checks)


def without_priors(one: Verdict, cells: Sequence[Verdict]) -> Verdict:
    """A P2 as it would be without its condition on priors; cells: those that it is corrected with, it among them."""
    others = [check for check in one["checks"] if not _named(check, BEYOND_PRIOR)]
    if len(others) == len(one["checks"]) or one["verdict"] == UNTESTABLE or one["reason"] == NO_DOMINANT:
        return one
    tested = [check["p"] for check in others if check["p"] is not None]
    own = max(tested, default=math.nan)
    p = [own if cell is one else math.nan if cell["p"] is None else cell["p"] for cell in cells]
    adjusted = float(holm(np.array(p))[next(i for i, cell in enumerate(cells) if cell is one)])
    held = all(check["passed"] is not False for check in others) and adjusted <= ALPHA
    return {
        **one,
        "checks": others,
        "p_adjusted": adjusted,
        "verdict": SUPPORTED if held else NOT_SUPPORTED,
        "reason": "",
    }


def _named(check: Mapping[str, Any], name: str) -> bool:
    return str(check["name"]).endswith(name)
