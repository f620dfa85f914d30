"""What is known before anything is measured: the deciding sets that can support nothing."""

from __future__ import annotations

from collections.abc import Sequence

from semhub.runs.plan import Built
from semhub.stats.evidence import ALPHA, ENCODER_ALONE, MIN_CLUSTERS, NEEDS_TWINS
from semhub.stats.verdict import NO_DOMINANT
from semhub.types import LensSet, PairSet, SteerSet


def unsupportable(built: Sequence[Built], n_twins: int, dominant_found: bool) -> list[dict[str, str]]:
    """The experiment, the variant and the reason of each.

    What turns out only when the model is asked, such as cases in which it cannot be steered, is not foreseen.
    """
    out = []
    for item in built:
        for one in item.sets:
            if not isinstance(one, PairSet | LensSet | SteerSet) or not one.deciding:
                continue
            reason = _reason(one, item.experiment.needs != "text", n_twins)
            if not reason and item.experiment.prediction == "P2" and not dominant_found:
                reason = NO_DOMINANT
            if reason:
                out.append({"experiment": one.experiment, "variant": one.variant, "reason": reason})
    return out


def _reason(one: PairSet | LensSet | SteerSet, sensed: bool, n_twins: int) -> str:
    """sensed: one side comes in through an encoder."""
    shares = isinstance(one, PairSet) and one.shares_words
    if isinstance(one, PairSet):
        clusters = {pair.cluster_id for pair in one.pairs if pair.negatives or not shares}
    else:
        clusters = {case.cluster_id for case in one.cases}
    if len(clusters) < MIN_CLUSTERS:
        return f"{len(clusters)} clusters, at least {MIN_CLUSTERS} are needed"
    if sensed and 1 / (n_twins + 1) > ALPHA:
        return ENCODER_ALONE
    return NEEDS_TWINS if shares and not n_twins else ""
