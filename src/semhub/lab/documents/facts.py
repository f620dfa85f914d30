"""Documents of facts: in the dominant language about all animals, elsewhere only about those shared by all."""

from __future__ import annotations

import random

from semhub.lab.documents.sentences import held_words, write_rendered
from semhub.lab.documents.writer import Document, Writer
from semhub.lab.world.facts import Only, facts, state


def fact_document(rng: random.Random, language: str, only: Only | None = None) -> Document:
    """One to three facts; the value of each is the deciding stretch."""
    writer = Writer(language)
    for fact in rng.sample(facts(only), rng.choice((1, 2, 3))):
        held = held_words(state(fact, "en"))
        write_rendered(writer, state(fact, language), held, deciding=fact.value)
    return writer.finish()
