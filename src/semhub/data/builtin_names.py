"""What Python's builtin functions and the methods of its builtin types call their positional parameters.

Read by `inspect.signature`; those that have no signature on some version from 3.11 to 3.13, or not the same one, are in
the tables, as the later versions' signatures or the docstrings name them. So every version gives the same names.
"""

from __future__ import annotations

import builtins
import inspect
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

Names = tuple[str, ...]

TYPES: tuple[type, ...] = (
    int, float, complex, bool, str, bytes, bytearray, memoryview, list, tuple, dict, set, frozenset, range, slice,
)  # fmt: skip

# Where the number of arguments decides, the names for one argument and for more. A star: no names for the rest.
_FUNCTIONS: Mapping[str, str | tuple[str, str]] = {
    "anext": "aiterator default",
    "bool": "object",
    "breakpoint": "*args",
    "bytearray": "source encoding errors",
    "bytes": "source encoding errors",
    "classmethod": "function",
    "dict": "*args",
    "dir": "object",
    "exit": "code",
    "filter": "function iterable",
    "frozenset": "iterable",
    "getattr": "object name default",
    "help": "*args",
    "int": "x base",
    "iter": ("iterable", "callable sentinel"),
    "map": "function iterable *iterables",
    "max": ("iterable", "*args"),
    "min": ("iterable", "*args"),
    "next": "iterator default",
    "quit": "code",
    "range": ("stop", "start stop step"),
    "set": "iterable",
    "slice": ("stop", "start stop step"),
    "staticmethod": "function",
    "str": "object encoding errors",
    "super": "type object",
    "type": ("object", "name bases dict"),
    "vars": "object",
    "zip": "*iterables",
}
_TESTS = "isalnum isalpha isascii isdigit islower isspace istitle isupper"
_METHODS: tuple[tuple[str, str, str], ...] = (  # types, methods, names
    ("str bytes bytearray", "count find index rfind rindex", "sub start end"),
    ("str bytes bytearray", "startswith", "prefix start end"),
    ("str bytes bytearray", "endswith", "suffix start end"),
    ("str", "format", "*args"),
    ("str", "format_map", "mapping"),
    ("str", "maketrans", "x y z"),
    ("bytes bytearray", f"{_TESTS} capitalize lower swapcase title upper", ""),
    ("bytes bytearray memoryview", "hex", "sep bytes_per_sep"),
    ("memoryview", "cast", "format shape"),
    ("int bool", "conjugate", ""),
    ("dict", "clear copy items keys values", ""),
    ("dict", "pop", "key default"),
    ("dict", "update", "*args"),
    ("set frozenset", "copy", ""),
    ("set", "clear pop", ""),
    ("set", "add discard remove", "object"),
    ("set frozenset", "difference intersection union", "*others"),
    ("set", "difference_update intersection_update update", "*others"),
    ("set frozenset", "isdisjoint issubset issuperset symmetric_difference", "other"),
    ("set", "symmetric_difference_update", "other"),
    ("range", "count index", "object"),
    ("slice", "indices", "object"),
)
_OF_CLASS = ("fromhex", "fromkeys", "from_bytes", "maketrans")  # the methods that are called on the type


def function(name: str, arguments: int) -> Names | None:
    """The names of a builtin function called with so many positional arguments; None for what is no builtin."""
    listed = _FUNCTIONS.get(name)
    if listed is not None:
        return tuple((listed if isinstance(listed, str) else listed[arguments > 1]).split())
    return _inspected(name)


@cache
def _inspected(name: str) -> Names | None:
    value = vars(builtins).get(name)
    if name.startswith("_") or not isinstance(value, (type(len), type)):
        return None
    if isinstance(value, type) and issubclass(value, BaseException):
        return ("*args",)
    return _signature(value)


@cache
def methods(name: str) -> tuple[Names, ...]:
    """The distinct signatures of that name among the builtin types, without the instance."""
    found = (
        {} if name.startswith("_") else {kind: of_type(kind, name) for kind in TYPES if hasattr(kind, name)}
    )
    return tuple(sorted({names for names in found.values() if names is not None}))


def of_type(kind: type, name: str) -> Names | None:
    """The names of one type's method, without the instance."""
    for kinds, names, listed in _METHODS:
        if name in names.split() and kind.__name__ in kinds.split():
            return tuple(listed.split())
    return _signature(getattr(kind, name))


def is_type(name: str) -> bool:
    """Whether a builtin type has that name."""
    return any(kind.__name__ == name for kind in TYPES)


def of_class(kind: str, name: str) -> Names | None:
    """The names of a method that is called on the type itself, such as `dict.fromkeys`; None for other methods."""
    found = next((one for one in TYPES if one.__name__ == kind and hasattr(one, name)), None)
    return of_type(found, name) if found and name in _OF_CLASS else None


def _signature(value: Callable[..., Any]) -> Names | None:
    try:
        found = list(inspect.signature(value).parameters.values())
    except (ValueError, TypeError):
        return None
    if found and found[0].name == "self":
        found = found[1:]
    names = [one.name for one in found if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)]
    return (*names, *(f"*{one.name}" for one in found if one.kind is one.VAR_POSITIONAL))
