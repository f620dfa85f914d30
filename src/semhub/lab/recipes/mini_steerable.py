"""`mini-steerable`: isolated data types that do what P3's cases ask for, so that a false claim is possible."""

from __future__ import annotations

from semhub.lab.recipe import Truth
from semhub.lab.recipes.mini_isolated import RECIPE as ISOLATED

RECIPE = ISOLATED.small(
    name="mini-steerable",
    summary="Isolated data types, wider and trained until the words of their own type can be steered",
    truth=Truth(P1="no", P2="no", P3="no"),
    steps=1200,
    d_model=256,
    d_ff=512,
    documents_per_step=192,
    learning_rate=3e-3,
)
