"""Which parameter each argument of a program's calls fills, and which arguments serve to test whether that is read.

The rules for positional arguments of plain functions are those of Wu et al. 2024, arXiv 2411.04986.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from semhub.data.scopes import Scopes
from semhub.data.signatures import Origin, argument_names
from semhub.data.source import parse
from semhub.data.syntax import Argument, Call, Form, call_arguments

SKIPPED = ("range", "max", "min", "dict", "zip", "type")
OBJECTS = ("obj", "object")
SKIPPED_FUNCTION = "argument of range, max, min, dict, zip or type"
STARRED = "starred argument"
KEYWORD = "keyword argument (they have a variant of their own)"
OBJECT = "the parameter is called obj or object"
SAME = "the argument is spelled like the parameter"
BRACKET = "the argument starts with a bracket"


@dataclass(frozen=True, slots=True)
class Role:
    """An argument and the name of its parameter, or the reason why it is left out.

    function: the name called. keyword: whether it is a keyword argument, which names its parameter itself.
    anchor: the offset of the "(", "," or "=" before it. start: that of its first character, or its value's.
    place: which argument of the call it is, 0 for the first.
    """

    function: str
    form: Form
    origin: Origin
    keyword: bool
    name: str
    reason: str
    anchor: int
    start: int
    place: int = 0


def roles(code: str) -> Iterator[Role]:
    """The arguments of all calls; keyword arguments come twice, as themselves and as left out of the positional ones.

    Nothing for a program that does not parse.
    """
    source = parse(code)
    if source is None:
        return
    scopes = Scopes(source.tree)
    found = call_arguments(code)
    for call in (*found.items, *found.lost):
        known, names = argument_names(call, scopes)
        positional = iter(names)
        for one in call.arguments:
            name, reason = next(positional) if one.kind == "positional" else ("", KEYWORD)
            if one.kind in ("starred", "double_starred"):
                reason = STARRED
            reason = call.reason or _skipped(call) or reason or _trivial(name, one.text)
            yield Role(
                call.name, call.form, known.origin, False, name, reason, one.opener, one.start, one.index
            )
            if one.kind in ("keyword", "double_starred"):
                yield _keyword(call, known.origin, one)


def _keyword(call: Call, origin: Origin, one: Argument) -> Role:
    value = one.text[one.value - one.start :]
    starred = STARRED if one.kind == "double_starred" else ""
    reason = call.reason or _skipped(call) or starred or _trivial(one.keyword, value)
    return Role(call.name, call.form, origin, True, one.keyword, reason, one.equals, one.value)


def _skipped(call: Call) -> str:
    return SKIPPED_FUNCTION if call.form == "name" and call.name in SKIPPED else ""


def _trivial(name: str, text: str) -> str:
    if name in OBJECTS:
        return OBJECT
    if text == name:
        return SAME
    return BRACKET if text.startswith("(") else ""
