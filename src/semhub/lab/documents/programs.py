"""Documents of Python programs, and of programs beside their English description."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Literal

from semhub.lab.documents.notations import described_document, write_notation
from semhub.lab.documents.sentences import constituents, held_words, training_meaning
from semhub.lab.documents.writer import Document, Writer
from semhub.lab.world import Meaning, Notation, Phrase, is_heldout
from semhub.lab.world.events import things
from semhub.lab.world.lexicon import ANIMALS, OBJECTS, VERBS
from semhub.lab.world.programs import call, listing, loop
from semhub.lab.world.render import english

Shape = Literal["call", "list", "loop"]
DESCRIBED_SHAPES: dict[Shape, float] = {"call": 0.5, "list": 0.2, "loop": 0.3}
KEYWORDS_SHARE = 0.3  # of the programs name the parameters in the call


def program_document(rng: random.Random, shape: Shape) -> Document:
    """A function and a call of it."""
    meaning, more = draw(rng, shape)
    writer = Writer("program")
    write_notation(writer, program(rng, shape, meaning, more), held_words(english(meaning, more)))
    return writer.finish()


def described_program_document(rng: random.Random) -> Document:
    """A program with its English description, which comes before it or in a comment after it."""
    shape = rng.choices(list(DESCRIBED_SHAPES), list(DESCRIBED_SHAPES.values()))[0]
    meaning, more = draw(rng, shape)
    notation = program(rng, shape, meaning, more)
    return described_document(rng, "program", notation, english(meaning, more), constituents(meaning))


def draw(rng: random.Random, shape: Shape) -> tuple[Meaning, tuple[Phrase, ...]]:
    """A meaning and its further themes, which only lists have. None of the events is held out."""
    meaning = training_meaning(rng)
    if shape != "list":
        return meaning, ()
    while meaning.theme.is_person:
        meaning = training_meaning(rng)
    kind = ANIMALS if VERBS[meaning.verb].frame == "creature" else OBJECTS
    heads = [head for head in kind if head != meaning.agent.head]
    first, *more = (_single(rng, meaning, head) for head in rng.sample(heads, rng.choice((2, 2, 3))))
    return first, tuple(one.theme for one in more)


def program(rng: random.Random, shape: Shape, meaning: Meaning, more: tuple[Phrase, ...]) -> Notation:
    """A program of that shape, its call positional or with names."""
    keywords = rng.random() < KEYWORDS_SHARE
    if shape == "list":
        return listing(meaning, more, keywords)
    if shape == "loop":
        return loop(meaning, keywords)
    return call(meaning, keywords)


def _single(rng: random.Random, meaning: Meaning, head: str) -> Meaning:
    while is_heldout(one := replace(meaning, theme=replace(things(rng, [head]), number=1))):
        pass
    return one
