"""The words of the house as types: content, cases and case sets. No model and no statistics here.

Axis names used in shapes everywhere: `layer` (0 = embedding .. L), `row` (one position of one content),
`case`, `d_model`, `vocab`, `target` (one token to score), `word` (a group of tokens that spell one word).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class Text:
    """A stretch of text."""

    text: str


@dataclass(frozen=True, slots=True)
class Image:
    """A picture: where its file lies, or the bytes of such a file. `semhub.pictures` opens it."""

    path: str = ""
    data: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Sound:
    """A sound: where its file lies, or the bytes of such a file. `semhub.sounds` opens it."""

    path: str = ""
    data: bytes = field(default=b"", repr=False)


Part = Text | Image | Sound
IMAGE = "\N{OBJECT REPLACEMENT CHARACTER}"  # stands for one picture in a content's text
SOUND = "\N{INTERLINEAR ANNOTATION ANCHOR}"  # stands for one sound


@dataclass(frozen=True, slots=True)
class Content:
    """What a model is shown: a sequence of parts. Equal contents share one forward pass."""

    parts: tuple[Part, ...]

    @classmethod
    def of(cls, *parts: str | Part) -> Content:
        return cls(tuple(Text(part) if isinstance(part, str) else part for part in parts))

    @property
    def text(self) -> str:
        """The parts in order, each picture as the one character IMAGE and each sound as the one character SOUND."""
        return "".join(_written(part) for part in self.parts)

    @property
    def images(self) -> tuple[tuple[int, Image], ...]:
        """(the character of `text` that stands for it, the picture), in order."""
        return tuple((at, part) for at, part in self._placed() if isinstance(part, Image))

    @property
    def sounds(self) -> tuple[tuple[int, Sound], ...]:
        """(the character of `text` that stands for it, the sound), in order."""
        return tuple((at, part) for at, part in self._placed() if isinstance(part, Sound))

    def _placed(self) -> Iterator[tuple[int, Part]]:
        at = 0
        for part in self.parts:
            yield at, part
            at += len(_written(part))


def _written(part: Part) -> str:
    if isinstance(part, Text):
        return part.text
    return IMAGE if isinstance(part, Image) else SOUND


@dataclass(frozen=True, slots=True)
class Area:
    """The positions of a picture or a sound, or of part of a picture.

    at: its character in the content's text. mask: the bytes of a greyscale PNG of the picture's size, white inside; a
    position belongs to it when more than half of its patch does. Empty: all positions of the picture or sound.
    """

    at: int
    mask: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Pair:
    """P1: two contents of equal meaning. `negatives` are near misses that stand in for `b`.

    `group` names the meaning that several pairs share (the value of an expression); pairs of one group but of
    different content are `same_result`, all others `different_result`. Empty: no such groups.
    `factor` is what permuted pairs keep in common because it is fixed by design (operator and target of an expression).
    """

    case_id: str
    cluster_id: str
    a: Content
    b: Content
    negatives: tuple[Content, ...] = ()
    group: str = ""
    factor: str = ""


@dataclass(frozen=True, slots=True)
class LensCase:
    """P2: words to score at the last token that ends at or before the character `at` of the content.

    words: condition (`dominant`, `surface`, `control`, `third_language`, `echo`, or a role) -> the words of that
    group. A group is scored as its best word. Words are given without surrounding spaces.
    area: if given, the case is read at all positions of the area; its scores are means over them.
    stratum: cases are centred and compared within their stratum alone: what it tells by itself, as the place of an
    argument tells its parameter's name, is no reading of the word.
    next_word: if given, the position is the token before the one that starts at `at` (or at the space before it)
    and spells exactly this word; a case whose word is not one token of the text is dropped.
    next_token: the position is the token before the one whose text, white space before it left out, starts at `at`,
    and what that next token spells is the case's `surface` word, which `words` then leaves out.
    """

    case_id: str
    cluster_id: str
    content: Content
    at: int
    words: Mapping[str, tuple[str, ...]]
    next_word: str = ""
    next_token: bool = False
    stratum: str = ""
    area: Area | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a state is read: the last token that ends at or before the character `at` of the content.

    area: the mean state over its positions instead.
    """

    content: Content
    at: int
    area: Area | None = None


@dataclass(frozen=True, slots=True)
class StateDifference:
    """The mean state over the places `plus` less the mean over `minus`, at one layer."""

    plus: tuple[Place, ...]
    minus: tuple[Place, ...]


@dataclass(frozen=True, slots=True)
class RowDifference:
    """The unembedding row of the word `plus` less that of `minus` (each the mean over the word's single tokens).

    It has no size of its own: strength 1 is as long as the states it is added to are on average.
    """

    plus: str
    minus: str


Direction = StateDifference | RowDifference


@dataclass(frozen=True, slots=True)
class SteerCase:
    """P3: while the model reads `content`, a direction is added at the last token that ends at or before `at`.

    directions: condition -> direction; `hypothesis` always, `wrong_concept` and `native` where they exist.
    new, old: words of the *input's* data type that may come next, whose log-odds at the output should move towards
    `new`. An empty `old` is the token that the unsteered model puts first. answer: what the set's parser compares with.
    area: if given, its positions are written, but not the content's last one, after which the output is read; `at` is
    not used.
    """

    case_id: str
    cluster_id: str
    content: Content
    at: int
    directions: Mapping[str, Direction]
    new: tuple[str, ...]
    old: tuple[str, ...] = ()
    answer: str = ""
    area: Area | None = None


@dataclass(frozen=True, slots=True)
class Kept:
    """How many cases a set holds of how many that were given, and why the others were dropped."""

    given: int
    dropped: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PairSet:
    """The pairs of one P1 comparison. `deciding` marks the set that carries the verdict.

    shares_words: the two sides spell words alike by design, as a program and its description do; near misses and
    twins then decide alone.
    """

    experiment: str
    variant: str
    pairs: Sequence[Pair]
    kept: Kept
    source: str
    deciding: bool = False
    special_tokens: bool = True
    shares_words: bool = False


@dataclass(frozen=True, slots=True)
class LensSet:
    """The cases of one P2 comparison.

    surface_language: empty where the cases have no surface word. spelled: words of any number of tokens are scored,
    token by token (measures/spelled.py); a case with `next_token` then names its own surface word.
    """

    experiment: str
    variant: str
    cases: Sequence[LensCase]
    kept: Kept
    source: str
    dominant_language: str
    surface_language: str
    deciding: bool = False
    special_tokens: bool = True
    spelled: bool = False


Parser = Callable[[str, str, SteerCase], str]


@dataclass(frozen=True, slots=True)
class SteerSet:
    """The cases of one P3 comparison.

    readings: how the generated text is parsed, none where the next token says it all; "" is the set's own, others have
    rows of their own (`variant/name`). A parser takes (steered text, unsteered text, case) and says `success`,
    `unchanged`, `other` or `unparseable`, or `skip` where the unsteered text already rules the case out. new_tokens:
    how many are generated, greedily, for it. strengths: the multiples of the direction that are tried, ascending.
    how: the direction is added to the states or put in their place. onward: it is written at its layer and at all after
    it up to L-1 (the authors' way with pictures).
    """

    experiment: str
    variant: str
    cases: Sequence[SteerCase]
    kept: Kept
    source: str
    deciding: bool = False
    special_tokens: bool = True
    strengths: tuple[float, ...] = (0.5, 1.0, 2.0, 4.0)
    readings: Mapping[str, Parser] = field(default_factory=dict)
    new_tokens: int = 8
    how: Literal["add", "replace"] = "add"
    onward: bool = False


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt that is to be continued in its own language. bare: the text without what keeps the language."""

    case_id: str
    cluster_id: str
    content: Content
    language: str
    bare: Content


@dataclass(frozen=True, slots=True)
class PromptSet:
    """P3 by what a text says: prompts of one language, continued under activation addition and scored.

    directions: condition -> (text to add, text to take away); `hypothesis` always, `native` where there is one.
    strengths: multiples of the difference, of either sign, ascending. The rest is how texts are drawn
    (semhub.generate.Sampling); n_seeds: how often each prompt is continued.
    """

    experiment: str
    variant: str
    prompts: Sequence[Prompt]
    directions: Mapping[str, tuple[str, str]]
    kept: Kept
    source: str
    deciding: bool = False
    special_tokens: bool = True
    strengths: tuple[float, ...] = (-5.0, -2.0, 2.0, 5.0)
    new_tokens: int = 32
    temperature: float = 1.0
    top_p: float = 0.3
    frequency_penalty: float = 1.0
    n_seeds: int = 3


@dataclass(frozen=True, slots=True)
class TextSet:
    """Texts of one language, read at every position (language mass)."""

    experiment: str
    variant: str
    texts: Sequence[tuple[str, Content]]  # (case_id, content)
    kept: Kept
    source: str
    special_tokens: bool = True


@dataclass(frozen=True, slots=True)
class TrajectorySet:
    """Contents whose last position is drawn layer by layer in the plane of the anchor words' unembeddings."""

    experiment: str
    variant: str
    texts: Sequence[tuple[str, Content]]
    anchors: Sequence[str]
    kept: Kept
    source: str
    special_tokens: bool = True


CaseSet = PairSet | LensSet | SteerSet | PromptSet | TextSet | TrajectorySet


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a data set came from. `sha256` is of the file (of the sorted files' hashes for a folder)."""

    name: str
    source: str
    version: str
    licence: str
    path: str = ""
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class Request:
    """What a run asks of a spoke. data: `--data` name -> file or folder (absent: generated data)."""

    data: Mapping[str, str] = field(default_factory=dict)
    n: int | None = None
    seed: int = 0
    languages: tuple[str, ...] = ()
    dominant: str = "en"


@dataclass(frozen=True, slots=True)
class Experiment:
    """One experiment of a spoke, and the words a reader needs to understand its result.

    build: the request -> the case sets and the provenance of what they were made from.
    question: one sentence, what is compared. if_false: what would be seen if the hypothesis were false.
    needs: what a model must be able to take, `text`, `image` or `audio`.
    variants: part of a set's `variant` -> what it means, such as `continued`.
    """

    id: str
    spoke: str
    prediction: str  # P1, P2, P3 or "" for a picture
    title: str
    question: str
    if_false: str
    build: Callable[[Request], tuple[list[CaseSet], list[Provenance]]]
    needs: str = "text"
    variants: Mapping[str, str] = field(default_factory=dict)
