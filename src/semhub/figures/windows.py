"""Where the tokens of a sound are drawn: each below its window of time, in as many rows as the width asks for."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from statistics import median
from typing import Any

WIDTH, WIDEST, NARROWEST = 860, 110, 34  # pixels: of a row, and of a token
LISTED, LISTED_WIDTH = 16, 53  # tokens in a row where they have no place in time, and how wide they are
MOST_LANES = 8  # tokens that carry one window are drawn below each other, up to so many
APART, ROOM = 64, 30  # pixels between two numbers on the axis, at least, and for one of them
STEPS = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120)  # seconds between them
Window = tuple[float, float]  # start and end, in seconds


@dataclass(frozen=True)
class Cell:
    """One token. x, width in pixels; start, end: the seconds it is drawn over, its window without what others share."""

    row: int
    lane: int
    x: float
    width: float
    start: float = 0.0
    end: float = 0.0


@dataclass(frozen=True)
class Layout:
    """rows: the seconds each one shows. scale: pixels a second; 0 where there is no axis. across: tokens in a row.

    lanes: tokens below each other. typical: how wide a token is, in pixels. overlap: whether windows do. timed: whether
    tokens stand below their time.
    """

    rows: tuple[Window, ...]
    cells: tuple[Cell, ...]
    scale: float
    width: float
    across: int
    lanes: int
    typical: float
    overlap: bool = False
    timed: bool = True


def windows_of(sound: Mapping[str, Any]) -> list[Window]:
    """The windows of a grid's sound; none where they are not known, or not of every position."""
    times = [(float(start), float(end)) for start, end in sound.get("times") or ()]
    return times if len(times) == len(sound["positions"]) else []


def lay_out(times: Sequence[Window]) -> Layout | None:
    """None where windows do not follow each other, or too many tokens carry the same one."""
    groups = [(window, len(list(same))) for window, same in groupby(times)]
    lanes = max((n for _, n in groups), default=0)
    edges = _edges([window for window, _ in groups])
    if not edges or lanes > MOST_LANES or any(end <= start for start, end in edges):
        return None
    n_rows = -(-len(groups) // (WIDTH // NARROWEST))
    per = -(-len(groups) // n_rows)
    parts = [edges[first : first + per] for first in range(0, len(edges), per)]
    rows = [(part[0][0], part[-1][1]) for part in parts]
    middle = median(end - start for start, end in edges)
    longest = max(end - start for start, end in rows)
    scale = min(WIDTH / longest, WIDEST / middle)
    cells = []
    for number, ((start, end), (_, n)) in enumerate(zip(edges, groups, strict=True)):
        row = number // per
        x, wide = (start - rows[row][0]) * scale, (end - start) * scale
        cells += [Cell(row, lane, x, wide, start, end) for lane in range(n)]
    overlap = any(b[0] < a[1] - 1e-6 for (a, _), (b, _) in pairwise(groups))
    return Layout(
        tuple(rows), tuple(cells), scale, longest * scale, per * lanes, lanes, middle * scale, overlap
    )


def listed(n: int, drawn: float) -> Layout:
    """Tokens in order, below the first `drawn` seconds of the sound (0: nothing is drawn)."""
    across = min(LISTED, max(1, n))
    width = LISTED * LISTED_WIDTH
    cells = tuple(Cell(0, index // across, index % across * LISTED_WIDTH, LISTED_WIDTH) for index in range(n))
    scale = width / drawn if drawn else 0.0
    return Layout(((0.0, drawn),), cells, scale, width, across, -(-n // across), LISTED_WIDTH, timed=False)


def _edges(windows: Sequence[Window]) -> list[Window]:
    """The windows without overlaps: what two share is cut in the middle."""
    cuts = [(a[1] + b[0]) / 2 if b[0] < a[1] else None for a, b in pairwise(windows)]
    starts = [
        windows[0][0],
        *(b[0] if cut is None else cut for cut, b in zip(cuts, windows[1:], strict=True)),
    ]
    ends = [*(a[1] if cut is None else cut for cut, a in zip(cuts, windows, strict=False)), windows[-1][1]]
    return list(zip(starts, ends, strict=True))


def ticks(start: float, end: float, scale: float) -> list[tuple[float, str]]:
    """Round seconds between the two: how many pixels after the start, and the text."""
    step = next((one for one in STEPS if one * scale >= APART), STEPS[-1])
    first, last = math.ceil(start / step - 1e-9), math.floor((end - ROOM / scale) / step + 1e-9)
    return [((i * step - start) * scale, f"{seconds(i * step)} s") for i in range(first, last + 1)]


def seconds(value: float) -> str:
    """Two digits after the point at most."""
    return f"{float(value):.2f}".rstrip("0").rstrip(".")


def span(window: Window) -> str:
    return f"{window[0]:.2f} to {window[1]:.2f} s"
