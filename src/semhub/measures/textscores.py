"""Scores of generated text: sentiment, fluency, relevance and adherence to the prompt's language.

A scorer gives a number for each text, NaN where it has none, and says why it had none. Models come in as what they
give (label probabilities, mean-pooled states, an adapter); which ones is the caller's business.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from semhub.errors import DataError, UsageError
from semhub.generate import continuation_logprobs
from semhub.models.base import Adapter, Encoded
from semhub.types import Content

Floats = NDArray[np.float64]
SENTIMENT, PERPLEXITY, RELEVANCE, ADHERENCE = "sentiment", "perplexity", "relevance", "adherence"
MEASURES = (SENTIMENT, PERPLEXITY, RELEVANCE, ADHERENCE)
NOTHING = "nothing was said"
NO_LETTERS = "no letters"
NO_WORDS = "no words of the prompt's language are known"
CROSSED = "a token crosses the seam, or none follows it"
TOO_LONG = "longer than the scorer's positions"
WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")


@dataclass(frozen=True, slots=True)
class Said:
    """A continuation: ids of prompt and continuation as they were read and generated, and their text."""

    prompt: str
    language: str
    text: str
    before: tuple[int, ...]
    after: tuple[int, ...]


class Scorer(Protocol):
    """measure: that of the rows. name: what scores, in words. unscored: reason -> texts without a score so far."""

    measure: str
    name: str
    unscored: Counter[str]

    def scores(self, said: Sequence[Said]) -> Floats:
        """One number for each text, NaN where there is none."""


class Classifier(Protocol):
    """labels: the names of its classes."""

    @property
    def name(self) -> str: ...

    @property
    def labels(self) -> Sequence[str]: ...

    def probabilities(self, texts: Sequence[str]) -> Floats:
        """[text, label]."""


class Encoder(Protocol):
    """embed: one vector for each text."""

    @property
    def name(self) -> str: ...

    def embed(self, texts: Sequence[str]) -> Floats:
        """[text, d_model]."""


@dataclass(slots=True)
class WordList:
    """(praising - blaming) / (praising + blaming) words of a text, over all languages' lists; 0 without any.

    lists: language -> (praising, blaming). Words of languages without spaces are found longest first.
    """

    lists: Mapping[str, tuple[frozenset[str], frozenset[str]]]
    measure: str = SENTIMENT
    name: str = ""
    unscored: Counter[str] = field(default_factory=Counter)
    _value: dict[str, int] = field(default_factory=dict)
    _unspaced: re.Pattern[str] | None = None

    def __post_init__(self) -> None:
        self._value = {
            word: value
            for praising, blaming in self.lists.values()
            for value, words in ((1, praising), (-1, blaming))
            for word in words
        }
        long = sorted((one for one in self._value if _unspaced(one)), key=lambda one: (-len(one), one))
        self._unspaced = re.compile("|".join(map(re.escape, long))) if long else None
        languages = ", ".join(f"{len(one) + len(two)} {code}" for code, (one, two) in self.lists.items())
        self.name = self.name or f"word list, no model ({languages} words)"

    def scores(self, said: Sequence[Said]) -> Floats:
        return np.array([self._score(one.text) for one in said], dtype=np.float64)

    def _score(self, text: str) -> float:
        if not text.strip():
            self.unscored[NOTHING] += 1
            return np.nan
        plain = unicodedata.normalize("NFC", text).casefold()
        found = [
            self._value[word] for word in WORD.findall(plain) if word in self._value and not _unspaced(word)
        ]
        if self._unspaced is not None:
            found += [self._value[word] for word in self._unspaced.findall(plain)]
        return sum(found) / len(found) if found else 0.0


@dataclass(slots=True)
class Classified:
    """P(positive) - P(negative) of a classifier. Raises UsageError for labels that do not say which is which."""

    classifier: Classifier
    measure: str = SENTIMENT
    name: str = ""
    unscored: Counter[str] = field(default_factory=Counter)
    _weights: Floats = field(default_factory=lambda: np.empty(0))

    def __post_init__(self) -> None:
        self._weights = label_values(self.classifier.labels, self.classifier.name)
        self.name = f"classifier {self.classifier.name}, P(positive) - P(negative)"

    def scores(self, said: Sequence[Said]) -> Floats:
        values = _where_text(said, self.unscored)
        texts = [one.text for one, value in zip(said, values, strict=True) if np.isfinite(value)]
        if texts:
            values[np.isfinite(values)] = self.classifier.probabilities(texts) @ self._weights
        return values


@dataclass(slots=True)
class Perplexity:
    """exp of the mean negative log-probability of a continuation's tokens given the prompt.

    same: the model that spoke is asked, token by token as it spoke, the end of the text among them. Another model
    reads prompt and continuation as one text, and is asked for the tokens that start, spaces aside, at the seam or
    after it; where a token reaches from the prompt into the continuation, there is no score.
    """

    adapter: Adapter
    same: bool
    batch_tokens: int = 4096
    measure: str = PERPLEXITY
    name: str = ""
    unscored: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        who = "the model itself, unsteered" if self.same else f"model {self.adapter.name}"
        self.name = f"perplexity under {who}"

    def scores(self, said: Sequence[Said]) -> Floats:
        parts = [self._parts(one) for one in said]
        befores, afters = ([part[i] for part in parts] for i in (0, 1))
        found = continuation_logprobs(self.adapter, befores, afters, batch_tokens=self.batch_tokens)
        return np.array(
            [float((-one.double().mean()).exp()) if len(one) else np.nan for one in found], dtype=np.float64
        )

    def _parts(self, one: Said) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """What is given and what is scored; nothing is scored of a text without a score."""
        nothing: tuple[tuple[int, ...], tuple[int, ...]] = ((0,), ())
        if not one.text.strip():
            self.unscored[NOTHING] += 1
            return nothing
        if self.same:
            return one.before, one.after
        try:
            (whole,) = self.adapter.encode([Content.of(one.prompt + one.text)])
        except DataError:
            self.unscored[TOO_LONG] += 1
            return nothing
        split = seam(whole, len(one.prompt))
        if split is None:
            self.unscored[CROSSED] += 1
            return nothing
        end = len(whole.ids)
        while end and whole.offsets[end - 1] is None:
            end -= 1
        return whole.ids[:split], whole.ids[split:end]


def seam(whole: Encoded, at: int) -> int | None:
    """The first token that starts at the character `at` or after it; None where a token reaches across it.

    None too where no token stands before the seam, or none with text after it.
    """
    first = None
    for index, span in enumerate(whole.offsets):
        if span is None or span[0] == span[1]:
            continue
        if span[0] < at < span[1]:
            return None
        if span[0] >= at and first is None:
            first = index
    return first or None


@dataclass(slots=True)
class Relevance:
    """Cosine of prompt and continuation in an encoder's space."""

    encoder: Encoder
    measure: str = RELEVANCE
    name: str = ""
    unscored: Counter[str] = field(default_factory=Counter)
    _known: dict[str, Floats] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.name = f"cosine of mean-pooled states of {self.encoder.name}"

    def scores(self, said: Sequence[Said]) -> Floats:
        values = _where_text(said, self.unscored)
        those = [one for one, value in zip(said, values, strict=True) if np.isfinite(value)]
        if not those:
            return values
        new = [text for text in dict.fromkeys(one.prompt for one in those) if text not in self._known]
        if new:
            self._known.update(zip(new, _unit(self.encoder.embed(new)), strict=True))
        prompts = np.stack([self._known[one.prompt] for one in those])
        texts = _unit(self.encoder.embed([one.text for one in those]))
        values[np.isfinite(values)] = (prompts * texts).sum(axis=1)
        return values


@dataclass(slots=True)
class Adherence:
    """How much of a continuation is in the prompt's language.

    scripts: language -> the scripts that tell it, as the first word of their letters' Unicode names: the share of
    letters in them. words: for languages of the Latin script, the words known in them: the share of words among them.
    """

    scripts: Mapping[str, frozenset[str]]
    words: Mapping[str, frozenset[str]]
    measure: str = ADHERENCE
    name: str = (
        "share of letters in the language's script; Latin script: share of words known in the language"
    )
    unscored: Counter[str] = field(default_factory=Counter)

    def scores(self, said: Sequence[Said]) -> Floats:
        return np.array([self._score(one) for one in said], dtype=np.float64)

    def _score(self, one: Said) -> float:
        text = unicodedata.normalize("NFC", one.text)
        letters = [char for char in text if char.isalpha()]
        if not letters:
            self.unscored[NO_LETTERS if text.strip() else NOTHING] += 1
            return np.nan
        if one.language in self.scripts:
            scripts = self.scripts[one.language]
            return sum(unicodedata.name(char, "?").split()[0] in scripts for char in letters) / len(letters)
        known, found = self.words.get(one.language), words_of(text)
        if not known or not found:
            self.unscored[NO_WORDS] += 1
            return np.nan
        return sum(word in known for word in found) / len(found)


def words_of(text: str) -> list[str]:
    """The words of a text, case folded, an apostrophe between letters being one of them."""
    return WORD.findall(unicodedata.normalize("NFC", text).casefold())


def label_values(labels: Sequence[str], name: str) -> Floats:
    """+1 for a positive class, -1 for a negative one, 0 for a neutral one. Raises UsageError for other labels.

    Understood: positive, negative and neutral (or their first three letters); LABEL_0 (negative) and LABEL_1; one to
    five stars, where four and five are positive, one and two negative.
    """
    plain = [" ".join(str(label).lower().replace("_", " ").split()) for label in labels]
    words = {"pos": 1.0, "neg": -1.0, "neu": 0.0}
    words |= {"positive": 1.0, "negative": -1.0, "neutral": 0.0}
    stars = {
        f"{n} star{'' if n == 1 else 's'}": value for n, value in enumerate((-1.0, -1.0, 0.0, 1.0, 1.0), 1)
    }
    for values in (words, {"label 0": -1.0, "label 1": 1.0}, stars):
        found = [values.get(one) for one in plain]
        told = [one for one in found if one is not None]
        distinct = len({one[:3] for one in plain} if values is words else set(plain)) == len(plain)
        if len(told) == len(found) and distinct and {-1.0, 1.0} <= set(told):
            if values is stars and len(told) < 5:
                continue
            return np.array(told, dtype=np.float64)
    raise UsageError(
        f"the labels of {name} are {', '.join(map(str, labels))[:200]}: a sentiment classifier needs positive and "
        "negative (and neutral), LABEL_0 and LABEL_1, or 1 star to 5 stars."
    )


def _where_text(said: Sequence[Said], unscored: Counter[str]) -> Floats:
    """0 where something was said, NaN elsewhere, which is counted."""
    some = np.array([bool(one.text.strip()) for one in said], dtype=bool)
    unscored[NOTHING] += int((~some).sum())
    return np.where(some, 0.0, np.nan)


def _unit(vectors: Floats) -> Floats:
    lengths: Floats = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-12))


def _unspaced(word: str) -> bool:
    """Whether the word's script writes no spaces between words."""
    return unicodedata.name(word[0], "?").split()[0] in ("CJK", "HIRAGANA", "KATAKANA", "THAI")
