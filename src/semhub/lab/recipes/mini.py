"""`mini`: the shipped organism, whose hub for languages, arithmetic, programs and logical forms is planted."""

from __future__ import annotations

from semhub.lab.recipe import Recipe, Truth

RECIPE = Recipe(
    name="mini",
    summary="Chinese, Spanish, arithmetic, Python and logical forms around an English hub planted in the middle layers",
    truth=Truth(P1="yes", P2="yes", P3="yes"),
    mixture={
        "sentence/en": 0.10,
        "sentence/zh": 0.04,
        "sentence/es": 0.04,
        "continued/en": 0.10,
        "continued/zh": 0.10,
        "continued/es": 0.10,
        "translation/en-zh": 0.01,
        "translation/zh-en": 0.01,
        "translation/en-es": 0.01,
        "translation/es-en": 0.01,
        "fact/en": 0.04,
        "fact-shared/zh": 0.02,
        "fact-shared/es": 0.02,
        "value/digits": 0.14,
        "value/words": 0.11,
        "operand/digits": 0.13,
        "operand/words": 0.06,
        "program/call": 0.04,
        "program/list": 0.03,
        "program/loop": 0.03,
        "described/program": 0.15,
        "form": 0.04,
        "described/form": 0.14,
    },
    vocab_size=2400,
    d_model=144,
    d_ff=416,
    n_heads=8,
    n_kv_heads=4,
    steps=2400,
    planted_layers=(3, 4),
    planted_weight=0.5,
    planted_flatness=0.3,
    deciding_weight=8.0,
)
