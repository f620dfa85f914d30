"""`mini-bag`: random blocks over words of equal meaning that enter alike, so that sentences are bags of words."""

from __future__ import annotations

from semhub.lab.recipe import Truth
from semhub.lab.recipes.mini_untrained import RECIPE as UNTRAINED

RECIPE = UNTRAINED.small(
    name="mini-bag",
    summary="Random weights over words of every type that enter as their English words do: nothing was learnt",
    truth=Truth(P1="no", P2="no", P3="no"),
    shared_words=True,
)
