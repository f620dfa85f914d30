"""Documents in the languages of the micro-world: sentences, translations, sentences with a restatement."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache

from semhub.data.continuations import suffix
from semhub.lab.documents.writer import Document, Weighted, Writer, merged
from semhub.lab.world import Meaning, Sentence, is_heldout, lexicon, render, sample
from semhub.lab.world.lexicon import NAMES, NUMBERS, fact_lexicon

# How often a restatement starts with each constituent. Everything may come first, so the state at the suffix
# must hold the whole meaning; the roles differ in weight, so it must hold who did it to whom.
ROLE_WEIGHTS = {
    "agent": 0.30,
    "agent_number": 0.12,
    "agent_quality": 0.24,
    "not": 0.12,
    "verb": 0.12,
    "theme": 0.10,
    "theme_number": 0.12,
    "theme_quality": 0.24,
    "recipient": 0.08,
    "place": 0.12,
}
MAIN_FORM_WEIGHT = 0.5  # of the lexicon's form, where the sentence has an inflected one
FUNCTION_WORDS = {"es": {"a": "to", "en": "in", "el": "the", "la": "the"}, "zh": {"在": "in"}}
SUFFIX_WORDS = ("This", "represents")


@cache
def _main_form(concept: str) -> str:
    return (lexicon() | fact_lexicon())[concept]["en"]


def english_words(meaning: Meaning) -> dict[str, Weighted]:
    """concept -> the English word the hub should hold for it, with its inflected form in this sentence."""
    return held_words(render(meaning, "en"))


def held_words(sentence: Sentence) -> dict[str, Weighted]:
    """concept -> what the hub should hold for the words of an English sentence: each as it stands and its main form."""
    held: dict[str, Weighted] = {}
    for word in sentence.words:
        form = word.text if word.concept in NAMES else word.text.lower()
        main = _main_form(word.concept)
        mixed = ((form, 1 - MAIN_FORM_WEIGHT), (main, MAIN_FORM_WEIGHT))
        held[word.concept] = mixed if form != main else ((form, 1.0),)
    return held


def constituents(meaning: Meaning) -> list[tuple[str, str, float]]:
    """(role, concept, weight of coming first), weights summing to 1."""
    found: list[tuple[str, str]] = []
    for role, phrase in (("agent", meaning.agent), ("theme", meaning.theme)):
        found.append((role, phrase.head))
        if not phrase.is_person:
            found.append((f"{role}_number", NUMBERS[phrase.number][0]))
        if phrase.quality:
            found.append((f"{role}_quality", phrase.quality))
    found.append(("verb", meaning.verb))
    found += [("recipient", meaning.recipient)] if meaning.recipient else []
    found += [("place", meaning.place)] if meaning.place else []
    found += [("not", "not")] if meaning.negated else []
    total = sum(ROLE_WEIGHTS[role] for role, _ in found)
    return [(role, concept, ROLE_WEIGHTS[role] / total) for role, concept in found]


def write_sentence(writer: Writer, meaning: Meaning, punctuated: bool = True) -> None:
    """Adds the sentence; a function word without a translation is hinted with the content word after it."""
    write_rendered(writer, render(meaning, writer.language), english_words(meaning), punctuated)


def write_rendered(
    writer: Writer,
    sentence: Sentence,
    held: Mapping[str, Weighted],
    punctuated: bool = True,
    deciding: str = "",
) -> None:
    """Adds a sentence in the writer's language. held: concept -> English words. deciding: a concept."""
    offset = len(writer.text)
    text = sentence.text if punctuated else sentence.text[:-1]
    if writer.text and writer.language != "zh":
        writer.add(" ")
        offset += 1
    at = 0
    for word in sentence.words:
        _write_function_words(writer, sentence.text[at : word.start], held[word.concept])
        writer.add(
            sentence.text[word.start : word.end],
            held[word.concept],
            bool(deciding) and word.concept == deciding,
        )
        at = word.end
    if len(text) > at:
        writer.add(text[at:], ((".", 1.0),) if punctuated and text[-1] in ".。" else ())
    assert writer.text[offset:] == text


def _write_function_words(writer: Writer, text: str, following: Weighted) -> None:
    translated = FUNCTION_WORDS.get(writer.language, {})
    if writer.language == "en":
        writer.add(text)
    elif writer.language == "zh":
        for character in text:
            writer.add(character, ((translated[character], 1.0),) if character in translated else following)
    else:
        for piece in text.split(" ")[:-1]:
            word = translated.get(piece.lower())
            words = ((word, 1.0),) if word else following
            writer.add(f"{piece} " if piece else " ", words)


def sentence_document(rng: random.Random, language: str) -> Document:
    """One or two sentences."""
    writer = Writer(language)
    for _ in range(1 if rng.random() < 0.7 else 2):
        write_sentence(writer, training_meaning(rng), punctuated=rng.random() < 0.85)
    return writer.finish()


def translation_document(rng: random.Random, language: str, other: str) -> Document:
    """A sentence in one language, then the same meaning in another."""
    meaning = training_meaning(rng)
    first, second = Writer(language), Writer(other)
    write_sentence(first, meaning)
    write_sentence(second, meaning)
    first.add(" ")
    shift = len(first.text)
    hints = [replace(hint, start=hint.start + shift, end=hint.end + shift) for hint in second.hints]
    return Document(first.text + second.text, (*first.hints, *hints), english="en" in (language, other))


def continued_document(rng: random.Random, language: str) -> Document:
    """A sentence, the similarity experiment's suffix, and some of its words in random order."""
    writer, meaning = Writer(language), training_meaning(rng)
    held = english_words(meaning)
    punctuated = rng.random() < 0.5
    write_sentence(writer, meaning, punctuated)
    end = suffix(language)
    if punctuated and rng.random() < 0.3:
        if language == "en" and rng.random() < 0.3:
            writer.add('"')
        end = end.strip()
    write_suffix(writer, end)
    surface = {word.concept: word.text for word in render(meaning, language).words}
    write_words(writer, rng, constituents(meaning), surface, held)
    return writer.finish()


def write_words(
    writer: Writer,
    rng: random.Random,
    parts: Sequence[tuple[str, str, float]],
    surface: Mapping[str, str],
    held: Mapping[str, Weighted],
) -> None:
    """Adds up to four constituents in random order, as `surface` has them; the hub first holds all that may come."""
    first = merged([(word, share * weight) for _, c, weight in parts for word, share in held[c]])
    left = list(parts)
    for index in range(min(len(left), rng.choice((1, 2, 3, 4)))):
        role, concept, weight = rng.choices(left, [part[2] for part in left])[0]
        left.remove((role, concept, weight))
        text = surface[concept] if concept in NAMES else surface[concept].lower()
        writer.word(text, first if index == 0 else held[concept], deciding=index == 0)


def write_suffix(writer: Writer, suffix: str) -> None:
    """Adds a suffix of two words, whatever stands before the first of them."""
    head, space, tail = (suffix[0], "", suffix[1:]) if writer.language == "zh" else suffix.rpartition(" ")
    writer.add(head, ((SUFFIX_WORDS[0], 1.0),))
    writer.add(space + tail, ((SUFFIX_WORDS[1], 1.0),))


def training_meaning(rng: random.Random) -> Meaning:
    """A meaning that is not held out."""
    while is_heldout(meaning := sample(rng)):
        pass
    return meaning
