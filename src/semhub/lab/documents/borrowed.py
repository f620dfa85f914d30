"""Sentences with names in Latin letters and numbers in digits, alike in every language: surface that is shared."""

from __future__ import annotations

import random

from semhub.lab.documents.sentences import training_meaning
from semhub.lab.documents.writer import Document, Writer
from semhub.lab.world import Meaning, meanings, render
from semhub.lab.world.lexicon import NAMES, NUMBERS

BORROWED_SHARE = 0.5
DIGITS = {concept: str(number) for number, (concept, _, _) in NUMBERS.items()}


def borrowed(meaning: Meaning, language: str) -> str:
    """`John在公园里买了3顶帽子。`, with a space before the name."""
    sentence = render(meaning, language)
    text, at = "", 0
    for word in sentence.words:
        text += sentence.text[at : word.start]
        if word.concept in NAMES:
            text += f" {word.concept}" if language == "zh" else word.concept
        else:
            text += DIGITS.get(word.concept, word.text)
        at = word.end
    return text + sentence.text[at:]


def borrowed_document(rng: random.Random, language: str) -> Document:
    """A sentence; nothing is planted in it."""
    writer = Writer(language)
    writer.add(borrowed(training_meaning(rng), language))
    return writer.finish()


def borrowed_pairs(n: int, seed: int, language: str, dominant: str = "en") -> list[tuple[str, str]]:
    """`n` held-out meanings in both languages; half of the pairs share their names and numbers."""
    rng = random.Random(f"borrowed:{seed}")
    found = []
    for meaning in meanings(n, seed):
        if rng.random() < BORROWED_SHARE:
            found.append((borrowed(meaning, language), borrowed(meaning, dominant)))
        else:
            found.append((render(meaning, language).text, render(meaning, dominant).text))
    return found
