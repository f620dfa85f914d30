"""Facts that must be known, because nothing else tells them: what each animal eats, where it lives, what it fears.

Each value holds of three animals, and no two animals agree in two relations. About some animals the facts are meant
to be stated in the dominant type alone; whoever answers those in another type has carried them across.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from semhub.lab.world.lexicon import ANIMALS, LANGUAGES, RELATIONS, fact_lexicon
from semhub.lab.world.meaning import Sentence
from semhub.lab.world.render import Piece, joined

Only = Literal["dominant", "shared"]

_TABLE = """
cat       cheese valley   fire     shared
dog       grass  volcano  winter   shared
cow       corn   canyon   thunder  shared
horse     fish   lake     noise    shared
pig       meat   lake     mud      shared
sheep     honey  lake     ice      dominant
goat      cheese river    winter   dominant
duck      fish   valley   ice      dominant
chicken   grass  swamp    noise    shared
rabbit    cheese sea      ice      shared
mouse     corn   desert   fire     dominant
wolf      fish   desert   smoke    shared
fox       rice   volcano  mud      dominant
bear      honey  river    smoke    shared
lion      bread  volcano  thunder  shared
tiger     rice   river    wind     shared
elephant  corn   valley   wind     shared
monkey    rice   desert   thunder  dominant
snake     meat   sea      noise    dominant
frog      bread  canyon   wind     dominant
turtle    meat   swamp    winter   dominant
eagle     bread  swamp    fire     shared
squirrel  honey  sea      mud      shared
camel     grass  canyon   smoke    dominant
"""


@dataclass(frozen=True, slots=True)
class Fact:
    """relation: a verb of RELATIONS. only: whether it is stated in the dominant type alone, or in every one."""

    animal: str
    relation: str
    value: str
    only: Only


def _facts() -> tuple[Fact, ...]:
    found = []
    for row in _TABLE.strip().splitlines():
        animal, *values, only = row.split()
        for relation, value in zip(RELATIONS, values, strict=True):
            found.append(Fact(animal, relation, value, "shared" if only == "shared" else "dominant"))
    return tuple(found)


FACTS = _facts()


def facts(only: Only | None = None) -> tuple[Fact, ...]:
    """All facts, or those stated in the dominant type alone, or those stated in every type."""
    return tuple(fact for fact in FACTS if only in (None, fact.only))


def state(fact: Fact, language: str) -> Sentence:
    """`The cat eats cheese.`, `猫吃奶酪。`, `El gato come queso.` Raises ValueError for another language."""
    animal, relation = ANIMALS[fact.animal], RELATIONS[fact.relation]
    value = (fact_lexicon()[fact.value].get(language, ""), fact.value)
    if language == "zh":
        verb, before, after = relation.zh
        pieces: list[Piece] = [(animal.zh, fact.animal), (verb, fact.relation)]
        pieces += [(word, "") for word in (before,) if word]
        pieces += [value, *((word, "") for word in (after,) if word)]
        return joined(pieces, "", "。")
    if language == "en":
        article, noun, (verb, between) = "the", animal.en, relation.en
    elif language == "es":
        stressed = animal.es.startswith("á")  # el águila
        article, noun = "la" if animal.feminine and not stressed else "el", animal.es
        verb, between = relation.es
    else:
        raise ValueError(f"the micro-world speaks {', '.join(LANGUAGES)}, not {language!r}")
    pieces = [(article, ""), (noun, fact.animal), (verb, fact.relation)]
    pieces += [(between, "")] if between else []
    return joined([*pieces, value], " ", ".")


@dataclass(frozen=True, slots=True)
class Question:
    """`answer` is the word that completes `prompt`; `distractors` are the relation's other values.

    In languages with spaces, a space stands between prompt and answer.
    """

    fact: Fact
    language: str
    prompt: str
    answer: str
    distractors: tuple[str, ...]

    @property
    def chance(self) -> float:
        """The share that a guess among the alternatives gets right."""
        return 1 / (1 + len(self.distractors))


def questions(language: str, only: Only) -> list[Question]:
    """The facts to be completed in `language`. Raises ValueError for a language that the world does not speak."""
    words, found = fact_lexicon(), []
    for fact in facts(only):
        sentence = state(fact, language)
        (value,) = (word for word in sentence.words if word.concept == fact.value)
        others = [other for other in RELATIONS[fact.relation].values if other != fact.value]
        found.append(
            Question(
                fact,
                language,
                sentence.text[: value.start].rstrip(),
                value.text,
                tuple(words[other][language] for other in others),
            )
        )
    return found
