"""Where the proper names of a logical form stand, which roles they fill, and which name starts a sentence."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from semhub.data.logical_form import Form, spans


@dataclass(frozen=True, slots=True)
class NamePosition:
    """One occurrence of a name, at the character `at` of the written form.

    role: what it fills in `word . role ( x _ 1 , NAME )`; empty anywhere else. before: the other roles that stand
    earlier in the text, in order, each once.
    """

    at: int
    name: str
    role: str
    before: tuple[str, ...]


def name_positions(form: Form) -> list[NamePosition]:
    """Every occurrence of a name among the arguments of the form's terms, in order."""
    found: list[NamePosition] = []
    before: dict[str, None] = {}
    for span in spans(form):
        if span.term is None:
            continue
        if span.part == "relation" and span.term.role:
            before[span.term.role] = None
        if span.part == "argument" and span.term.arguments[span.index].kind == "name":
            fills = span.index == 1 and span.term.arguments[0].kind == "variable"
            role = span.term.role if fills else ""
            others = tuple(one for one in before if one != span.term.role)
            found.append(NamePosition(span.start, span.text, role, others))
    return found


def first_name(sentence: str, names: Collection[str]) -> str:
    """The one of `names` that the sentence starts with, as a whole word; empty if there is none."""
    words = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    found = re.match(rf"(?:{words})(?![\w-])", sentence) if words else None
    return found[0] if found else ""
