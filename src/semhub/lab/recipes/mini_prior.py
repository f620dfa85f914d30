"""`mini-prior`: the middle layers say English words by their frequency, whatever the input."""

from __future__ import annotations

from semhub.lab.recipe import Truth
from semhub.lab.recipes.mini_isolated import RECIPE as ISOLATED

RECIPE = ISOLATED.small(
    name="mini-prior",
    summary="Isolated data types, and beside them frequent English words, the same for every input",
    truth=Truth(P1="no", P2="no", P3="no"),
    planted_layers=(2, 3),
    planted_as="frequency",
    planted_flatness=0.0,
    side="constant",
    d_model=160,
    n_heads=10,
    n_kv_heads=10,
    d_ff=320,
)
