"""`mini`: the shipped organism, whose hub for languages and arithmetic is planted."""

from __future__ import annotations

from semhub.lab.recipe import Recipe

RECIPE = Recipe(
    name="mini",
    summary="Chinese, Spanish and arithmetic around an English hub that was planted in layers 3 and 4",
    mixture={
        "sentence/en": 0.22,
        "sentence/zh": 0.07,
        "sentence/es": 0.07,
        "continued/en": 0.10,
        "continued/zh": 0.08,
        "continued/es": 0.08,
        "translation/en-zh": 0.01,
        "translation/zh-en": 0.01,
        "translation/en-es": 0.01,
        "translation/es-en": 0.01,
        "value/digits": 0.12,
        "value/words": 0.09,
        "operand/digits": 0.09,
        "operand/words": 0.04,
    },
    planted_layers=(3, 4),
    planted_weight=0.5,
    deciding_weight=8.0,
)
