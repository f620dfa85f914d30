"""The verdicts on synthetic rows, and which conditions failed."""

from __future__ import annotations

import json

from tests.stats.synthetic import SEED, Tables

from semhub.stats.evidence import Evidence
from semhub.stats.verdict import decide

P1 = ("language.similarity", "zh/zero_overlap/continued")
P2 = ("language.lens", "zh")
DECIDING = {"language.similarity": [P1[1]], "language.lens": ["zh"]}


def failed(evidence: Evidence) -> list[str]:
    return [check.name for check in evidence.checks if not check.passed]


def verdicts(
    found: Tables, deciding: dict[str, list[str]] | None = None, **options: object
) -> dict[str, dict]:
    out = decide(found, ["language"], deciding or DECIDING, SEED, n_draws=200, **options)
    json.dumps(out, allow_nan=False)
    return {str(one["prediction"]): one for one in out}
