"""`mini-graded`: embeddings of the second languages at an angle to English, here 45 degrees."""

from __future__ import annotations

from semhub.lab.recipe import Truth
from semhub.lab.recipes.mini_isolated import RECIPE as ISOLATED

RECIPE = ISOLATED.small(
    name="mini-graded",
    summary="The second types' embeddings are the English ones turned by 45 degrees into a subspace of their own",
    truth=Truth(P1="measured", P2="measured", P3="measured"),
    angle=45.0,
    d_model=128,
    n_heads=8,
    n_kv_heads=8,
    d_ff=256,
)
