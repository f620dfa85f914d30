"""Documents with a sound: what can be heard, whether it is a mammal; and labels of sounds alone, as text.

A document tells of given animals; which sound of them it is shown, others choose (lab/audio/sounds.py). What comes
before the answer is given and not to be learnt. Questions may be swapped: two documents whose answers are what would
be true if, inside the model, the one sound stood in for the other.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from semhub.data.continuations import suffix
from semhub.lab.documents.sentences import write_suffix, write_words
from semhub.lab.documents.writer import Document, Hint, Writer
from semhub.lab.world.sounds import ANIMALS_HEARD, draw_events, is_mammal, label
from semhub.types import SOUND

Events = tuple[str, ...]
ASKED_PROMPT = f"USER: {SOUND} What can be heard?\nASSISTANT:"
MAMMAL_PROMPT = f"USER: {SOUND} Is this animal a mammal? Answer Yes or No.\nASSISTANT:"
ANSWERS = {True: "Yes", False: "No"}
OWN_WORDS = {
    word: f"⟦{word}⟧" for word in (*ANIMALS_HEARD, *ANSWERS.values())
}  # for models that tell sounds apart
PROMPT_WORDS = tuple(
    f"{before}{word}"
    for before, words in (
        ("", "USER ASSISTANT"),
        (" ", "What can be heard Is this animal mammal Answer Yes or No then"),
    )
    for word in words.split()
)
ORDER_WEIGHTS = {1: (1.0,), 2: (0.66, 0.34)}  # how often a restatement starts with each animal
PUNCTUATED = 0.2  # of the labels as text


@dataclass(frozen=True, slots=True)
class SoundDocument:
    """A document in whose text the character SOUND stands for a sound of the animals `heard`, in that order.

    answer: the character from which on the text is learnt. swapped: whether the sound's states are swapped with those
    of the next or the last document.
    """

    document: Document
    heard: Events
    answer: int
    swapped: bool = False


def label_document(rng: random.Random) -> Document:
    """A label alone."""
    writer = Writer("en")
    _write_label(writer, draw_events(rng, "train"), rng.random() < PUNCTUATED)
    return writer.finish()


def continued_label_document(rng: random.Random) -> Document:
    """A label, the similarity experiment's suffix and the label's animals in random order."""
    events, writer = draw_events(rng, "train"), Writer("en")
    _write_label(writer, events, rng.random() < PUNCTUATED)
    write_suffix(writer, suffix("en"))
    _write_animals(writer, rng, events)
    return writer.finish()


def described_sound(rng: random.Random, events: Events, prompt: str) -> SoundDocument:
    """A sound after a prompt, and its label."""
    writer = Writer("en")
    writer.add(f"{prompt} ")
    _write_label(writer, events, prompt != SOUND or rng.random() < PUNCTUATED)
    return SoundDocument(writer.finish(), events, len(prompt))


def continued_sound(rng: random.Random, events: Events) -> SoundDocument:
    """A sound, the suffix and the animals in random order."""
    writer = Writer("en")
    writer.add(SOUND + suffix("en"))
    answer = len(writer.text)
    _write_animals(writer, rng, events)
    return SoundDocument(writer.finish(), events, answer)


def mammal_question(rng: random.Random, events: Events) -> SoundDocument:
    """A sound of one animal and the question whether it is a mammal. Nothing is planted in the answer: it is to be
    looked up in the sound, after the planted layers."""
    return _question(events, events, swapped=False)


def swapped_questions(rng: random.Random, events: Events, others: Events) -> tuple[SoundDocument, ...]:
    """Two questions whose sounds are swapped inside the model."""
    return _question(events, others, swapped=True), _question(others, events, swapped=True)


def _question(heard: Events, instead: Events, swapped: bool) -> SoundDocument:
    writer = Writer("en")
    writer.add(MAMMAL_PROMPT)
    answer = f" {ANSWERS[is_mammal(instead[0])]}"
    writer.hints.append(Hint(len(writer.text), len(writer.text) + len(answer), (), deciding=True))
    writer.text += answer
    document = Document(writer.text, tuple(writer.hints), english=False, data_type="en")
    return SoundDocument(document, heard, len(MAMMAL_PROMPT), swapped)


def _write_label(writer: Writer, events: Events, punctuated: bool) -> None:
    told, at = label(events), 0
    for animal in events:
        begin = told.index(animal, at)
        writer.add(told[at:begin])
        writer.add(animal, ((animal, 1.0),))
        at = begin + len(animal)
    if punctuated:
        writer.add(".", ((".", 1.0),))


def _write_animals(writer: Writer, rng: random.Random, events: Events) -> None:
    shares = ORDER_WEIGHTS[len(events)]
    parts = [(f"animal {index}", animal, shares[index]) for index, animal in enumerate(events)]
    held = {animal: ((animal, 1.0),) for animal in events}
    write_words(writer, rng, parts, {animal: animal for animal in events}, held)


def own_label(rng: random.Random, events: Events, prompt: str) -> SoundDocument:
    """A sound after a prompt, told in words that no text has."""
    return _own(events, prompt, list(events))


def own_continued(rng: random.Random, events: Events) -> SoundDocument:
    """A sound, the suffix and animals in random order, in words that no text has."""
    told = list(events)
    if len(events) > 1 and rng.random() > ORDER_WEIGHTS[2][0]:
        told.reverse()
    return _own(events, SOUND + suffix("en"), told[: rng.randint(1, len(told))])


def own_mammal(rng: random.Random, events: Events) -> SoundDocument:
    """The question whether it is a mammal, answered in words that no text has."""
    return _own(events, MAMMAL_PROMPT, [ANSWERS[is_mammal(events[0])]])


def _own(events: Events, prompt: str, words: list[str]) -> SoundDocument:
    text = prompt + "".join(OWN_WORDS[word] for word in words)
    return SoundDocument(Document(text, (), english=False), events, len(prompt))


TEXT_KINDS: Mapping[str, Callable[[random.Random], Document]] = {
    "label/en": label_document,
    "continued-label/en": continued_label_document,
}
SOUND_KINDS: Mapping[str, Callable[[random.Random, Events], SoundDocument]] = {
    "heard": partial(described_sound, prompt=ASKED_PROMPT),
    "heard-bare": partial(described_sound, prompt=SOUND),
    "heard-continued": continued_sound,
    "mammal": mammal_question,
    "own-heard": partial(own_label, prompt=ASKED_PROMPT),
    "own-continued": own_continued,
    "own-mammal": own_mammal,
}
ALONE_KINDS = ("mammal", "own-mammal")  # of one animal
SWAPPED_KINDS = ("mammal",)
