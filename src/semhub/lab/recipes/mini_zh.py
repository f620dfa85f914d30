"""`mini-zh`: the planted hub speaks Chinese, which has the most documents."""

from __future__ import annotations

from semhub.lab.recipe import Truth
from semhub.lab.recipes.mini import RECIPE as MINI

RECIPE = MINI.small(
    name="mini-zh",
    summary="English, Spanish and arithmetic around a Chinese hub that was planted in layers 2 and 3",
    truth=Truth(P1="yes", P2="yes", P3="yes"),
    dominant="zh",
    mixture={
        "sentence/zh": 0.12,
        "sentence/en": 0.04,
        "sentence/es": 0.04,
        "continued/zh": 0.12,
        "continued/en": 0.10,
        "continued/es": 0.10,
        "translation/en-zh": 0.01,
        "translation/zh-en": 0.01,
        "translation/zh-es": 0.01,
        "translation/es-zh": 0.01,
        "value/digits": 0.14,
        "value/words_zh": 0.11,
        "operand/digits": 0.13,
        "operand/words_zh": 0.06,
    },
)
