"""`mini-transfer`: words of equal meaning enter alike, so that most of what is told in English is known elsewhere."""

from __future__ import annotations

from semhub.lab.recipe import WIDE, Truth
from semhub.lab.recipes.mini import RECIPE as MINI

RECIPE = MINI.small(
    name="mini-transfer",
    summary="The English hub of mini, and words of every type that enter as their English words do: facts carry over",
    truth=Truth(P1="yes", P2="yes", P3="yes"),
    shared_words=True,
    steps=800,
    **WIDE,
)
