"""The two plain tests that the rivals share, over the intermediate layers; all correct for the layers searched."""

from __future__ import annotations

import numpy as np
from scipy import stats as distributions

from semhub.lab.prove.cases import Claim
from semhub.stats.bootstrap import Floats

ALPHA = 0.05
FIRST = 1  # index 0 of the arrays below is layer 1


def highest_layer(observed: Floats, null: Floats) -> Claim:
    """The maximum over layers of observed [layer] against that of each permutation in null [draw, layer]."""
    if not np.isfinite(observed).any():
        return Claim(False, 1.0, float("nan"))
    layer = int(np.nanargmax(observed))
    effect = float(observed[layer])
    maxima = np.where(np.isfinite(null), null, -np.inf).max(axis=1)
    p = float((1 + (maxima >= effect).sum()) / (len(null) + 1))
    return Claim(p <= ALPHA and effect > 0, p, effect, FIRST + layer)


def mean_above_zero(values: Floats) -> Claim:
    """One-sided t-test of values [layer, case] at the layer of the highest mean, times the number of layers."""
    n_layers, n = values.shape
    if n < 2:
        return Claim(False, 1.0, float("nan"))
    means = values.mean(axis=1)
    layer = int(means.argmax())
    effect = float(means[layer])
    error = float(values[layer].std(ddof=1) / np.sqrt(n))
    certain = 0.0 if effect > 0 else 1.0
    p = float(distributions.t.sf(effect / error, n - 1)) if error > 0 else certain
    p = min(1.0, p * n_layers)
    return Claim(p <= ALPHA and effect > 0, p, effect, FIRST + layer)
