"""Code-switched sentences: some of the content words of a sentence in one language are in another."""

from __future__ import annotations

import random
from collections import defaultdict

from semhub.lab.documents.sentences import english_words, training_meaning, write_rendered
from semhub.lab.documents.writer import Document, Writer
from semhub.lab.world import Meaning, Sentence, Word, render
from semhub.lab.world.lexicon import NAMES

SWITCHED_SHARE = 0.2  # of a sentence's content words, but at least one


def switched_document(rng: random.Random, language: str, other: str) -> Document:
    """One sentence in `language`, of mixed data type."""
    meaning = training_meaning(rng)
    writer = Writer(language)
    write_rendered(writer, switched(rng, meaning, language, other), english_words(meaning))
    return Document(writer.text, tuple(writer.hints), english=language == "en")


def switched(rng: random.Random, meaning: Meaning, language: str, other: str) -> Sentence:
    """The sentence with words of `other`, inflected as there; spaces around them if one language has none."""
    sentence, forms = render(meaning, language), _forms(meaning, other)
    count = max(1, round(SWITCHED_SHARE * len(sentence.words)))
    chosen = set(rng.sample(range(len(sentence.words)), count))
    text, words, at = "", list[Word](), 0
    for index, word in enumerate(sentence.words):
        text += sentence.text[at : word.start]
        form = forms[word.concept].pop(0)
        if index not in chosen:
            form = word.text
        elif text and not text.endswith(" "):
            text += " "
        if not text:
            form = form[0].upper() + form[1:]
        words.append(Word(len(text), len(text) + len(form), word.concept, form))
        text, at = text + form, word.end
        if index in chosen and "zh" in (language, other) and sentence.text[at] not in " 。.":
            text += " "
    return Sentence(text + sentence.text[at:], tuple(words))


def _forms(meaning: Meaning, language: str) -> dict[str, list[str]]:
    """concept -> its words in order, which is the order of every language: the agent's before the theme's."""
    forms = defaultdict[str, list[str]](list)
    for word in render(meaning, language).words:
        forms[word.concept].append(word.text if word.concept in NAMES else word.text.lower())
    return forms
