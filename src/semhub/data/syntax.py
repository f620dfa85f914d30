"""Where lists and calls have their commas, brackets and elements: from a program's text to exact offsets.

Between two neighbours in the syntax tree stand only brackets, one separator, white space and comments; reading that
stretch finds the separator on every Python version alike, and nothing nested or quoted can mislead it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from semhub.data.source import IN_FSTRING, NOT_PARSED, Source, parse, walk

Kind = Literal["positional", "starred", "keyword", "double_starred"]
Form = Literal["name", "method", "other"]

NOT_FOUND = "no separator where the syntax tree has one"


@dataclass(frozen=True, slots=True)
class Comma:
    """A comma between two elements. at: its offset. start: that of the next element's first character."""

    at: int
    start: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a call.

    index: its place among the arguments. opener: the offset of the "(" or "," before it. start: the offset of
    its first character, be it a bracket, a star or a keyword. text: from there to its end. keyword, equals, value:
    its name, the offset of its "=" and that of its value's first character (-1 where it has none).
    """

    index: int
    kind: Kind
    opener: int
    start: int
    text: str
    keyword: str = ""
    equals: int = -1
    value: int = -1


@dataclass(frozen=True, slots=True)
class Call:
    """A call. form: of a plain name, of a method (`name` is then the attribute's), or of anything else (no name).

    at: the offset of its "(". node: the call in the program's syntax tree.
    """

    name: str
    form: Form
    at: int
    arguments: tuple[Argument, ...]
    node: ast.Call
    reason: str = ""


Item = TypeVar("Item", Comma, Call)


@dataclass(frozen=True, slots=True)
class Found(Generic[Item]):
    """What a program has, in the order of the text. lost: what has no exact place, with the reason and offsets of -1.

    reason: why nothing was found, if the program does not parse.
    """

    items: tuple[Item, ...] = ()
    lost: tuple[Item, ...] = ()
    reason: str = ""


class _LostError(Exception):
    """The text between two nodes is not what the syntax tree promises."""


def list_commas(code: str) -> Found[Comma]:
    """The commas between the elements of list displays: not of tuples, sets, comprehensions or assignment targets."""
    source = parse(code)
    if source is None:
        return Found(reason=NOT_PARSED)
    found: list[Comma] = []
    for node, inside in walk(source.tree):
        if isinstance(node, ast.List) and isinstance(node.ctx, ast.Load):
            found += [_comma(source, element, inside) for element in node.elts[:-1]]
    return _sorted(found)


def call_arguments(code: str) -> Found[Call]:
    """The calls with their arguments, generator expressions, stars and keywords included."""
    source = parse(code)
    if source is None:
        return Found(reason=NOT_PARSED)
    return _sorted(
        [_call(source, node, inside) for node, inside in walk(source.tree) if isinstance(node, ast.Call)]
    )


def _sorted(found: Iterable[Item]) -> Found[Item]:
    placed = sorted((one for one in found if not one.reason), key=lambda one: one.at)
    return Found(tuple(placed), tuple(one for one in found if one.reason))


def _comma(source: Source, element: ast.expr, inside: bool) -> Comma:
    if inside:
        return Comma(-1, -1, IN_FSTRING)
    try:
        at = _mark(source, source.end(element), ",")
    except _LostError:
        return Comma(-1, -1, NOT_FOUND)
    return Comma(at, source.significant(at + 1))


def _call(source: Source, node: ast.Call, inside: bool) -> Call:
    function = node.func
    name = function.id if isinstance(function, ast.Name) else ""
    form: Form = "name" if name else "other"
    if isinstance(function, ast.Attribute):
        name, form = function.attr, "method"
    given: list[ast.expr | ast.keyword] = [*node.args, *node.keywords]
    try:
        if inside:
            raise _LostError
        given.sort(key=source.start)
        at = opener = _mark(source, source.end(function), "(")
        arguments: list[Argument] = []
        for index, one in enumerate(given):
            arguments.append(_argument(source, node, one, index, opener))
            if index + 1 < len(given):
                opener = _mark(source, source.end(one), ",")
    except _LostError:
        kinds = [
            Argument(i, _kind(one), -1, -1, "", getattr(one, "arg", "") or "") for i, one in enumerate(given)
        ]
        return Call(name, form, -1, tuple(kinds), node, IN_FSTRING if inside else NOT_FOUND)
    return Call(name, form, at, tuple(arguments), node)


def _kind(one: ast.expr | ast.keyword) -> Kind:
    if isinstance(one, ast.keyword):
        return "double_starred" if one.arg is None else "keyword"
    return "starred" if isinstance(one, ast.Starred) else "positional"


def _argument(
    source: Source, call: ast.Call, one: ast.expr | ast.keyword, index: int, opener: int
) -> Argument:
    start, end = source.significant(opener + 1), source.end(one)
    inner = source.start(one)
    if inner == opener:  # a generator expression alone needs no brackets of its own
        return Argument(
            index, "positional", opener, start, source.text[start : source.end(call) - 1].rstrip()
        )
    offset = start
    while offset < inner:
        if source.text[offset] != "(":
            raise _LostError
        offset = source.significant(offset + 1)
        end = source.significant(end) + 1
    text = source.text[start:end]
    kind = _kind(one)
    if not isinstance(one, ast.keyword) or one.arg is None:
        return Argument(index, kind, opener, start, text)
    equals = _mark(source, _after_name(source.text, start), "=")
    return Argument(index, kind, opener, start, text, one.arg, equals, source.significant(equals + 1))


def _mark(source: Source, offset: int, mark: str) -> int:
    """The offset of the mark after a node that ends at `offset`: only closing brackets and trivia may come before."""
    offset = source.significant(offset)
    while source.text[offset : offset + 1] == ")":
        offset = source.significant(offset + 1)
    if source.text[offset : offset + 1] != mark:
        raise _LostError
    return offset


def _after_name(text: str, start: int) -> int:
    end = start
    while ("_" + text[end : end + 1]).isidentifier() and end < len(text):
        end += 1
    return end
