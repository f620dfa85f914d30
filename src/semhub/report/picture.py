"""A picture with its patches tinted and labelled by the nearest token, one layer at a time (see layered.py)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup, escape

from semhub.report.layered import ROOM, fitted, layered

WIDTH, WIDEST, NARROWEST, LOWEST = 860, 72, 26, 16  # pixels: of the picture, and of a patch
LISTED = 16  # patches in a row where nobody knows their places
LISTED_WIDTH, LISTED_HEIGHT = 52, 22
WHOLE = (0.0, 0.0, 1.0, 1.0)


def picture_views(
    grid: Mapping[str, Any], layer: int | None = None, room: int = ROOM
) -> list[dict[str, Any]]:
    """What the template draws of each picture of a grid.

    layer: shown at first, the middle one by default. room: packed bytes at most, layers are left out to keep to it.
    """
    return [_view(grid, one, layer, room) for one in grid.get("pictures") or ()]


@dataclass(frozen=True)
class _Cells:
    """Where the patches lie, in pixels of the drawing, and how much text one of them holds."""

    columns: int
    rows: int
    width: float
    height: float

    @classmethod
    def of(cls, picture: Mapping[str, Any]) -> _Cells:
        rows, columns = int(picture["rows"]), int(picture["columns"])
        if not (rows and columns):
            n = max(1, len(picture["positions"]))
            columns = min(LISTED, n)
            return cls(columns, -(-n // columns), LISTED_WIDTH, LISTED_HEIGHT)
        drawn, (left, top, right, bottom) = picture.get("picture") or {}, picture.get("box") or WHOLE
        tall = int(drawn.get("height") or 1) * (bottom - top) / rows
        shape = tall / (int(drawn.get("width") or 1) * (right - left) / columns)
        width = max(NARROWEST, min(WIDEST, WIDTH / columns), LOWEST / shape)
        return cls(columns, rows, round(width, 1), round(width * shape, 1))

    @property
    def font(self) -> float:
        return round(min(12.0, self.height * 0.62, self.width * 0.28), 1)

    def place(self, index: int) -> dict[str, str]:
        """The outline of a patch as SVG path, and the middle of it."""
        x, y = index % self.columns * self.width, index // self.columns * self.height
        return {
            "path": f"M{x:.4g} {y:.4g}h{self.width:g}v{self.height:g}h-{self.width:g}z",
            "x": f"{x + self.width / 2:.4g}",
            "y": f"{y + self.height / 2:.4g}",
        }

    def around(self, box: Sequence[float]) -> dict[str, str]:
        """Where the whole picture lies, of which the patches cover `box`, and the part that they do not cover."""
        left, top, right, bottom = box
        width, height = self.columns * self.width, self.rows * self.height
        wide, tall = width / (right - left), height / (bottom - top)
        x, y = min(0.0, -left * wide), min(0.0, -top * tall)
        across, down = max(width, (1 - left) * wide) - x, max(height, (1 - top) * tall) - y
        return {
            "view_box": f"{x:.5g} {y:.5g} {across:.5g} {down:.5g}",
            "width": f"{across:.5g}",
            "height": f"{down:.5g}",
            "picture": f'x="{-left * wide:.5g}" y="{-top * tall:.5g}" width="{wide:.5g}" height="{tall:.5g}"',
            "unseen": f"M{x:.5g} {y:.5g}h{across:.5g}v{down:.5g}h-{across:.5g}z"
            f"M0 0v{height:.5g}h{width:.5g}v-{height:.5g}z",
        }

    def cut(self, text: str) -> str:
        """The text as far as a patch has room."""
        return fitted(text, self.width, self.font)


def _view(
    grid: Mapping[str, Any], picture: Mapping[str, Any], layer: int | None, room: int
) -> dict[str, Any]:
    cells = _Cells.of(picture)
    found = layered(grid, picture, layer, room, cells.cut)
    drawn = picture.get("picture") or {}
    places = bool(picture["rows"] and picture["columns"])
    box = tuple(picture.get("box") or WHOLE) if places else WHOLE
    return {
        **found,
        "uri": Markup(escape(drawn.get("uri") or "")),
        "picture_width": int(drawn.get("width") or 1),
        "picture_height": int(drawn.get("height") or 1),
        "coarse": int(drawn.get("width") or 1) < 2 * cells.columns * NARROWEST / 3,
        "placed": places,
        "rows": cells.rows,
        "columns": cells.columns,
        "elsewhere": int(picture.get("elsewhere") or 0),
        "around": {name: Markup(value) for name, value in cells.around(box).items()},
        "cropped": tuple(box) != WHOLE,
        "font": cells.font,
        "cells": [{**cells.place(index), **cell} for index, cell in enumerate(found["cells"])],
    }
