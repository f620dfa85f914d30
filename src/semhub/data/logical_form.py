"""Logical forms in the format of COGS as trees: reading, writing, and where their parts lie in the text.

Source of the format: Kim and Linzen 2020 (https://aclanthology.org/2020.emnlp-main.731), github najoungkim/COGS.
`* cat ( x _ 1 ) ; see . agent ( x _ 2 , x _ 1 ) AND see . theme ( x _ 2 , Emma )`: definite nouns first, then the
conjuncts. A primitive is a proper name alone, or a lambda term: `LAMBDA a . LAMBDA e . run . agent ( e , a )`.
Tokens are separated by one space each, so what is read can be written back to the character. Nothing recurses.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

RESERVED = frozenset({"*", ";", ".", ",", "(", ")", "_", "x", "AND", "LAMBDA"})
NMOD = "nmod"  # the one relation that names a preposition too: `cat . nmod . on ( .. , .. )`
ARGUMENTS = {0: 1, 1: 2, 2: 2}  # words of a term's relation -> how many arguments it takes


class FormError(ValueError):
    """The text is no logical form; the message names the character (from 0) and what was expected there."""


@dataclass(frozen=True, slots=True)
class Argument:
    """`Emma` (kind `name`), `x _ 4` (`variable`), or a variable that a lambda binds (`bound`)."""

    kind: Literal["name", "variable", "bound"]
    text: str


@dataclass(frozen=True, slots=True)
class Term:
    """`see . agent ( x _ 2 , Emma )`: word `see`, relation (`agent`,). A noun's relation is empty."""

    word: str
    relation: tuple[str, ...]
    arguments: tuple[Argument, ...]

    @property
    def role(self) -> str:
        """The relation, if it is a single word (`agent`, `xcomp`), else empty."""
        return self.relation[0] if len(self.relation) == 1 else ""


@dataclass(frozen=True, slots=True)
class Form:
    """A logical form. binders: the variables of a lambda term. name: of a primitive that is a name alone."""

    definites: tuple[Term, ...] = ()
    conjuncts: tuple[Term, ...] = ()
    binders: tuple[str, ...] = ()
    name: str = ""

    @property
    def is_primitive(self) -> bool:
        return bool(self.name or self.binders)

    @property
    def terms(self) -> tuple[Term, ...]:
        return self.definites + self.conjuncts

    @property
    def names(self) -> tuple[str, ...]:
        """The distinct proper names, in order of their first occurrence."""
        found = [one.text for term in self.terms for one in term.arguments if one.kind == "name"]
        return tuple(dict.fromkeys(([self.name] if self.name else []) + found))


@dataclass(frozen=True, slots=True)
class Span:
    """`text` stands at the characters [start, end) of the written form.

    part: `word` (`see`), `relation` (`agent`, `nmod . on`) or `argument`. index: of an argument in its term.
    term: None only for the name of a primitive.
    """

    start: int
    end: int
    text: str
    part: Literal["word", "relation", "argument"]
    term: Term | None
    index: int = 0


def is_word(token: str) -> bool:
    """Whether this can be a noun, a verb or a name of a form: not empty, no white space, no reserved token."""
    return token not in RESERVED and token.split() == [token]


def write(form: Form) -> str:
    """The text of the form; for a form that was parsed, exactly the text it was parsed from."""
    return "".join(text for text, _ in _pieces(form))


def spans(form: Form) -> list[Span]:
    """Every word, relation and argument with its characters in `write(form)`, in order."""
    found, start = [], 0
    for text, span in _pieces(form):
        if span is not None:
            part, term, index = span
            found.append(Span(start, start + len(text), text, part, term, index))
        start += len(text)
    return found


def parse(text: str) -> Form:
    """The form that the text spells. Raises FormError for anything that is not in the format."""
    reader = _Reader(text)
    if len(reader.tokens) == 1:
        name = reader.word("a proper name")
        if name[0].islower():
            raise FormError(f"character 0: a lone {name!r} in small letters is no logical form")
        return Form(name=name)
    binders: list[str] = []
    while reader.take("LAMBDA"):
        binders.append(reader.word("a bound variable"))
        reader.need(".")
    bound = frozenset(binders)
    definites: list[Term] = []
    while not binders and reader.take("*"):
        definites.append(_definite(reader))
    conjuncts = [_term(reader, bound)]
    while reader.take("AND"):
        conjuncts.append(_term(reader, bound))
    if not reader.at_end:
        raise reader.wrong("the end or 'AND'")
    return Form(tuple(definites), tuple(conjuncts), tuple(binders))


class _Reader:
    """The tokens of a text and how far they have been read."""

    def __init__(self, text: str) -> None:
        self.tokens = text.split(" ")
        self.at = 0

    @property
    def at_end(self) -> bool:
        return self.at == len(self.tokens)

    @property
    def next(self) -> str:
        """The token that comes next; empty at the end."""
        return "" if self.at_end else self.tokens[self.at]

    def take(self, token: str) -> bool:
        """Reads this token, if it comes next."""
        found = self.next == token
        self.at += found
        return found

    def need(self, token: str) -> None:
        if not self.take(token):
            raise self.wrong(repr(token))

    def word(self, what: str) -> str:
        token = self.next
        if not is_word(token):
            raise self.wrong(what)
        self.at += 1
        return token

    def wrong(self, expected: str) -> FormError:
        place = sum(len(token) + 1 for token in self.tokens[: self.at])
        found = "the end" if self.at_end else repr(self.next[:40])
        return FormError(f"character {place - self.at_end}: {expected} expected, not {found}")


def _definite(reader: _Reader) -> Term:
    start = reader.at
    term = _term(reader, frozenset())
    if term.relation or term.arguments[0].kind != "variable":
        reader.at = start
        raise reader.wrong("a noun with a variable")
    reader.need(";")
    return term


def _term(reader: _Reader, bound: frozenset[str]) -> Term:
    word = reader.word("a word")
    relation: list[str] = []
    while len(relation) < 2 and reader.take("."):
        relation.append(reader.word("a relation"))
    if (relation[:1] == [NMOD]) != (len(relation) == 2):
        raise reader.wrong(f"a role, or {NMOD!r} with a preposition, before this")
    reader.need("(")
    arguments = [_argument(reader, bound)]
    while len(arguments) < ARGUMENTS[len(relation)]:
        reader.need(",")
        arguments.append(_argument(reader, bound))
    reader.need(")")
    return Term(word, tuple(relation), tuple(arguments))


def _argument(reader: _Reader, bound: frozenset[str]) -> Argument:
    if reader.take("x"):
        reader.need("_")
        number = reader.next
        if not (number.isascii() and number.isdigit()):
            raise reader.wrong("a variable's number")
        reader.at += 1
        return Argument("variable", f"x _ {number}")
    word = reader.word("a variable or a name")
    return Argument("bound" if word in bound else "name", word)


_Part = tuple[Literal["word", "relation", "argument"], Term | None, int]


def _pieces(form: Form) -> Iterator[tuple[str, _Part | None]]:
    """The stretches of the text, in order, and what each one is; None for what stands between the parts."""
    if form.name:
        yield form.name, ("argument", None, 0)
    for binder in form.binders:
        yield f"LAMBDA {binder} . ", None
    for term in form.definites:
        yield "* ", None
        yield from _term_pieces(term)
        yield " ; ", None
    for i, term in enumerate(form.conjuncts):
        if i:
            yield " AND ", None
        yield from _term_pieces(term)


def _term_pieces(term: Term) -> Iterator[tuple[str, _Part | None]]:
    yield term.word, ("word", term, 0)
    if term.relation:
        yield " . ", None
        yield " . ".join(term.relation), ("relation", term, 0)
    for index, argument in enumerate(term.arguments):
        yield " , " if index else " ( ", None
        yield argument.text, ("argument", term, index)
    yield " )", None
