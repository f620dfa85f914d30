"""`mini-decoy`: English is written in the middle layers, but nothing ever reads it."""

from __future__ import annotations

from semhub.lab.recipe import Truth
from semhub.lab.recipes.mini_isolated import RECIPE as ISOLATED

RECIPE = ISOLATED.small(
    name="mini-decoy",
    summary="Isolated data types, and beside them English words that are written, never read and erased again",
    truth=Truth(P1="as built", P2="yes", P3="no"),
    planted_layers=(2, 3),
    side="unread",
    d_model=160,
    n_heads=10,
    n_kv_heads=10,
    d_ff=320,
    steps=400,
)
