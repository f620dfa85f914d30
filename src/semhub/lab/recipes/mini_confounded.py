"""`mini-confounded`: isolated data types that share digits, names, lengths and a mean."""

from __future__ import annotations

from semhub.lab.recipe import Truth
from semhub.lab.recipes.mini_isolated import RECIPE as ISOLATED

RECIPE = ISOLATED.small(
    name="mini-confounded",
    summary="Isolated data types that have Latin names, digits, lengths and a common mean in common",
    truth=Truth(P1="no", P2="no", P3="no"),
    mixture={**ISOLATED.mixture, "borrowed/en": 0.08, "borrowed/zh": 0.08, "borrowed/es": 0.08},
    side="shared",
    d_model=160,
    n_heads=10,
    n_kv_heads=10,
    d_ff=320,
)
