"""Corrections over the cells of a report."""

from __future__ import annotations

import numpy as np

from semhub.stats.bootstrap import Floats


def holm(p: Floats) -> Floats:
    """Holm's step-down adjusted p-values (Holm 1979), in the order given; NaN (untestable) stays NaN, uncounted."""
    p = np.asarray(p, dtype=np.float64)
    adjusted = np.full_like(p, np.nan)
    tested = np.flatnonzero(~np.isnan(p))
    order = tested[np.argsort(p[tested], kind="stable")]
    running = 0.0
    for rank, index in enumerate(order):
        running = max(running, min(1.0, (len(order) - rank) * p[index]))
        adjusted[index] = running
    return adjusted
