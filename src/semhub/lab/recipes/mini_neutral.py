"""`mini-neutral`: a hub at equal distance from every language."""

from __future__ import annotations

from semhub.lab.recipe import WIDE, Truth
from semhub.lab.recipes.mini import RECIPE as MINI

RECIPE = MINI.small(
    name="mini-neutral",
    summary="A hub in layers 2 and 3 that holds the next word in every language alike and has no dominant one",
    truth=Truth(P1="yes", P2="no", P3="yes"),
    planted_as="neutral",
    planted_flatness=0.0,
    **WIDE,
    steps=1800,
)
