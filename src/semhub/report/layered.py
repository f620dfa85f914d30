"""What a page holds of the layers of one picture or one sound, of which it shows one at a time.

One layer is in the page as SVG and all shown layers packed: for each layer, position and rank a place in the table of
words (little-endian) and one byte, 255 * sqrt(p). layered.js unpacks them when the slider is moved.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup, escape
from rich.cells import cell_len, set_cell_size

from semhub.figures.mass import language_name
from semhub.figures.pictures import middle
from semhub.figures.text import pictured, shorten, visible
from semhub.report.words import number

SCRIPT = (Path(__file__).parent / "layered.js").read_text(encoding="utf-8")
SHADES = 10
TITLE = 90
ROOM = 150_000  # packed bytes of one picture or sound in a report
ROOM_ALONE = 3_000_000  # in a page of its own


def shown_words(grid: Mapping[str, Any]) -> str:
    """The nearest tokens of every layer, whose glyphs a page needs; those further down show in the reader's fonts."""
    words = []
    for one in (*(grid.get("pictures") or ()), *(grid.get("sounds") or ())):
        nearest = {tops[0] for layer in one["top"] for tops in layer if tops}
        words += [str(one["words"][index][0]) for index in sorted(nearest)]
    return "".join(words)


def without_media(grid: Mapping[str, Any]) -> dict[str, Any]:
    """The grid of the text alone."""
    return {key: value for key, value in grid.items() if key not in ("pictures", "sounds")}


def layered(
    grid: Mapping[str, Any], one: Mapping[str, Any], layer: int | None, room: int, cut: Callable[[str], str]
) -> dict[str, Any]:
    """What pictures and sounds have in common for the template; `cells` are those of the layer shown at first.

    layer: the middle one by default. room: packed bytes at most, layers are left out to keep to it. cut: a word as far
    as a cell has room.
    """
    layers = [int(number) for number in grid["layers"]]
    words = [visible(str(word)) for word, _ in one["words"]]
    names = [language_name(str(language or "")) for _, language in one["words"]]
    dominant = language_name(str(grid.get("dominant") or ""))
    kept = _kept(one, len(layers), room)
    start = min(kept, key=lambda row: abs(layers[row] - middle(layers, layer)))
    languages = sorted(set(names) | {""})
    short = [cut(word) for word in words]
    wide = 2 if len(words) <= 0xFFFF else 3
    return {
        "title": shorten(visible(pictured(str(grid.get("title", ""))), spaces=False), TITLE),
        "experiment": str(grid.get("experiment", "")),
        "case_id": str(grid.get("case_id", "")),
        "lens": str(grid.get("lens", "")),
        "dominant": dominant,
        "n": len(one["positions"]),
        "layer": layers[start],
        "last": layers[-1],
        "start": kept.index(start),
        "n_shown": len(kept),
        "all_layers": len(kept) == len(layers),
        "cells": [
            {
                "kind": _kind(ps, bool(tops) and bool(dominant) and names[tops[0]] == dominant),
                "text": Markup(escape(short[tops[0]])) if tops else "",
                "tip": Markup(escape(_tip(tops, ps, words))),
            }
            for tops, ps in zip(one["top"][start], one["p"][start], strict=True)
        ],
        "packed": Markup(_packed(one, kept, wide)),
        "wide": wide,
        "k": max((len(tops) for row in kept for tops in one["top"][row]), default=0),
        "layers": " ".join(str(layers[row]) for row in kept),
        "words": Markup(escape("\n".join(words))),
        "cut": Markup(escape("\n".join("" if a == b else b for a, b in zip(words, short, strict=True)))),
        "languages": Markup(escape("\n".join(languages))),
        "spoken": " ".join(str(languages.index(name)) for name in names),
    }


def fitted(text: str, width: float, font: float) -> str:
    """The text as far as `width` has room, in units of half a square character."""
    room = max(2, int(0.98 * width / (0.6 * font)))
    return text if cell_len(text) <= room else set_cell_size(text, room - 1).rstrip() + "…"


def _kept(one: Mapping[str, Any], n_layers: int, room: int) -> list[int]:
    """The rows of layers that fit, evenly spaced and with the last."""
    size = 3 * sum(len(tops) for tops in one["top"][-1]) if n_layers else 1
    step = max(1, -(-n_layers * size // room))
    return list(range(n_layers))[::-1][::step][::-1]


def _kind(ps: Sequence[float], dominant: bool) -> str:
    shade = round(SHADES * min(1.0, max(0.0, ps[0]))) if ps else 0
    return f"s{shade}{' dom' if dominant else ''}"


def _tip(tops: Sequence[int], ps: Sequence[float], words: Sequence[str]) -> str:
    return ", ".join(f"{words[word]} {number(p)}" for word, p in zip(tops, ps, strict=True))


def _packed(one: Mapping[str, Any], kept: Sequence[int], wide: int) -> str:
    words = np.array([one["top"][row] for row in kept], dtype=np.uint32)
    share = np.array([one["p"][row] for row in kept], dtype=np.float64)
    bytes_of = [(words >> (8 * place)) & 0xFF for place in range(wide)]
    bytes_of.append(np.rint(255 * np.sqrt(np.clip(share, 0, 1))))
    return base64.b64encode(np.stack(bytes_of, axis=-1).astype(np.uint8).tobytes()).decode()
