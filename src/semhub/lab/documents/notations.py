"""What documents of programs and of logical forms have in common: the notation, alone or beside its sentence."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from semhub.data.continuations import suffix
from semhub.lab.documents.sentences import held_words, write_rendered, write_suffix, write_words
from semhub.lab.documents.writer import Document, Weighted, Writer, merged
from semhub.lab.world import Notation, Sentence

WORDS_SHARE = 0.5  # how often words follow the suffix, not the other rendering
SEPARATORS = {"program": "\n", "form": " "}


def write_notation(writer: Writer, notation: Notation, held: Mapping[str, Weighted]) -> None:
    """Adds a notation. held: concept -> English words; what is not among them is an English word itself."""
    for stretch in notation.spoken:
        meant = [held.get(word, ((word, 1.0),)) for word in stretch.says]
        words = merged([(word, share / len(meant)) for some in meant for word, share in some])
        writer.add(stretch.text, words)


def described_document(
    rng: random.Random,
    data_type: str,
    notation: Notation,
    sentence: Sentence,
    parts: Sequence[tuple[str, str, float]],
) -> Document:
    """One rendering of a meaning, its suffix, then the other rendering or English words of it in random order.

    data_type: the notation's. parts: as `constituents` gives them.
    """
    writer = Writer("en")
    held = held_words(sentence)
    first = rng.random() < 0.5
    if first:
        write_notation(writer, notation, held)
        write_suffix(writer, suffix(data_type))
    else:
        write_rendered(writer, sentence, held)
        write_suffix(writer, suffix("en"))
    if rng.random() < WORDS_SHARE:
        surface = {word.concept: word.text for word in sentence.words}
        write_words(writer, rng, parts, surface, held)
    elif first:
        write_rendered(writer, sentence, held)
    else:
        writer.add(SEPARATORS[data_type])
        write_notation(writer, notation, held)
    return Document(writer.text, tuple(writer.hints), english=True)
