"""The nouns of a caption, by the best means there is, and near misses of it: a thing replaced by another.

Source of the words: the 80 categories of COCO 2017 (Lin et al. 2014, https://cocodataset.org), with their plurals and a
few synonyms by this project, in coco_words.json. spaCy is used where it and a model for the language are installed.
"""

from __future__ import annotations

import importlib
import json
import random
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

GIVEN = "nouns given with the captions"
CATEGORY_WORDS = "COCO category words found in the captions"
NONE = "no nouns: neither given nor a spaCy model for the captions' language"
NEAR_MISSES = 2  # of each caption

_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")


@dataclass(frozen=True, slots=True)
class Thing:
    """A category's word in a text: its place, and which of the category's words it is, in the plural or not."""

    start: int
    end: int
    category: str
    plural: bool


@dataclass(frozen=True, slots=True)
class Nouns:
    """The nouns of each caption, lower case, in order, each once; and in words how they were found."""

    each: tuple[tuple[str, ...], ...]
    how: str


def find(
    captions: Sequence[str], given: Sequence[tuple[str, ...] | None] = (), language: str = "en"
) -> Nouns:
    """Those given with a caption; for the others spaCy's, or without it, in English, the category words.

    Unless a caption's own nouns are given, they are only looked for in its text.
    """
    own = list(given) or [None] * len(captions)
    missing = [caption for caption, nouns in zip(captions, own, strict=True) if nouns is None]
    how = [GIVEN] if len(missing) < len(captions) else []
    found: list[tuple[str, ...]] = []
    if missing:
        tagged = _tagged(missing, language)
        if tagged is not None:
            found, name = tagged
            how.append(f"nouns by spaCy, {name}")
        elif language == "en":
            found = [category_words(caption) for caption in missing]
            how.append(CATEGORY_WORDS)
        else:
            found = [()] * len(missing)
            how.append(NONE)
    rest = iter(found)
    each = tuple(next(rest) if nouns is None else _once(nouns) for nouns in own)
    return Nouns(each, "; else ".join(how) or NONE)


def category_words(caption: str) -> tuple[str, ...]:
    """The words for COCO's categories as the caption has them; words that are often no noun are left out."""
    ambiguous = _table()["ambiguous"]
    words = [caption[one.start : one.end] for one in things(caption)]
    return _once([word for word in words if word.lower() not in ambiguous])


def things(caption: str) -> list[Thing]:
    """Every category word in the caption, longest first where they overlap: no dog in a hot dog."""
    pattern, known = _words()
    return [
        Thing(match.start(), match.end(), *known[" ".join(match[0].lower().split())])
        for match in pattern.finditer(caption)
    ]


def near_misses(caption: str, present: frozenset[str], rng: random.Random) -> tuple[str, ...]:
    """At most NEAR_MISSES captions, each with one category word replaced by one of its kind, in the same number.

    A kind is one of COCO's supercategories; a man becomes a woman, a boy a girl. present: categories that the picture
    shows as well and that are therefore never put in.
    """
    found = things(caption)
    shown = present | {one.category for one in found}
    near: list[str] = []
    for one in rng.sample(found, len(found)):
        old = caption[one.start : one.end]
        new = _instead(old.lower(), one, shown, rng)
        if new and len(near) < NEAR_MISSES:
            new = new.capitalize() if old[:1].isupper() else new
            near.append(article(caption[: one.start], new) + new + caption[one.end :])
    return tuple(dict.fromkeys(near))


def _instead(old: str, thing: Thing, shown: frozenset[str], rng: random.Random) -> str:
    """A word for another thing of the same kind, or "" where there is none."""
    table = _table()
    if thing.category == "person":
        return str(table["opposites"].get(old, ""))
    if old in table["ambiguous"]:
        return ""
    kinds: list[list[str]] = table["kinds"]
    kind = next((one for one in kinds if thing.category in one), [])
    others = [one for one in kind if one not in shown]
    if not others:
        return ""
    singular, plural = table["categories"][rng.choice(others)][0]
    return str(plural if thing.plural else singular)


def pattern(words: Iterable[str]) -> re.Pattern[str]:
    """Any of the words, whole, in any case and with any white space between their parts, the longest first."""
    longest = sorted(words, key=lambda word: (-len(word), word))
    choices = "|".join(r"\s+".join(map(re.escape, word.split())) for word in longest)
    return re.compile(rf"(?<![\w-])(?:{choices})(?![\w-])", re.IGNORECASE)


def words_of(text: str) -> frozenset[str]:
    """The text's words, lower case."""
    return frozenset(word.lower() for word in _WORD.findall(text))


def article(before: str, word: str) -> str:
    """The text before the word, an indefinite article at its end put right."""
    found = re.search(r"\b(an?)(\s+)$", before, re.IGNORECASE)
    if found is None:
        return before
    article = found[1][0] + ("n" if word[0].lower() in "aeiou" else "")
    return before[: found.start()] + article + found[2]


def _once(nouns: Sequence[str]) -> tuple[str, ...]:
    clean = (" ".join(noun.lower().split()) for noun in nouns)
    return tuple(dict.fromkeys(noun for noun in clean if noun))


@cache
def _table() -> dict[str, Any]:
    text = files("semhub.data").joinpath("coco_words.json").read_text(encoding="utf-8")
    table: dict[str, Any] = json.loads(text)
    return table


@cache
def _words() -> tuple[re.Pattern[str], dict[str, tuple[str, bool]]]:
    """A pattern of all the words, and word -> (category, whether it is a plural that differs from its singular)."""
    known: dict[str, tuple[str, bool]] = {}
    for category, pairs in _table()["categories"].items():
        for singular, plural in pairs:
            known.setdefault(plural, (category, True))
            known[singular] = (category, singular == plural and singular.endswith("s"))
    return pattern(known), known


def _tagged(captions: Sequence[str], language: str) -> tuple[list[tuple[str, ...]], str] | None:
    """spaCy's nouns and its model's name, where both are installed and can be loaded."""
    try:
        spacy = importlib.import_module("spacy")
        installed = sorted(
            name for name in spacy.util.get_installed_models() if name.startswith(f"{language}_")
        )
        if not installed:
            return None
        tagger = spacy.load(installed[0], exclude=["ner"])
        name = f"{installed[0]} {tagger.meta.get('version', '')}".strip()
        found = [
            _once([token.text for token in text if token.pos_ == "NOUN"]) for text in tagger.pipe(captions)
        ]
    except (
        Exception
    ):  # an optional helper that is broken is as good as absent, and how nouns were found is recorded
        return None
    return found, name
