"""The plain lens contrast: log-probability of the dominant word minus that of the input's own, by a t-test."""

from __future__ import annotations

import numpy as np

from semhub.lab.prove.cases import BATCH_TOKENS, Claim, SpokeCases
from semhub.lab.prove.rivals._tests import mean_above_zero
from semhub.measures import readout
from semhub.models.base import Adapter

NAME = "lens contrast"
PREDICTION = "P2"
SOURCE = "Wu et al., arXiv 2411.04986, eq. 2; t-test over cases, Bonferroni over the intermediate layers"


def claims(model: Adapter, cases: SpokeCases) -> Claim:
    ready = cases.ready(model)
    if not ready.cases:
        return Claim(False, 1.0, float("nan"))
    nothing = np.empty((0, len(readout.distinct_words(ready, "dominant"))), dtype=np.int64)
    plan = readout.Plan({"": np.ones(len(ready.cases), dtype=bool)}, nothing)
    reading = readout.Reading(ready, plan, experiment="", variant="")
    (rows,) = readout.measure(model, [reading], mode="final_norm", batch_tokens=BATCH_TOKENS)
    values = rows[rows["measure"] == "logprob_diff"]["value"].to_numpy().reshape(model.n_layers + 1, -1)
    return mean_above_zero(values[1:-1])
