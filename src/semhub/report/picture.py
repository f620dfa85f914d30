"""A picture with its patches tinted and labelled by the nearest token, one layer at a time.

The page holds one layer as SVG and all shown layers packed: for each layer, patch and rank a place in the table of
words (little-endian) and one byte, 255 * sqrt(p). picture.js unpacks them when the slider is moved.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup, escape
from rich.cells import cell_len, set_cell_size

from semhub.figures.mass import language_name
from semhub.figures.pictures import middle
from semhub.figures.text import pictured, shorten, visible
from semhub.report.words import number

SCRIPT = (Path(__file__).parent / "picture.js").read_text(encoding="utf-8")
SHADES = 10
TITLE = 90
WIDTH, WIDEST, NARROWEST, LOWEST = 860, 72, 26, 16  # pixels: of the picture, and of a patch
LISTED = 16  # patches in a row where nobody knows their places
LISTED_WIDTH, LISTED_HEIGHT = 52, 22
WHOLE = (0.0, 0.0, 1.0, 1.0)
ROOM = 150_000  # packed bytes of one picture in a report
ROOM_ALONE = 3_000_000  # in a page of its own


def picture_views(
    grid: Mapping[str, Any], layer: int | None = None, room: int = ROOM
) -> list[dict[str, Any]]:
    """What the template draws of each picture of a grid.

    layer: shown at first, the middle one by default. room: packed bytes at most, layers are left out to keep to it.
    """
    return [_view(grid, one, layer, room) for one in grid.get("pictures") or ()]


def shown_words(grid: Mapping[str, Any]) -> str:
    """The nearest tokens of every layer, whose glyphs a page needs; those further down show in the reader's fonts."""
    words = []
    for one in grid.get("pictures") or ():
        nearest = {patch[0] for layer in one["top"] for patch in layer if patch}
        words += [str(one["words"][index][0]) for index in sorted(nearest)]
    return "".join(words)


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
        """The text as far as a patch has room, in units of half a square character."""
        room = max(2, int(0.98 * self.width / (0.6 * self.font)))
        return text if cell_len(text) <= room else set_cell_size(text, room - 1).rstrip() + "…"


def _view(
    grid: Mapping[str, Any], picture: Mapping[str, Any], layer: int | None, room: int
) -> dict[str, Any]:
    cells, layers = _Cells.of(picture), [int(one) for one in grid["layers"]]
    words = [visible(str(word)) for word, _ in picture["words"]]
    names = [language_name(str(language or "")) for _, language in picture["words"]]
    dominant = language_name(str(grid.get("dominant") or ""))
    kept = _kept(picture, len(layers), room)
    start = min(kept, key=lambda row: abs(layers[row] - middle(layers, layer)))
    languages = sorted(set(names) | {""})
    cut = [cells.cut(word) for word in words]
    wide = 2 if len(words) <= 0xFFFF else 3
    drawn = picture.get("picture") or {}
    places = bool(picture["rows"] and picture["columns"])
    box = tuple(picture.get("box") or WHOLE) if places else WHOLE
    patches = picture["top"][start]
    return {
        "title": shorten(visible(pictured(str(grid.get("title", ""))), spaces=False), TITLE),
        "experiment": str(grid.get("experiment", "")),
        "case_id": str(grid.get("case_id", "")),
        "lens": str(grid.get("lens", "")),
        "dominant": dominant,
        "uri": Markup(escape(drawn.get("uri") or "")),
        "picture_width": int(drawn.get("width") or 1),
        "picture_height": int(drawn.get("height") or 1),
        "coarse": int(drawn.get("width") or 1) < 2 * cells.columns * NARROWEST / 3,
        "placed": places,
        "rows": cells.rows,
        "columns": cells.columns,
        "n": len(picture["positions"]),
        "elsewhere": int(picture.get("elsewhere") or 0),
        "around": {name: Markup(value) for name, value in cells.around(box).items()},
        "cropped": tuple(box) != WHOLE,
        "font": cells.font,
        "layer": layers[start],
        "last": layers[-1],
        "start": kept.index(start),
        "n_shown": len(kept),
        "all_layers": len(kept) == len(layers),
        "cells": [
            {
                **cells.place(index),
                "kind": _kind(ps, bool(tops) and bool(dominant) and names[tops[0]] == dominant),
                "text": Markup(escape(cut[tops[0]])) if tops else "",
                "tip": Markup(escape(_tip(tops, ps, words))),
            }
            for index, (tops, ps) in enumerate(zip(patches, picture["p"][start], strict=True))
        ],
        "packed": Markup(_packed(picture, kept, wide)),
        "wide": wide,
        "k": max((len(patch) for row in kept for patch in picture["top"][row]), default=0),
        "layers": " ".join(str(layers[row]) for row in kept),
        "words": Markup(escape("\n".join(words))),
        "cut": Markup(escape("\n".join("" if a == b else b for a, b in zip(words, cut, strict=True)))),
        "languages": Markup(escape("\n".join(languages))),
        "spoken": " ".join(str(languages.index(name)) for name in names),
    }


def _kept(picture: Mapping[str, Any], n_layers: int, room: int) -> list[int]:
    """The rows of layers that fit, evenly spaced and with the last."""
    size = 3 * sum(len(patch) for patch in picture["top"][-1]) if n_layers else 1
    step = max(1, -(-n_layers * size // room))
    return list(range(n_layers))[::-1][::step][::-1]


def _kind(ps: Sequence[float], dominant: bool) -> str:
    shade = round(SHADES * min(1.0, max(0.0, ps[0]))) if ps else 0
    return f"s{shade}{' dom' if dominant else ''}"


def _tip(tops: Sequence[int], ps: Sequence[float], words: Sequence[str]) -> str:
    return ", ".join(f"{words[word]} {number(p)}" for word, p in zip(tops, ps, strict=True))


def _packed(picture: Mapping[str, Any], kept: Sequence[int], wide: int) -> str:
    words = np.array([picture["top"][row] for row in kept], dtype=np.uint32)
    share = np.array([picture["p"][row] for row in kept], dtype=np.float64)
    bytes_of = [(words >> (8 * place)) & 0xFF for place in range(wide)]
    bytes_of.append(np.rint(255 * np.sqrt(np.clip(share, 0, 1))))
    return base64.b64encode(np.stack(bytes_of, axis=-1).astype(np.uint8).tobytes()).decode()
