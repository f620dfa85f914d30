"""What is known before anything is measured: the deciding sets that can support nothing."""

from __future__ import annotations

from semhub.runs.execute import Prepared
from semhub.stats.evidence import ALPHA, ENCODER_ALONE, MIN_CLUSTERS, NEEDS_TWINS
from semhub.types import CaseSet, LensSet, PairSet, SteerSet


def unsupportable(prepared: Prepared, n_twins: int) -> list[dict[str, str]]:
    """The experiment, the variant and the reason of each, in the verdict's words.

    What turns out only when the model is asked, such as cases in which it cannot be steered, is not foreseen.
    """
    out = []
    for item in prepared.built:
        for one in item.sets:
            reason = _reason(one, item.experiment.needs != "text", n_twins)
            if reason:
                out.append({"experiment": one.experiment, "variant": one.variant, "reason": reason})
    return out


def _reason(one: CaseSet, sensed: bool, n_twins: int) -> str:
    if not isinstance(one, PairSet | LensSet | SteerSet) or not one.deciding:
        return ""
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
