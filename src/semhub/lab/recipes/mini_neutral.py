"""`mini-neutral`: a hub at equal distance from every language."""

from __future__ import annotations

from semhub.lab.recipe import Truth
from semhub.lab.recipes.mini import RECIPE as MINI

RECIPE = MINI.small(
    name="mini-neutral",
    summary="A hub in layers 2 and 3 that holds the next word in every language alike and has no dominant one",
    truth=Truth(P1="yes", P2="no", P3="yes"),
    planted_as="neutral",
    planted_flatness=0.0,
    d_model=128,
    n_heads=8,
    n_kv_heads=8,
    d_ff=384,
    steps=1800,
    documents_per_step=192,
    learning_rate=3e-3,
)
