"""What a meaning is, and what a sentence or a formal notation that expresses one is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class Word:
    """A content word: its character span [start, end) in the sentence, its concept and its surface text."""

    start: int
    end: int
    concept: str
    text: str


@dataclass(frozen=True, slots=True)
class Sentence:
    """A rendered meaning. `words` are the content words, in order, that every language has a word for."""

    text: str
    words: tuple[Word, ...]


@dataclass(frozen=True, slots=True)
class Phrase:
    """A person (`number` 0) or a counted thing, perhaps with a colour or quality."""

    head: str
    number: int = 0
    quality: str = ""

    @property
    def is_person(self) -> bool:
        return self.number == 0

    @property
    def key(self) -> str:
        return self.head if self.is_person else f"{self.number}.{self.quality or '-'}.{self.head}"


@dataclass(frozen=True, slots=True)
class Meaning:
    """An event. `recipient` is a name (verbs of giving only), `place` may be empty."""

    verb: str
    agent: Phrase
    theme: Phrase
    recipient: str = ""
    place: str = ""
    negated: bool = False

    @property
    def key(self) -> str:
        """Stable, readable and unique: `John/not buy/3.red.hat/-/park`."""
        verb = f"not {self.verb}" if self.negated else self.verb
        return "/".join((self.agent.key, verb, self.theme.key, self.recipient or "-", self.place or "-"))


class Stretch(NamedTuple):
    """A stretch of a notation. It `says` concepts or English words, in equal parts; none: what the next one says."""

    text: str
    says: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Notation:
    """A meaning rendered as a program or a logical form. The last stretch says something."""

    stretches: tuple[Stretch, ...]

    @property
    def text(self) -> str:
        return "".join(stretch.text for stretch in self.stretches)

    @property
    def spoken(self) -> tuple[Stretch, ...]:
        """The stretches, each with words of its own: those that say nothing take over what the next one says."""
        found: list[Stretch] = []
        says = self.stretches[-1].says
        for stretch in reversed(self.stretches):
            says = stretch.says or says
            found.append(Stretch(stretch.text, says))
        return tuple(reversed(found))
