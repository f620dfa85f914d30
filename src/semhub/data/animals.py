"""The animals that a label names, which of them are mammals, and near misses of a label.

Source: this project. The words, with their plurals, are in animals.json; the `common` ones are likely to be one token.
"""

from __future__ import annotations

import json
import random
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from semhub.data import nouns
from semhub.types import SteerCase

NEAR_MISSES = 2  # of each label


@dataclass(frozen=True, slots=True)
class Animal:
    """An animal by its usual word, lower case."""

    word: str
    mammal: bool


@dataclass(frozen=True, slots=True)
class _Name:
    start: int
    end: int
    animal: Animal | None
    plural: bool = False


def named(label: str) -> tuple[Animal, ...]:
    """The animals that the label names, each once, in order: no bird in a mynah bird, no mouse in a mouse click."""
    found = (one.animal for one in _names(label, instruments=False))
    return tuple(dict.fromkeys(animal for animal in found if animal is not None))


def common(mammal: bool) -> tuple[Animal, ...]:
    """Mammals, or others, whose words are short and frequent."""
    return tuple(one for one in (_known()[word][0] for word in _table()["common"]) if one.mammal == mammal)


def is_common(animal: Animal) -> bool:
    """Whether its word is short and frequent."""
    return animal.word in _table()["common"]


def near_misses(label: str, rng: random.Random) -> tuple[str, ...]:
    """At most NEAR_MISSES labels with the one animal or instrument that it names replaced; none where there are more.

    A mammal becomes an animal that is none, and the other way round, so that the new label is never true as well.
    """
    found = _names(label, instruments=True)
    if len(found) != 1:
        return ()
    (one,) = found
    if one.animal is None:
        own = set(label.lower().split())
        able = [name for name in _table()["drawn instruments"] if name not in own]
    else:
        others = common(not one.animal.mammal)
        able = [_table()[_group(other)][other.word][0][one.plural] for other in others]
    drawn = rng.sample(able, min(NEAR_MISSES, len(able)))
    return tuple(nouns.article(label[: one.start], new) + new + label[one.end :] for new in drawn)


def parse_answer(steered: str, unsteered: str, case: SteerCase) -> str:
    """`success`: the first word of the text is the new answer; `unchanged`: the old one.

    `unparseable`: it is neither Yes nor No. `skip`: the unsteered text does not begin with the old answer.
    """
    said, before = _first_word(steered), _first_word(unsteered)
    if before not in case.old:
        return "skip"
    return "success" if said in case.new else "unchanged" if said in case.old else "unparseable"


def _first_word(text: str) -> str:
    found = re.search(r"[^\W_]+", text)
    return found[0].capitalize() if found else ""


def _names(label: str, instruments: bool) -> list[_Name]:
    known = _known()
    listed = (*_table()["drawn instruments"], *_table()["other instruments"]) if instruments else ()
    found = []
    for match in _pattern(instruments).finditer(label):
        word = " ".join(match[0].lower().split())
        if word in known:
            animal, plural = known[word]
            found.append(_Name(match.start(), match.end(), animal, plural))
        elif word in listed:
            found.append(_Name(match.start(), match.end(), None))
    return found


def _group(animal: Animal) -> str:
    return "mammals" if animal.mammal else "others"


@cache
def _table() -> dict[str, Any]:
    table: dict[str, Any] = json.loads(
        files("semhub.data").joinpath("animals.json").read_text(encoding="utf-8")
    )
    return table


@cache
def _known() -> dict[str, tuple[Animal, bool]]:
    """A name, or its plural -> the animal, and whether it is a plural that differs from the singular."""
    known: dict[str, tuple[Animal, bool]] = {}
    for group in ("mammals", "others"):
        for word, pairs in _table()[group].items():
            animal = Animal(word, group == "mammals")
            for singular, plural in pairs:
                known.setdefault(plural, (animal, True))
                known[singular] = (animal, False)
    return known


@cache
def _pattern(instruments: bool) -> Any:
    table = _table()
    more = (*table["drawn instruments"], *table["other instruments"]) if instruments else ()
    return nouns.pattern((*_known(), *table["not"], *more))
