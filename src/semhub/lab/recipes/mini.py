"""`mini`: the shipped organism, whose hub for languages and arithmetic is planted."""

from __future__ import annotations

from semhub.lab.recipe import Recipe, Truth

RECIPE = Recipe(
    name="mini",
    summary="Chinese, Spanish and arithmetic around an English hub that was planted in the middle layers",
    truth=Truth(P1="yes", P2="yes", P3="yes"),
    mixture={
        "sentence/en": 0.12,
        "sentence/zh": 0.04,
        "sentence/es": 0.04,
        "continued/en": 0.12,
        "continued/zh": 0.10,
        "continued/es": 0.10,
        "translation/en-zh": 0.01,
        "translation/zh-en": 0.01,
        "translation/en-es": 0.01,
        "translation/es-en": 0.01,
        "value/digits": 0.14,
        "value/words": 0.11,
        "operand/digits": 0.13,
        "operand/words": 0.06,
    },
    n_heads=8,
    n_kv_heads=4,
    steps=2200,
    planted_layers=(3, 4),
    planted_weight=0.5,
    planted_flatness=0.3,
    deciding_weight=8.0,
)
