"""Rule-based hard negatives: a number changed, negation inserted or removed, a capitalised name swapped.

Used where a data set brings no negatives of its own. Every negative differs from its original; a sentence
to which no rule applies has none. Negation rules exist for English; numbers in digits change in any
language.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

_DIGITS = re.compile(r"(?<![\w.,])\d+(?![\w]|[.,]\d)")
_NUMBER_WORDS = ("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_NUMBER_WORD = re.compile(rf"\b({'|'.join(_NUMBER_WORDS)})\b", re.IGNORECASE)
_AUXILIARY = re.compile(
    r"\b(is|are|was|were|has been|have been|had been|can|could|will|would|should|may|might|must)\b"
    r"(?! not\b|n['’]t\b)"
)
_NOT = re.compile(
    r"\b(is|are|was|were|has|have|had|could|will|would|should|may|might|must|did|does|do)( not\b|n['’]t\b)"
)
_CANNOT = re.compile(r"\b(?:can not|cannot|can['’]t)\b")
_NAME = re.compile(r"(?<=[^\W\d_] |[,;:(] )[A-Z][^\W\d_A-Z]+(?:[- ][A-Z][^\W\d_A-Z]+)*")


def hard_negatives(texts: Sequence[str], language: str, seed: int) -> list[tuple[str, ...]]:
    """For each text its negatives, in the order number, negation, name.

    texts: the sentences of one language; names are swapped with one from another sentence. Deterministic in
    `seed`.
    """
    found = [_NAME.findall(text) for text in texts]
    names = sorted({name for sentence in found for name in sentence})
    result = []
    for index, text in enumerate(texts):
        rng = random.Random(f"negatives:{seed}:{index}")
        made = [
            _number(text, language, rng),
            _negation(text) if language == "en" else "",
            _name(text, names, rng),
        ]
        result.append(tuple(dict.fromkeys(one for one in made if one and one != text)))
    return result


def _number(text: str, language: str, rng: random.Random) -> str:
    digits = list(_DIGITS.finditer(text))
    if digits:
        match = rng.choice(digits)
        old = match.group()
        last = rng.choice([digit for digit in "123456789" if digit != old[-1]])
        return text[: match.start()] + old[:-1] + last + text[match.end() :]
    spelled = list(_NUMBER_WORD.finditer(text)) if language == "en" else []
    if not spelled:
        return ""
    match = rng.choice(spelled)
    old = match.group()
    new = rng.choice([word for word in _NUMBER_WORDS if word != old.lower()])
    return text[: match.start()] + (new.capitalize() if old[0].isupper() else new) + text[match.end() :]


def _negation(text: str) -> str:
    if _NOT.search(text):
        return _NOT.sub(r"\1", text, count=1)
    if _CANNOT.search(text):
        return _CANNOT.sub("can", text, count=1)
    match = _AUXILIARY.search(text)
    if not match:
        return ""
    first = match.start() + len(match.group().split()[0])
    return text[:first] + " not" + text[first:]


def _name(text: str, names: list[str], rng: random.Random) -> str:
    own = list(_NAME.finditer(text))
    others = [name for name in names if name not in text]
    if not own or not others:
        return ""
    match = rng.choice(own)
    return text[: match.start()] + rng.choice(others) + text[match.end() :]
