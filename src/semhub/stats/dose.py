"""Where and how strongly to steer: a band of layers and a strength, chosen on one half of the clusters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from semhub.stats.bootstrap import Floats
from semhub.stats.permutation import Bools
from semhub.stats.split import choose_band, confirming
from semhub.stats.tables import Steered, VariantTable

MEASURE, OVER = "delta_logit", "delta_logit_over"  # the second: hypothesis less a control, per case
MOST = "most_moved"  # the largest effect over strengths, of a whole set, for the comparison with twins
LOSS, LOSS_OVER = "loss", "loss_over"  # of the model's own next token, by removing a subspace (necessity)
HYPOTHESIS, REAL = "hypothesis", "real_difference"
CONTROLS = ("wrong_concept", "shuffled", REAL)  # that count for the choice, beside zero


@dataclass(frozen=True, slots=True)
class Choice:
    """band: first and last layer. strength: the `strength_index`-th that was tried. layer: the band's best."""

    band: tuple[int, int]
    strength_index: int
    strength: float
    layer: int


def contrast(hypothesis: Floats, controls: Sequence[Floats]) -> Floats:
    """hypothesis, controls: means over cases [layer, strength], layers 0..L -> hypothesis less the largest control.

    NaN where any of them is NaN, as all are at layers 0 and L.
    """
    with np.errstate(invalid="ignore"):  # an infinite mean less another is no number
        return np.asarray(hypothesis - np.max(np.stack(controls), axis=0))


def choose(contrast: Floats, n_layers: int) -> tuple[tuple[int, int], int] | None:
    """contrast [layer, strength], layers 0..L, strengths ascending -> (band, index of the strength).

    For each strength a band (split.choose_band) of the layers with at least half the largest contrast, and at least
    zero; then the smallest strength whose band has at least half the highest mean contrast of all: more than is needed
    breaks the text. What is no finite number is never chosen before a number. None if there is no room for a band.
    """
    known = np.where(np.isfinite(contrast), contrast, -np.inf)
    bands, means = [], []
    for score in known.T:
        threshold = max(0.0, float(score[1:n_layers].max(initial=0.0)) / 2)
        band = choose_band(score >= threshold, score, n_layers)
        if band is None:
            return None
        bands.append(band)
        means.append(float(score[band[0] : band[1] + 1].mean()))
    best = max(means)
    enough = best / 2 if best > 0 else best
    index = next(i for i, mean in enumerate(means) if mean >= enough)
    return bands[index], index


def choose_from_rows(
    table: VariantTable,
    seed: int,
    n_layers: int,
    condition: str = HYPOTHESIS,
    against: Sequence[str] = CONTROLS,
) -> Choice | None:
    """The choice from the grid rows of a variant, on the half of its clusters that does not confirm.

    The controls that count are those of `against` that were run, and zero. None if there are no rows of the condition,
    or no room for a band.
    """
    steered = table.steered(MEASURE, condition)
    if steered is None:
        return None
    selecting = np.unique(steered.clusters[~confirming(steered.clusters, seed)])
    strengths = steered.strengths
    mean = _mean(steered, selecting, strengths, n_layers)
    controls = [np.where(np.isnan(mean), np.nan, 0.0)]
    for control in against:
        view = table.steered(MEASURE, control)
        if view is not None:
            controls.append(_mean(view, selecting, strengths, n_layers, absent=-np.inf))
    over = contrast(mean, controls)
    chosen = choose(over, n_layers)
    if chosen is None:
        return None
    (low, high), index = chosen
    inside = np.where(np.isfinite(over[:, index]), over[:, index], -np.inf)[low : high + 1]
    return Choice((low, high), index, float(strengths[index]), low + int(inside.argmax()))


def _mean(
    view: Steered, clusters: np.ndarray, strengths: Floats, n_layers: int, absent: float = np.nan
) -> Floats:
    """Means over the cases of some clusters, [layer 0..L, strength]: NaN if infinite, `absent` if there is no case."""
    keep: Bools = np.isin(view.clusters, clusters)
    counts = view.present[:, :, keep].sum(axis=2)
    with np.errstate(invalid="ignore"):
        sums = np.where(view.present, view.values, 0.0)[:, :, keep].sum(axis=2)
    means = np.where(np.isfinite(sums), sums / np.maximum(counts, 1), np.nan)
    means = np.where(counts > 0, means, absent)
    out = np.full((n_layers + 1, len(strengths)), absent)
    for i, layer in enumerate(view.layers):
        for j, strength in enumerate(view.strengths):
            where = np.flatnonzero(strengths == strength)
            if 0 < layer < n_layers and len(where):
                out[layer, where[0]] = means[i, j]
    return out
