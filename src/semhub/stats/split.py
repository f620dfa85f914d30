"""Selection and confirmation: clusters are split in two halves by the seed; a band is chosen on one half."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from semhub.stats.bootstrap import Floats

SELECT, CONFIRM = "select", "confirm"
TWINS = "twins"  # the pairs that twins are compared on, where they are not all


def confirming(clusters: list[str] | NDArray[np.object_], seed: int) -> NDArray[np.bool_]:
    """True for the cases [case] of the half that confirms. Whole clusters go to one side; sizes differ by one."""
    labels, codes = np.unique(np.asarray(clusters, dtype=str), return_inverse=True)
    order = np.random.default_rng([seed, 0x5E1EC7]).permutation(len(labels))
    side = np.zeros(len(labels), dtype=bool)
    side[order[: len(labels) // 2]] = True
    return side[codes]


def band_width(n_layers: int) -> int:
    """At least two adjacent layers and a tenth of the depth."""
    return max(2, int(np.ceil(n_layers / 10)))


def choose_band(passes: NDArray[np.bool_], score: Floats, n_layers: int) -> tuple[int, int] | None:
    """The band of intermediate layers (1..L-1) on which a claim will be confirmed; None if there is no room.

    passes [layer], score [layer] over layers 0..L, both from the selecting half. The band is the longest run of
    passing layers that is wide enough (ties: the higher mean score); with no such run, the window of the
    smallest allowed width with the highest mean score.
    """
    width = band_width(n_layers)
    first, last = 1, n_layers - 1
    if last - first + 1 < width:
        return None
    runs: list[tuple[int, int]] = []
    start: int | None = None
    for layer in range(first, last + 2):
        if layer <= last and passes[layer]:
            start = layer if start is None else start
        elif start is not None:
            if layer - start >= width:
                runs.append((start, layer - 1))
            start = None
    if not runs:
        runs = [(low, low + width - 1) for low in range(first, last - width + 2)]
    return max(runs, key=lambda run: (run[1] - run[0], float(score[run[0] : run[1] + 1].mean())))
