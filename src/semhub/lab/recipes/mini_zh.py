"""`mini-zh`: the planted hub speaks Chinese, which has the most documents."""

from __future__ import annotations

from semhub.lab.recipe import SMALL_MIXTURE, WIDE, Truth
from semhub.lab.recipes.mini import RECIPE as MINI

ENGLISH_FIRST = (
    "sentence/en",
    "continued/en",
    "fact/en",
    "fact-shared/zh",
    "translation/en-es",
    "translation/es-en",
)
CHINESE_FIRST = (
    "sentence/zh",
    "continued/zh",
    "fact/zh",
    "fact-shared/en",
    "translation/zh-es",
    "translation/es-zh",
)
SWAPPED = {
    **dict(zip(ENGLISH_FIRST, CHINESE_FIRST, strict=True)),
    **dict(zip(CHINESE_FIRST[:2], ENGLISH_FIRST[:2], strict=True)),
    "value/words": "value/words_zh",
    "operand/words": "operand/words_zh",
}

RECIPE = MINI.small(
    name="mini-zh",
    summary="English, Spanish and arithmetic around a Chinese hub that was planted in layers 2 and 3",
    truth=Truth(P1="yes", P2="yes", P3="yes"),
    dominant="zh",
    vocab_size=2300,
    steps=800,
    **WIDE,
    mixture={SWAPPED.get(kind, kind): weight for kind, weight in SMALL_MIXTURE.items()},
)
