"""A picture's nearest tokens in the terminal: a few layers, and of many patches every so many rows and columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich import box
from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from semhub.figures.text import visible
from semhub.report.cells import cut, shaded

CELL, GAP = 8, 2  # columns of the terminal for one token, and to the next
EDGE = 18  # for the numbers of layer and row, and the borders
LAYERS, ROWS = 4, 8  # at most
OFTEN = 3  # words named for each layer
OFTEN_CELL = 16


def patch_lines(grid: Mapping[str, Any], picture: Mapping[str, Any], width: int) -> Iterator[Text | Table]:
    """What is shown, the table, and which words are nearest most often."""
    n, layers = len(picture["positions"]), few(len(grid["layers"]))
    known = bool(picture["rows"] and picture["columns"])
    room = max(1, (width - EDGE) // (CELL + GAP))
    across = int(picture["columns"]) if known else min(room, max(1, n))
    step = -(-across // room)
    columns = range(0, across, step)
    down = -(-n // across)
    rows = range(0, down, max(step if known else 1, -(-down // ROWS)))
    yield Text(_what(picture, grid, layers, columns, rows, known))
    yield _table(grid, picture, layers, rows, columns, across, known)
    yield from often(grid, picture, layers, width)


def few(n_layers: int) -> list[int]:
    """Rows of a few layers, evenly spaced, the last among them."""
    if n_layers <= LAYERS:
        return list(range(n_layers))
    return [round((n_layers - 1) * part / LAYERS) for part in range(1, LAYERS + 1)]


def _what(
    picture: Mapping[str, Any],
    grid: Mapping[str, Any],
    layers: Sequence[int],
    columns: range,
    rows: range,
    known: bool,
) -> str:
    n = len(picture["positions"])
    if known:
        words = [f"picture: {picture['rows']} rows x {picture['columns']} columns of patches"]
    else:
        words = [f"picture: {n} positions in the order of the model, whose patch grid is not known"]
    cuts = [f"every {_every(rows.step, columns.step)}"] if max(rows.step, columns.step) > 1 else []
    cuts += [f"{len(layers)} of {len(grid['layers'])} layers"] if len(layers) < len(grid["layers"]) else []
    if cuts:
        words.append(f"shown: {', '.join(cuts)}; all: --html or --json")
    return "; ".join(words)


def _every(rows: int, columns: int) -> str:
    if rows == columns:
        return f"{nth(rows)} row and column"
    return " and ".join(
        f"{nth(step)} {name}" for step, name in ((rows, "row"), (columns, "column")) if step > 1
    )


def nth(step: int) -> str:
    return {2: "2nd", 3: "3rd"}.get(step, f"{step}th")


def _table(
    grid: Mapping[str, Any],
    picture: Mapping[str, Any],
    layers: Sequence[int],
    rows: range,
    columns: range,
    across: int,
    known: bool,
) -> Table:
    """Rows and columns count from 0; where the grid is not known a row is named by its first position."""
    names = [(visible(str(word)), language) for word, language in picture["words"]]
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("layer", justify="right", no_wrap=True, min_width=5)
    table.add_column("row" if known else "from", justify="right", no_wrap=True)
    for column in columns:
        places = [row * across + column for row in rows if row * across + column < len(picture["positions"])]
        shown = [names[picture["top"][layer][place][0]][0] for layer in layers for place in places]
        width = min(CELL, max(map(cell_len, shown), default=1))
        table.add_column(str(column) if known else "", width=max(width, len(str(column))), no_wrap=True)
    for layer in layers:
        for number, row in enumerate(rows):
            cells = [
                _cell(picture, layer, row * across + column, names, grid.get("dominant"))
                for column in columns
            ]
            first = str(grid["layers"][layer]) if not number else ""
            table.add_row(first, str(row if known else row * across), *cells, end_section=row == rows[-1])
    return table


def _cell(
    picture: Mapping[str, Any], layer: int, patch: int, names: Sequence[tuple[str, Any]], dominant: object
) -> Text:
    if patch >= len(picture["top"][layer]):
        return Text("")
    name, language = names[picture["top"][layer][patch][0]]
    return shaded(name, CELL, picture["p"][layer][patch][0], language is not None and language == dominant)


def often(
    grid: Mapping[str, Any], one: Mapping[str, Any], layers: Sequence[int], width: int
) -> Iterator[Text]:
    """The words that are nearest at most positions of a picture or a sound, a line for each of these rows of layers."""
    n = len(one["positions"])
    for layer in layers:
        nearest = Counter(tops[0] for tops in one["top"][layer])
        said = [
            f"{cut(visible(str(one['words'][word][0])), OFTEN_CELL).plain} {count / n:.0%}"
            for word, count in nearest.most_common(OFTEN)
        ]
        line = Text(f"layer {grid['layers'][layer]}, nearest most often: {', '.join(said)}", no_wrap=True)
        line.truncate(width, overflow="ellipsis")
        yield line
