"""Documents of logical forms in the format of COGS, and of forms beside their English sentences."""

from __future__ import annotations

import random

from semhub.lab.documents.notations import described_document, write_notation
from semhub.lab.documents.sentences import constituents, held_words, training_meaning
from semhub.lab.documents.writer import Document, Writer
from semhub.lab.world import Meaning, is_heldout
from semhub.lab.world.forms import form, sayable, sentence


def form_document(rng: random.Random) -> Document:
    """One form."""
    meaning = draw(rng)
    writer = Writer("form")
    write_notation(writer, form(meaning), held_words(sentence(meaning)))
    return writer.finish()


def described_form_document(rng: random.Random) -> Document:
    """A form with its English sentence, in either order."""
    meaning = draw(rng)
    said = sentence(meaning)
    spoken = {word.concept for word in said.words}
    parts = [part for part in constituents(meaning) if part[1] in spoken]
    total = sum(weight for _, _, weight in parts)
    parts = [(role, concept, weight / total) for role, concept, weight in parts]
    return described_document(rng, "form", form(meaning), said, parts)


def draw(rng: random.Random) -> Meaning:
    """A meaning as far as a form can say it, not held out."""
    while is_heldout(meaning := sayable(training_meaning(rng))):
        pass
    return meaning
