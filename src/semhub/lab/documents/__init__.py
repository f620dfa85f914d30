"""Training documents of the micro-world, each drawn from a generator, and the mixture of a recipe.

Hints say, in character spans, what the planted hub should hold while the model predicts that stretch.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from functools import partial
from itertools import permutations

from semhub.lab.documents.arithmetic import operand_document, value_document
from semhub.lab.documents.borrowed import borrowed_document
from semhub.lab.documents.facts import fact_document
from semhub.lab.documents.forms import described_form_document, form_document
from semhub.lab.documents.pictures import TEXT_KINDS as TEXTS_OF_PICTURES
from semhub.lab.documents.programs import described_program_document, program_document
from semhub.lab.documents.sentences import continued_document, sentence_document, translation_document
from semhub.lab.documents.sounds import TEXT_KINDS as TEXTS_OF_SOUNDS
from semhub.lab.documents.switched import switched_document
from semhub.lab.documents.writer import Document, Hint, Weighted
from semhub.lab.world import LANGUAGES

__all__ = ["KINDS", "Document", "Hint", "Weighted", "draw_document"]

ARITHMETIC = {"digits": "digits", "words": "en", "words_zh": "zh"}
KINDS: Mapping[str, Callable[[random.Random], Document]] = {
    **{f"sentence/{code}": partial(sentence_document, language=code) for code in LANGUAGES},
    **{f"continued/{code}": partial(continued_document, language=code) for code in LANGUAGES},
    **{
        f"translation/{a}-{b}": partial(translation_document, language=a, other=b)
        for a, b in permutations(LANGUAGES, 2)
    },
    **{f"borrowed/{code}": partial(borrowed_document, language=code) for code in LANGUAGES},
    **{f"value/{name}": partial(value_document, data_type=code) for name, code in ARITHMETIC.items()},
    **{f"operand/{name}": partial(operand_document, data_type=code) for name, code in ARITHMETIC.items()},
    **{f"fact/{code}": partial(fact_document, language=code) for code in LANGUAGES},
    **{f"fact-shared/{code}": partial(fact_document, language=code, only="shared") for code in LANGUAGES},
    **{
        f"switched/{a}-{b}": partial(switched_document, language=a, other=b)
        for a, b in permutations(LANGUAGES, 2)
    },
    "program/call": partial(program_document, shape="call"),
    "program/list": partial(program_document, shape="list"),
    "program/loop": partial(program_document, shape="loop"),
    "described/program": described_program_document,
    "form": form_document,
    "described/form": described_form_document,
    **TEXTS_OF_PICTURES,
    **TEXTS_OF_SOUNDS,
}


def draw_document(rng: random.Random, mixture: Mapping[str, float]) -> Document:
    """One document of a kind drawn by the mixture's weights."""
    kind = rng.choices(list(mixture), list(mixture.values()))[0]
    return KINDS[kind](rng)
