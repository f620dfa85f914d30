"""The cases of language.steer on generated data: the English difference of two sentences that differ in one word.

Source: the micro-world (semhub.lab.world), generated from a seed; a consequence test in place of the paper's sentiment
(Wu et al. 2024, arXiv 2411.04986), whose texts have no generated counterpart. Licence, version: the micro-world's.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass

from semhub.data.continuations import continued
from semhub.data.items import merge
from semhub.lab import world
from semhub.lab.world import Meaning
from semhub.lab.world.lexicon import NAMES
from semhub.types import Content, Kept, Place, StateDifference, SteerCase

POOL = 40  # meanings at least, among which to find a wrong concept

NO_CHANGE = "no near miss differs in one word that stands nowhere else in the sentence"
NO_OTHER = "no other sentence with another change"


@dataclass(frozen=True, slots=True)
class Change:
    """A meaning and a near miss, which says the concept `new` where the meaning says `old`."""

    meaning: Meaning
    near: Meaning
    old: str
    new: str


def cases(n: int, seed: int, language: str, dominant: str) -> tuple[list[SteerCase], Kept]:
    """A case for each of `n` held-out meanings: its sentence in `language`, continued, and one word changed.

    The hypothesis is the change in the dominant language, read at the end of the continued sentences; `native` is the
    same change in `language`, `wrong_concept` another sentence's change, of other words.
    """
    meanings = world.meanings(max(n, POOL), seed, split="heldout")
    pool = [change(meaning, (dominant, language), seed) for meaning in meanings]
    found: list[SteerCase] = []
    dropped = Counter[str]()
    for index, one in enumerate(pool[:n]):
        if one is None:
            dropped[NO_CHANGE] += 1
            continue
        rng = random.Random(f"wrong change:{seed}:{one.meaning.key}")
        others = [other for other in pool if other and not {other.old, other.new} & {one.old, one.new}]
        if not others:
            dropped[NO_OTHER] += 1
            continue
        text = continued(world.render(one.meaning, language).text, language)
        found.append(
            SteerCase(
                case_id=f"micro-world:{index}",
                cluster_id=one.meaning.key,
                content=Content.of(text),
                at=len(text),
                directions={
                    "hypothesis": _difference(one, dominant),
                    "native": _difference(one, language),
                    "wrong_concept": _difference(rng.choice(others), dominant),
                },
                new=(_word(one.near, one.new, language),),
                old=(_word(one.meaning, one.old, language),),
            )
        )
    return found, Kept(n, merge(dropped))


def change(meaning: Meaning, languages: tuple[str, ...], seed: int) -> Change | None:
    """One of the meaning's near misses, drawn from the seed, that changes a single word in all of the languages.

    Not one whose old or new word the sentence has in another place too, which would leave it true or make it so twice.
    """
    able = []
    for near in world.negatives(meaning):
        changed = {_changed(meaning, near, language) for language in languages}
        if len(changed) == 1 and (words := changed.pop()):
            able.append(Change(meaning, near, *words))
    return random.Random(f"change:{seed}:{meaning.key}").choice(able) if able else None


def _changed(meaning: Meaning, near: Meaning, language: str) -> tuple[str, str] | None:
    """The concept that is replaced and the one in its place, if that is all that changes."""
    one, two = ([word.concept for word in world.render(some, language).words] for some in (meaning, near))
    if len(one) != len(two):
        return None
    found = [pair for pair in zip(one, two, strict=True) if pair[0] != pair[1]]
    if len(found) != 1 or found[0][0] in two or found[0][1] in one:
        return None
    return found[0]


def _difference(one: Change, language: str) -> StateDifference:
    texts = (continued(world.render(some, language).text, language) for some in (one.near, one.meaning))
    return StateDifference(*((Place(Content.of(text), len(text)),) for text in texts))


def _word(meaning: Meaning, concept: str, language: str) -> str:
    """The word as a restatement has it: names as they are, all others without a capital."""
    (text,) = (word.text for word in world.render(meaning, language).words if word.concept == concept)
    return text if concept in NAMES else text.lower()
