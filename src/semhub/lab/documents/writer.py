"""A training document: its text, and for each stretch of it the English words that the hub should hold."""

from __future__ import annotations

from dataclasses import dataclass

Weighted = tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class Hint:
    """While tokens that start in [start, end) are predicted, the hub holds `words`.

    deciding: here the model shows whether it understood; a recipe may let such stretches count more.
    """

    start: int
    end: int
    words: Weighted
    deciding: bool = False


@dataclass(frozen=True, slots=True)
class Document:
    """A text, its hints and its data type: a language code, `digits`, or empty where types are mixed.

    english: where no hint lies, the hub holds the next token itself.
    """

    text: str
    hints: tuple[Hint, ...]
    english: bool
    data_type: str = ""


class Writer:
    """Joins stretches of text and keeps their hints."""

    def __init__(self, language: str) -> None:
        self.language, self.text, self.hints = language, "", list[Hint]()

    def add(self, text: str, words: Weighted = (), deciding: bool = False) -> None:
        if words:
            self.hints.append(Hint(len(self.text), len(self.text) + len(text), words, deciding))
        self.text += text

    def word(self, text: str, words: Weighted, deciding: bool = False) -> None:
        self.add(text if self.language == "zh" or not self.text else f" {text}", words, deciding)

    def finish(self) -> Document:
        return Document(self.text, tuple(self.hints), self.language == "en", self.language)


def merged(words: list[tuple[str, float]]) -> Weighted:
    """Weights of equal words added up."""
    total: dict[str, float] = {}
    for word, weight in words:
        total[word] = total.get(word, 0.0) + weight
    return tuple(total.items())
