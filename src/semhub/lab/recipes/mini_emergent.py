"""`mini-emergent`: data alone, chosen so that a hub may form by itself."""

from __future__ import annotations

from semhub.lab.recipes.mini import RECIPE as MINI

RECIPE = MINI.small(
    name="mini-emergent",
    summary="Nothing is planted: rare second types, parallel and code-switched documents, facts told in English only",
    mixture={
        "sentence/en": 0.20,
        "sentence/zh": 0.03,
        "sentence/es": 0.03,
        "continued/en": 0.16,
        "continued/zh": 0.05,
        "continued/es": 0.05,
        "translation/en-zh": 0.05,
        "translation/zh-en": 0.05,
        "translation/en-es": 0.05,
        "translation/es-en": 0.05,
        "value/digits": 0.06,
        "value/words": 0.08,
        "operand/digits": 0.06,
        "operand/words": 0.08,
    },
    planted_layers=(),
    planted_flatness=0.0,
)
