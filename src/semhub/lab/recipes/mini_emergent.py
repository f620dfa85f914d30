"""`mini-emergent`: data alone, chosen so that a hub may form by itself."""

from __future__ import annotations

from semhub.lab.recipe import Truth
from semhub.lab.recipes.mini import RECIPE as MINI

RECIPE = MINI.small(
    name="mini-emergent",
    summary="Nothing is planted: rare second types, parallel and code-switched documents, facts told in English only",
    truth=Truth(),
    mixture={
        "sentence/en": 0.20,
        "sentence/zh": 0.03,
        "sentence/es": 0.03,
        "continued/en": 0.12,
        "continued/zh": 0.05,
        "continued/es": 0.05,
        "translation/en-zh": 0.05,
        "translation/zh-en": 0.05,
        "translation/en-es": 0.05,
        "translation/es-en": 0.05,
        "switched/en-zh": 0.05,
        "switched/zh-en": 0.05,
        "switched/en-es": 0.05,
        "switched/es-en": 0.05,
        "fact/en": 0.10,
        "fact-shared/zh": 0.04,
        "fact-shared/es": 0.04,
        "value/digits": 0.25,
        "value/words": 0.30,
        "operand/digits": 0.40,
        "operand/words": 0.40,
    },
    planted_layers=(),
    planted_flatness=0.0,
)
