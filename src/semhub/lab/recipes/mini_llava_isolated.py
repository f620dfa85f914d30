"""`mini-llava-isolated`: pictures and English are computed in subspaces of their own."""

from __future__ import annotations

from semhub.lab.recipe import Truth, Vision
from semhub.lab.recipes.mini import RECIPE as MINI

RECIPE = MINI.small(
    name="mini-llava-isolated",
    summary="Pictures and English, each computed in a subspace of its own; nothing is shared",
    truth=Truth(P1="no", P2="no", P3="no"),
    mixture={
        "sentence/en": 0.16,
        "fact/en": 0.1,
        "continued/en": 0.18,
        "caption/en": 0.18,
        "continued-caption/en": 0.38,
    },
    planted_layers=(),
    isolated=True,
    d_model=128,
    n_heads=8,
    n_kv_heads=8,
    d_ff=384,
    vocab_size=1990,
    vision=Vision(
        family="llava",
        mixture={"own-caption": 0.35, "own-continued": 0.35, "own-color": 0.15, "own-colors": 0.15},
        documents_per_step=24,
        encoder_steps=1800,
        encoder_rate=1.5e-3,
        pictures_per_encoder_step=40,
    ),
    steps=2350,
    documents_per_step=24,
    learning_rate=3e-3,
)
