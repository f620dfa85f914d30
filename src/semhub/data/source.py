"""A Python program as text and as a syntax tree, and exact offsets between the two.

Programs are parsed, never run. Offsets count characters of the text as it is given, whatever ends its lines.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache

NOT_PARSED = "program: does not parse"
IN_FSTRING = "inside an f-string"

_LINE_END = re.compile(r"\r\n|\r|\n")
_TRIVIA = re.compile(r"(?:[ \t\f\r\n]+|\\(?:\r\n|\r|\n)|#[^\r\n]*)*")
# Template strings came with Python 3.14; like f-strings they hold code whose positions differ between versions.
_FORMATTED: tuple[type[ast.AST], ...] = tuple(
    kind for name in ("JoinedStr", "TemplateStr") if (kind := getattr(ast, name, None)) is not None
)


@dataclass(frozen=True, slots=True)
class Source:
    """A program that parses. lines: the offset at which each line starts."""

    text: str
    tree: ast.Module
    lines: tuple[int, ...]
    _columns: dict[int, list[int]] = field(default_factory=dict)

    def start(self, node: ast.expr | ast.stmt | ast.keyword) -> int:
        """The offset of the node's first character."""
        return self.offset(node.lineno, node.col_offset)

    def end(self, node: ast.expr | ast.stmt | ast.keyword) -> int:
        """The offset after the node's last character."""
        return self.offset(node.end_lineno or node.lineno, node.end_col_offset or 0)

    def offset(self, line: int, column: int) -> int:
        """The offset of a place that `ast` gives: lines count from 1, columns are UTF-8 bytes from 0."""
        start = self.lines[line - 1]
        if self.text.isascii():
            return start + column
        if line not in self._columns:
            end = self.lines[line] if line < len(self.lines) else len(self.text)
            characters = self.text[start:end]
            widths = [len(character.encode()) for character in characters]
            self._columns[line] = [i for i, width in enumerate(widths) for _ in range(width)] + [len(widths)]
        return start + self._columns[line][column]

    def significant(self, offset: int) -> int:
        """The first offset from here on that is neither white space, nor a line continuation, nor a comment."""
        found = _TRIVIA.match(self.text, offset)
        return found.end() if found else offset


@lru_cache(maxsize=4)  # several questions are asked about one program after another
def parse(text: str) -> Source | None:
    """The program, or None if it does not parse: wrong syntax, null bytes, or nested too deeply."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # invalid escapes and the like are the program's affair
            tree = ast.parse(_LINE_END.sub("\n", text))
    except (SyntaxError, ValueError, RecursionError, MemoryError, SystemError):
        return None
    return Source(text, tree, (0, *(end.end() for end in _LINE_END.finditer(text))))


def walk(tree: ast.AST) -> Iterator[tuple[ast.AST, bool]]:
    """Every node, outer before inner, and whether it is inside an f-string, where it has no exact place."""
    stack: list[tuple[ast.AST, bool]] = [(tree, False)]
    while stack:
        node, inside = stack.pop()
        yield node, inside
        inside = inside or isinstance(node, _FORMATTED)
        stack.extend((child, inside) for child in ast.iter_child_nodes(node))
