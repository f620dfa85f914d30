"""A grid of nearest tokens by itself: as an HTML page and in the terminal."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from markupsafe import Markup
from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from semhub.figures.grid import thinned
from semhub.figures.mass import language_name
from semhub.figures.tables import finite
from semhub.figures.text import pictured, shorten, visible
from semhub.report.cells import cut, shaded
from semhub.report.html import environment, stylesheet
from semhub.report.layered import ROOM_ALONE, SCRIPT, shown_words, without_media
from semhub.report.patches import patch_lines
from semhub.report.picture import picture_views
from semhub.report.sound import sound_views
from semhub.report.strip import strip_lines
from semhub.report.words import number

SHADES = 10
TITLE = 90
CELL, GAP = 8, 2  # columns of the terminal for one token, and to the next
TABLES = 4  # below each other at most
EDGE = 10  # for the layer's number and the borders


def grid_html(grid: Mapping[str, Any]) -> str:
    """A self-contained page with one grid, its pictures and sounds first; hover, tap or focus a cell for its tokens."""
    pictures, sounds = picture_views(grid, room=ROOM_ALONE), sound_views(grid, room=ROOM_ALONE)
    css = stylesheet(json.dumps(without_media(grid), ensure_ascii=False) + shown_words(grid))
    return (
        environment()
        .get_template("grid.html")
        .render(
            grid=view(grid, every=True),
            pictures=pictures,
            sounds=sounds,
            css=css,
            script=Markup(SCRIPT) if pictures or sounds else "",
            title=pictured(str(grid.get("title", ""))),
        )
    )


def grid_rich(grid: Mapping[str, Any]) -> GridText:
    """The grid for a rich console, broken into as many tables as its width needs."""
    return GridText(grid)


def view(grid: Mapping[str, Any], every: bool = False) -> dict[str, Any]:
    """What the template draws: rows of cells with their words made visible. every: all layers, none left out."""
    rows = []
    chosen = range(len(grid["layers"])) if every else thinned(list(grid["layers"]))
    width = len(grid["tokens"])
    for row in chosen:
        cells = [_cell(cell, grid, position >= width / 2) for position, cell in enumerate(grid["cells"][row])]
        rows.append({"layer": int(grid["layers"][row]), "cells": cells})
    return {
        "title": shorten(visible(pictured(str(grid.get("title", ""))), spaces=False), TITLE),
        "experiment": str(grid.get("experiment", "")),
        "case_id": str(grid.get("case_id", "")),
        "lens": str(grid.get("lens", "")),
        "dominant": language_name(str(grid.get("dominant") or "")),
        "tokens": [visible(str(token)) for token in grid["tokens"]],
        "rows": rows,
    }


def _cell(tops: Sequence[Mapping[str, Any]], grid: Mapping[str, Any], right: bool) -> dict[str, Any]:
    best = tops[0] if tops else {}
    shade = round(SHADES * min(1.0, max(0.0, finite(best.get("p")) or 0.0)))
    return {
        "text": visible(str(best["token"])) if tops else "",
        "kind": f"s{shade}{' dom' if _dominant(best, grid) else ''}{' right' if right else ''}",
        "tops": [
            {
                "token": visible(str(top.get("token", ""))),
                "p": number(top.get("p")),
                "language": language_name(str(top.get("language") or "")),
            }
            for top in tops
        ],
    }


def _dominant(best: Mapping[str, Any], grid: Mapping[str, Any]) -> bool:
    return best.get("language") is not None and best.get("language") == grid.get("dominant")


@dataclass(frozen=True)
class GridText:
    """A rich renderable. With colours the shade is the probability; dominant-language cells are bold and underlined.

    A long text shows its last positions only; where they need several tables, layers are thinned out too.
    """

    grid: Mapping[str, Any]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        grid = self.grid
        title = visible(pictured(str(grid.get("title", ""))), spaces=False)
        lens = f"  ·  {grid.get('lens', '')} lens"
        heading = cut(title, max(CELL, options.max_width - cell_len(lens))).append(lens)
        heading.stylize("bold")
        yield heading
        for one in grid.get("pictures") or ():
            yield from patch_lines(grid, one, options.max_width)
        for one in grid.get("sounds") or ():
            yield from strip_lines(grid, one, options.max_width)
        if not grid["tokens"]:
            yield Text(self._legend(console, False), style="dim")
            return
        n, layers = len(grid["tokens"]), list(grid["layers"])
        parts = self._parts(options.max_width - EDGE)
        rows = list(range(len(layers))) if len(parts) == 1 else thinned(layers)
        if grid.get("pictures") or grid.get("sounds"):
            yield Text("text:")
        cuts = [f"the last {n - parts[0].start} of {n} positions"] if parts[0].start else []
        cuts += ["every other layer"] if len(rows) < len(layers) else []
        if cuts:
            yield Text(f"shown: {', '.join(cuts)}")
        for part in parts:
            yield self._table(part, rows)
        yield Text(self._legend(console, bool(cuts)), style="dim")

    def _legend(self, console: Console, cut: bool) -> str:
        """Only what this console can show: nothing about shades without colours."""
        words = ["cell: nearest token"]
        coloured = console.color_system is not None and not console.no_color
        dominant = language_name(str(self.grid.get("dominant") or ""))
        if coloured:
            words.append("shade: its probability")
        if dominant and console.color_system is not None:
            words.append(f"bold: {dominant}")
        absent = [] if coloured else ["probabilities"]
        absent += ["the rest"] if cut else []
        if absent:
            words.append(f"{' and '.join(absent)}: --html or --json")
        return "; ".join(words)

    def _parts(self, room: int) -> list[range]:
        """Positions in runs that fit `room` columns of the terminal; the last ones, of more than TABLES runs."""
        widths = [self._width(position) + GAP for position in range(len(self.grid["tokens"]))]
        counts = _packed(widths, room)
        if len(counts) > TABLES:
            counts = _packed(widths[::-1], room)[:TABLES][::-1]
        starts = accumulate(counts, initial=len(widths) - sum(counts))
        return [range(start, start + count) for start, count in zip(starts, counts, strict=False)]

    def _width(self, position: int) -> int:
        texts = [self.grid["tokens"][position], *(_best(cells[position]) for cells in self.grid["cells"])]
        return min(CELL, max(cell_len(visible(str(text))) for text in texts))

    def _table(self, part: range, rows: Sequence[int]) -> Table:
        table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
        table.add_column("layer", justify="right", no_wrap=True, min_width=5)
        for position in part:
            token = cut(visible(str(self.grid["tokens"][position])), CELL)
            table.add_column(token, width=self._width(position), no_wrap=True)
        for row in rows:
            cells = self.grid["cells"][row][part.start : part.stop]
            table.add_row(str(self.grid["layers"][row]), *self._row(cells))
        return table

    def _row(self, cells: Sequence[Sequence[Mapping[str, Any]]]) -> Iterator[Text]:
        for tops in cells:
            best = tops[0] if tops else {}
            p, dominant = finite(best.get("p")) or 0.0, _dominant(best, self.grid)
            yield shaded(visible(_best(tops)), CELL, p, dominant) if tops else Text("")


def _packed(widths: Sequence[int], room: int) -> list[int]:
    """How many of the widths go into each run of at most `room`, at least one each."""
    counts, used = [0], 0
    for width in widths:
        if counts[-1] and used + width > room:
            counts.append(0)
            used = 0
        counts[-1] += 1
        used += width
    return counts


def _best(tops: Sequence[Mapping[str, Any]]) -> str:
    return str(tops[0]["token"]) if tops else ""
