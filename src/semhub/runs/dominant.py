"""The dominant language of a model, estimated before the cases that need it are built."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pandas as pd

from semhub import registry
from semhub.measures import trend
from semhub.models.base import Adapter
from semhub.runs.config import RunConfig
from semhub.runs.fit import fit
from semhub.stats import dominant
from semhub.stats.tables import by_variant
from semhub.types import Request, TextSet

TREND = "language.trend"
TEXTS = 50
ASSUMED = "en"


def find_dominant(
    adapter: Adapter, tokens: trend.TokenLanguages, config: RunConfig, request: Request
) -> dict[str, Any]:
    """The estimate of `stats.dominant`, with `scored`: the language that P2 takes as dominant.

    Read from 50 texts in each language of the trend experiment. English is scored where none is found.
    """
    if config.dominant != "auto":
        given = {"status": "given", "language": config.dominant, "scored": config.dominant}
        blank = dict.fromkeys(("mass", "layer", "runner_up", "runner_up_mass"))
        return {**blank, **given, "reason": "given with --dominant"}
    (experiment,) = registry.experiments(["language"], [TREND])
    sets, _ = experiment.build(replace(request, n=TEXTS, dominant=ASSUMED))
    fitting = [fit(adapter, one) for one in sets if one.variant in tokens.languages]
    texts = [one for one in fitting if isinstance(one, TextSet) and one.texts]
    rows = [
        trend.measure(adapter, one, tokens, mode=config.lens, batch_tokens=config.batch_tokens)
        for one in texts
    ]
    languages = [one.variant for one in texts]
    if len(languages) < 2:
        reason = "the texts and the token counts have fewer than two languages in common"
        found: dict[str, Any] = {"status": "abstain", "language": None, "reason": reason}
        found |= dict.fromkeys(("mass", "layer", "runner_up", "runner_up_mass"))
    else:
        background = dict(zip(tokens.languages, tokens.table.mean(axis=0).tolist(), strict=True))
        found = dominant.estimate(by_variant(pd.concat(rows)), TREND, languages, background)
    scored = found["language"] if found["status"] in ("found", "two") else ASSUMED
    return {**found, "scored": scored}
