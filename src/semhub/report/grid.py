"""A grid of nearest tokens by itself: as an HTML page and in the terminal."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from semhub.figures.grid import thinned
from semhub.figures.mass import language_name
from semhub.figures.tables import finite
from semhub.figures.text import shorten, visible
from semhub.report.html import environment, stylesheet
from semhub.report.words import number

SHADES = 10
TITLE = 90
CELL, GAP = 8, 2  # columns of the terminal for one token, and to the next
EDGE = 10  # for the layer's number and the borders


def grid_html(grid: Mapping[str, Any]) -> str:
    """A self-contained page with one grid; hover, tap or focus a cell for its top tokens."""
    css = stylesheet(json.dumps(dict(grid), ensure_ascii=False))
    return (
        environment()
        .get_template("grid.html")
        .render(grid=view(grid, every=True), css=css, title=grid.get("title", ""))
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
        "title": shorten(visible(str(grid.get("title", "")), spaces=False), TITLE),
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
    """A rich renderable. Dominant-language cells are bold and underlined; the shade is the probability."""

    grid: Mapping[str, Any]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        grid = self.grid
        per_table = max(1, (options.max_width - EDGE) // (CELL + GAP))
        title = visible(str(grid.get("title", "")), spaces=False)
        yield Text(
            f"{title}  ·  {grid.get('lens', '')} lens", style="bold", overflow="ellipsis", no_wrap=True
        )
        for start in range(0, len(grid["tokens"]), per_table):
            yield self._table(start, start + per_table)
        dominant = language_name(str(grid.get("dominant") or ""))
        yield Text(
            f"cell: nearest token; shade: probability; bold: {dominant or 'dominant language'}", style="dim"
        )

    def _table(self, start: int, stop: int) -> Table:
        table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
        table.add_column("layer", justify="right", no_wrap=True, min_width=5)
        for token in self.grid["tokens"][start:stop]:
            table.add_column(_cut(visible(str(token))), width=CELL, no_wrap=True)
        for layer, cells in zip(self.grid["layers"], self.grid["cells"], strict=True):
            table.add_row(str(layer), *self._row(cells[start:stop]))
        return table

    def _row(self, cells: Sequence[Sequence[Mapping[str, Any]]]) -> Iterator[Text]:
        for tops in cells:
            best = tops[0] if tops else {}
            text = _cut(visible(str(best["token"]))) if tops else Text("")
            p = min(1.0, max(0.0, finite(best.get("p")) or 0.0))
            dominant = _dominant(best, self.grid)
            base = (230, 159, 0) if dominant else (86, 180, 233)
            red, green, blue = (round(255 - p * (255 - part)) for part in base)
            text.stylize(f"{'bold underline ' if dominant else ''}black on rgb({red},{green},{blue})")
            yield text


def _cut(token: str) -> Text:
    text = Text(token, no_wrap=True)
    if cell_len(token) > CELL:
        text.truncate(CELL, overflow="ellipsis")
    return text
