"""A sound's nearest tokens in the terminal: layers below each other, windows of time side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich import box
from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from semhub.figures.grid import thinned
from semhub.figures.text import visible
from semhub.figures.windows import seconds, windows_of
from semhub.report.cells import shaded
from semhub.report.patches import few, nth, often

CELL, GAP = 8, 2  # columns of the terminal for one token, and to the next
EDGE = 10  # for the layer's number and the borders
TABLES = 3  # below each other at most


def strip_lines(grid: Mapping[str, Any], sound: Mapping[str, Any], width: int) -> Iterator[Text | Table]:
    """What is shown, the tables, and which words are nearest most often. Windows after the clip's end are left out."""
    layers, heard = list(grid["layers"]), _heard(sound)
    fit = max(1, (width - EDGE) // (CELL + GAP))
    step = max(1, -(-heard // (fit * TABLES)))
    shown = range(0, heard, step)
    n_tables = -(-len(shown) // fit)
    rows = list(range(len(layers))) if n_tables <= 1 else thinned(layers)
    yield Text(_what(grid, sound, step, heard, len(rows)))
    for number in range(n_tables):
        first, end = (len(shown) * part // n_tables for part in (number, number + 1))
        yield _table(grid, sound, shown[first:end], rows)
    yield from often(grid, sound, few(len(layers)), width)


def _heard(sound: Mapping[str, Any]) -> int:
    """How many positions from the start carry some of the clip, so far as that is known."""
    times, length = windows_of(sound), (sound.get("clip") or {}).get("seconds")
    if not times or length is None:
        return len(sound["positions"])
    return sum(1 for start, _ in times if start < length)


def _what(grid: Mapping[str, Any], sound: Mapping[str, Any], step: int, heard: int, n_rows: int) -> str:
    n, times = len(sound["positions"]), windows_of(sound)
    length = (sound.get("clip") or {}).get("seconds")
    words = [f"sound: {n} positions" + (f", {seconds(length)} s" if length is not None else "")]
    if times and length is not None and times[-1][1] < length:
        words.append(f"they carry the first {seconds(times[-1][1])} s")
    if not times:
        words.append("which part of the clip each carries is not known, they stand in order")
    cuts = [f"the {heard} before the clip's end"] if heard < n else []
    cuts += [f"every {nth(step)} position"] if step > 1 else []
    cuts += [f"{n_rows} of {len(grid['layers'])} layers"] if n_rows < len(grid["layers"]) else []
    if cuts:
        words.append(f"shown: {', '.join(cuts)}; all: --html or --json")
    return "; ".join(words)


def _table(
    grid: Mapping[str, Any], sound: Mapping[str, Any], part: Sequence[int], rows: Sequence[int]
) -> Table:
    """A column's head is the window in seconds, or the number of the position in the sound, from 0."""
    names = [(visible(str(word)), language) for word, language in sound["words"]]
    times = windows_of(sound)
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("layer", justify="right", no_wrap=True, min_width=5)
    for place in part:
        head = [f"{times[place][0]:.2f}", f"–{times[place][1]:.2f} s"] if times else [str(place)]
        best = [names[sound["top"][row][place][0]][0] for row in rows if sound["top"][row][place]]
        width = max(*map(cell_len, head), min(CELL, max(map(cell_len, best), default=1)), 1)
        table.add_column("\n".join(head), width=width, no_wrap=True)
    for row in rows:
        cells = [_cell(grid, sound, row, place, names) for place in part]
        table.add_row(str(grid["layers"][row]), *cells)
    return table


def _cell(
    grid: Mapping[str, Any], sound: Mapping[str, Any], row: int, place: int, names: Sequence[tuple[str, Any]]
) -> Text:
    tops = sound["top"][row][place]
    if not tops:
        return Text("")
    name, language = names[tops[0]]
    dominant = language is not None and language == grid.get("dominant")
    return shaded(name, CELL, sound["p"][row][place][0], dominant)
