"""A program's own description: its docstring, and the program without it."""

from __future__ import annotations

import ast

from semhub.data.source import Source, parse

_Owner = ast.Module | ast.FunctionDef | ast.AsyncFunctionDef


def described(code: str, function: str = "") -> tuple[str, str]:
    """(description, the program without that docstring): of `function`, else of the module, else of the first function.

    The description ends before the first doctest example and stands in one line. Without one, the program is unchanged.
    """
    source = parse(code)
    if source is None:
        return "", code
    functions = [one for one in source.tree.body if isinstance(one, (ast.FunctionDef, ast.AsyncFunctionDef))]
    asked = [one for one in functions if one.name == function]
    owners: list[_Owner] = []
    owners += asked[-1:] if asked else [source.tree, *functions[:1]]
    for owner in owners:
        told = " ".join((ast.get_docstring(owner) or "").partition(">>>")[0].split())
        if told:
            return told, _without(source, owner)
    return "", code


def _without(source: Source, owner: _Owner) -> str:
    """The program without the owner's docstring: its lines are left out if it has them for itself."""
    statement = owner.body[0]
    start, end = source.start(statement), source.end(statement)
    first = source.lines[statement.lineno - 1]
    following = [line for line in source.lines if line >= end]
    after = following[0] if following else len(source.text)
    alone = not source.text[first:start].strip() and not source.text[end:after].strip()
    if alone and len(owner.body) > 1:
        return source.text[:first] + source.text[after:]
    return source.text[:start] + "pass" + source.text[end:]
