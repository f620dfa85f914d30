"""Near misses of a program: the same text with exactly one operator or one constant changed.

The change is made in the text, at its exact place, so that all else stays as it is; the result must parse to the same
syntax tree but for that one node.
"""

from __future__ import annotations

import ast
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from semhub.data.source import Source, parse, walk

# Operators that take each other's place; those of one row bind equally tightly.
_ROWS: tuple[tuple[tuple[str, type[ast.AST]], ...], ...] = (
    (("+", ast.Add), ("-", ast.Sub)),
    (("*", ast.Mult), ("//", ast.FloorDiv), ("/", ast.Div), ("%", ast.Mod)),
    (("<<", ast.LShift), (">>", ast.RShift)),
    (("&", ast.BitAnd), ("|", ast.BitOr), ("^", ast.BitXor)),
    (("<", ast.Lt), ("<=", ast.LtE), (">", ast.Gt), (">=", ast.GtE)),
    (("==", ast.Eq), ("!=", ast.NotEq)),
    (("in", ast.In), ("not in", ast.NotIn)),
    (("is", ast.Is), ("is not", ast.IsNot)),
    (("and", ast.And), ("or", ast.Or)),
)
_OTHERS = {kind: [other for other in row if other[1] is not kind] for row in _ROWS for _, kind in row}
_SPELLED = {kind: text for row in _ROWS for text, kind in row}
_NUMBER = re.compile(r"(\d+)(\.\d+)?")
_TRIES = 20  # of one program's operators, and of its constants


@dataclass(frozen=True, slots=True)
class _Edit:
    """Puts `new` in place of the text from `start` to `end`; in the tree, `value` becomes the node's `field`."""

    start: int
    end: int
    new: str
    node: ast.expr
    field: str
    value: Any


def near_misses(code: str, seed: int) -> tuple[str, ...]:
    """The program with one operator changed and the program with one constant changed, as far as it has them.

    Drawn from the seed and the program itself. Empty for a program that does not parse.
    """
    source = parse(code)
    if source is None:
        return ()
    rng = random.Random(f"edits:{seed}:{code}")
    nodes = [node for node, inside in walk(source.tree) if not inside]
    operators = [node for node in nodes if isinstance(node, (ast.BinOp, ast.Compare, ast.BoolOp))]
    constants = [node for node in nodes if isinstance(node, ast.Constant)]
    found = (_first(source, operators, rng), _first(source, constants, rng))
    return tuple(one for one in found if one)


def _first(source: Source, nodes: Sequence[ast.expr], rng: random.Random) -> str:
    """The program with one of the nodes changed, tried in a random order; empty if none can be."""
    for node in rng.sample(nodes, len(nodes))[:_TRIES]:
        edit = (
            _constant(source, node, rng) if isinstance(node, ast.Constant) else _operator(source, node, rng)
        )
        if edit is None:
            continue
        text = source.text[: edit.start] + edit.new + source.text[edit.end :]
        old = getattr(node, edit.field)
        try:
            setattr(node, edit.field, edit.value)
            if (changed := parse(text)) and ast.dump(changed.tree) == ast.dump(source.tree):
                return text
        except RecursionError:
            return ""
        finally:
            setattr(node, edit.field, old)
    return ""


def _operator(source: Source, node: ast.expr, rng: random.Random) -> _Edit | None:
    operators: list[ast.operator] | list[ast.cmpop] | list[ast.boolop]
    if isinstance(node, ast.Compare):
        operators, operands = node.ops, [node.left, *node.comparators]
    elif isinstance(node, ast.BinOp):
        operators, operands = [node.op], [node.left]
    elif isinstance(node, ast.BoolOp) and len(node.values) == 2:
        operators, operands = [node.op], node.values
    else:
        return None
    place = rng.randrange(len(operators))
    old = type(operators[place])
    if old not in _OTHERS:
        return None
    start = source.significant(source.end(operands[place]))
    while source.text[start : start + 1] == ")":
        start = source.significant(start + 1)
    end = start
    for word in _SPELLED[old].split():
        end = source.significant(end)
        if not source.text.startswith(word, end):
            return None
        end += len(word)
    new, kind = rng.choice(_OTHERS[old])
    if isinstance(node, ast.Compare):
        return _Edit(start, end, new, node, "ops", [*node.ops[:place], kind(), *node.ops[place + 1 :]])
    return _Edit(start, end, new, node, "op", kind())


def _constant(source: Source, node: ast.Constant, rng: random.Random) -> _Edit | None:
    start, end = source.start(node), source.end(node)
    if isinstance(node.value, bool):
        return _Edit(start, end, str(not node.value), node, "value", not node.value)
    written = _NUMBER.fullmatch(source.text, start, end)
    if not written or str(int(written[1])) != written[1]:
        return None
    number = int(written[1])
    whole = rng.choice([near for near in (number - 1, number + 1) if len(str(near)) == len(written[1])])
    new = f"{whole}{written[2] or ''}"
    return _Edit(start, end, new, node, "value", float(new) if written[2] else whole)
