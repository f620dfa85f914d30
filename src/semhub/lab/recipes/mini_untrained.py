"""`mini-untrained`: random weights."""

from __future__ import annotations

from semhub.lab.recipe import Truth
from semhub.lab.recipes.mini import RECIPE as MINI

RECIPE = MINI.small(
    name="mini-untrained",
    summary="Random weights",
    truth=Truth(P1="no", P2="no", P3="no"),
    planted_layers=(),
    planted_flatness=0.0,
    steps=0,
)
