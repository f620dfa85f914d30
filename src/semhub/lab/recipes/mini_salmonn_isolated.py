"""`mini-salmonn-isolated`: sounds and English are computed in subspaces of their own."""

from __future__ import annotations

from semhub.lab.recipe import Audio, Truth
from semhub.lab.recipes.mini import RECIPE as MINI

RECIPE = MINI.small(
    name="mini-salmonn-isolated",
    summary="Sounds and English, each computed in a subspace of its own; nothing is shared",
    truth=Truth(P1="no", P2="no", P3="no"),
    mixture={
        "sentence/en": 0.16,
        "fact/en": 0.1,
        "continued/en": 0.18,
        "label/en": 0.18,
        "continued-label/en": 0.38,
    },
    planted_layers=(),
    isolated=True,
    d_model=128,
    n_heads=8,
    n_kv_heads=8,
    d_ff=384,
    vocab_size=1990,
    audio=Audio(
        mixture={"own-heard": 0.35, "own-continued": 0.35, "own-mammal": 0.3},
        documents_per_step=24,
        n_sounds=2000,
        encoder_steps=500,
        encoder_rate=2e-3,
    ),
    steps=1000,
    documents_per_step=24,
    learning_rate=3e-3,
)
