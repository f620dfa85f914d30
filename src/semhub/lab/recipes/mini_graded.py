"""`mini-graded`: the second types' embeddings at an angle to English, 45 degrees or what `angle` says."""

from __future__ import annotations

from semhub.lab.recipe import Truth
from semhub.lab.recipes.mini_isolated import RECIPE as ISOLATED

RECIPE = ISOLATED.small(
    name="mini-graded",
    summary="The second types' embeddings are the English ones turned by 45 degrees into a subspace of their own",
    truth=Truth(P1="measured", P2="measured", P3="measured"),
    angle=45.0,
    steps=300,
)
