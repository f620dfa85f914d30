"""Meanings as sentences: true word order and agreement of each language, and where the content words lie."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from semhub.lab.world.lexicon import NAMES, NEGATION, NOUNS, NUMBERS, PLACES, PROPERTIES, VERBS
from semhub.lab.world.meaning import Meaning, Phrase, Sentence, Word

Piece = tuple[str, str]  # (surface text, concept; empty for a function word)


def english(meaning: Meaning, more: Sequence[Phrase] = ()) -> Sentence:
    """`Two black cats did not chase John in the park.` `more` are further themes, joined by "and"."""
    verb = VERBS[meaning.verb]
    pieces = english_phrase(meaning.agent)
    if meaning.negated:
        pieces += [("did", ""), (NEGATION["en"], "not"), (verb.en, verb.en)]
    else:
        pieces.append((verb.en_past, verb.en))
    pieces += english_phrase(meaning.theme)
    for phrase in more:
        pieces += [("and", ""), *english_phrase(phrase)]
    if meaning.recipient:
        pieces += [("to", ""), (meaning.recipient, meaning.recipient)]
    if meaning.place:
        place = PLACES[meaning.place]
        pieces += [(place.en_before, ""), ("the", ""), (place.en, meaning.place)]
    return joined(pieces, " ", ".")


def spanish(meaning: Meaning) -> Sentence:
    """`Dos gatos negros no persiguieron a Juan en el parque.` Verb, noun and adjective agree."""
    verb = VERBS[meaning.verb]
    pieces = _spanish_phrase(meaning.agent)
    if meaning.negated:
        pieces.append((NEGATION["es"], "not"))
    pieces.append((verb.es_plural if meaning.agent.number > 1 else verb.es, verb.en))
    if verb.frame == "creature":
        pieces.append(("a", ""))
    pieces += _spanish_phrase(meaning.theme)
    if meaning.recipient:
        pieces += [("a", ""), (NAMES[meaning.recipient][1], meaning.recipient)]
    if meaning.place:
        place = PLACES[meaning.place]
        pieces += [("en", ""), ("la" if place.feminine else "el", ""), (place.es, meaning.place)]
    return joined(pieces, " ", ".")


def chinese(meaning: Meaning) -> Sentence:
    """`两只黑色的猫没有在公园里追赶约翰。` The place precedes the verb; negation drops the perfect mark."""
    verb = VERBS[meaning.verb]
    pieces = _chinese_phrase(meaning.agent)
    if meaning.negated:
        pieces.append((NEGATION["zh"], "not"))
    if meaning.place:
        place = PLACES[meaning.place]
        pieces += [("在", ""), (place.zh, meaning.place), (place.zh_after, "")]
    pieces.append((verb.zh, verb.en))
    if not meaning.negated:
        pieces.append(("了", ""))
    if meaning.recipient:
        pieces.append((NAMES[meaning.recipient][0], meaning.recipient))
    pieces += _chinese_phrase(meaning.theme)
    return joined(pieces, "", "。")


RENDERERS: dict[str, Callable[[Meaning], Sentence]] = {"en": english, "zh": chinese, "es": spanish}


def english_phrase(phrase: Phrase) -> list[Piece]:
    """`two black cats`, `one cat`, `John`."""
    if phrase.is_person:
        return [(phrase.head, phrase.head)]
    number, noun = NUMBERS[phrase.number][0], NOUNS[phrase.head]
    quality = [(PROPERTIES[phrase.quality].en, phrase.quality)] if phrase.quality else []
    return [(number, number), *quality, (noun.en if phrase.number == 1 else noun.en_plural, phrase.head)]


def _spanish_phrase(phrase: Phrase) -> list[Piece]:
    if phrase.is_person:
        return [(NAMES[phrase.head][1], phrase.head)]
    concept, _, number = NUMBERS[phrase.number]
    noun, plural = NOUNS[phrase.head], phrase.number > 1
    pieces = [("una" if noun.feminine and not plural else number, concept)]
    pieces.append((noun.es_plural if plural else noun.es, phrase.head))
    if phrase.quality:
        pieces.append((PROPERTIES[phrase.quality].es[2 * plural + noun.feminine], phrase.quality))
    return pieces


def _chinese_phrase(phrase: Phrase) -> list[Piece]:
    if phrase.is_person:
        return [(NAMES[phrase.head][0], phrase.head)]
    concept, number, _ = NUMBERS[phrase.number]
    noun = NOUNS[phrase.head]
    quality = [(PROPERTIES[phrase.quality].zh, phrase.quality), ("的", "")] if phrase.quality else []
    return [(number, concept), (noun.measure, ""), *quality, (noun.zh, phrase.head)]


def joined(pieces: list[Piece], separator: str, stop: str) -> Sentence:
    """The pieces as a sentence: a capital first, `separator` between them, `stop` at the end."""
    text, words = "", []
    for surface, concept in pieces:
        if text:
            text += separator
        else:
            surface = surface[0].upper() + surface[1:]
        if concept:
            words.append(Word(len(text), len(text) + len(surface), concept, surface))
        text += surface
    return Sentence(text + stop, tuple(words))
