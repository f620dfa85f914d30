"""Raw cosine of matched pairs against pairs shuffled once, by a t-test at the layer of the largest difference."""

from __future__ import annotations

import numpy as np
import torch

from semhub.lab.prove.cases import Claim, SpokeCases
from semhub.lab.prove.rivals._tests import mean_above_zero
from semhub.measures.similarity import sides
from semhub.models.base import Adapter

NAME = "raw cosine"
PREDICTION = "P1"
SOURCE = "common practice; t-test of matched minus shuffled cosine, Bonferroni over the intermediate layers"


@torch.inference_mode()
def claims(model: Adapter, cases: SpokeCases) -> Claim:
    states = cases.states(model)
    order = cases.rng(NAME).permutation(len(states.pairs))
    shuffled = torch.empty(len(order), dtype=torch.long)
    shuffled[torch.from_numpy(order)] = torch.from_numpy(np.roll(order, 1))
    differences = []
    for layer in range(states.n_layers):
        a, b, _ = sides(states, layer, centred=False)
        differences.append((a * (b - b[shuffled.to(b.device)])).sum(dim=-1).double().cpu().numpy())
    return mean_above_zero(np.array(differences))
