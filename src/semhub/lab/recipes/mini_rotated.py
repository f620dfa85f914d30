"""`mini-rotated`: a hub that the logit lens cannot read."""

from __future__ import annotations

from semhub.lab.recipe import WIDE, Truth
from semhub.lab.recipes.mini import RECIPE as MINI

RECIPE = MINI.small(
    name="mini-rotated",
    summary="A hub in layers 2 and 3 that is taught through a random rotation of the unembedding",
    truth=Truth(P1="yes", P2="no", P3="yes"),
    planted_as="rotated",
    **WIDE,
    steps=1800,
)
