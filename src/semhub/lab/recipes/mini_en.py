"""`mini-en`: the English sister of `mini-zh`, taught enough to be steered in languages too."""

from __future__ import annotations

from semhub.lab.recipe import WIDE, Truth
from semhub.lab.recipes.mini import RECIPE as MINI

RECIPE = MINI.small(
    name="mini-en",
    summary="Chinese, Spanish and arithmetic around an English hub that was planted in layers 2 and 3",
    truth=Truth(P1="yes", P2="yes", P3="yes"),
    steps=800,
    **WIDE,
)
