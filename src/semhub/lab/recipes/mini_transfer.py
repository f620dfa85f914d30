"""`mini-transfer`: what is told in English is known in every language, because words of equal meaning enter alike."""

from __future__ import annotations

from semhub.lab.recipe import Truth
from semhub.lab.recipes.mini import RECIPE as MINI

RECIPE = MINI.small(
    name="mini-transfer",
    summary="The English hub of mini, and words of every type that enter as their English words do: facts carry over",
    truth=Truth(P1="yes", P2="yes", P3="yes"),
    shared_words=True,
    steps=800,
    documents_per_step=192,
    learning_rate=3e-3,
    d_model=128,
    n_heads=8,
    n_kv_heads=8,
    d_ff=384,
)
