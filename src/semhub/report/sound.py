"""A sound's spectrogram with the nearest tokens below their windows of time, one layer at a time (see layered.py)."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from markupsafe import Markup, escape

from semhub.figures.windows import Layout, lay_out, listed, seconds, span, ticks, windows_of
from semhub.report.layered import ROOM, fitted, layered

SPECTRUM, THIN = 72, 44  # pixels: how high the spectrogram is, in a few rows and in many
FLAT = 8  # a row after the clip's end
FEW = 4  # rows
CELL, AXIS, GAP = 22, 18, 12  # pixels: of a token, of the time's numbers, between rows
FONT, SMALLEST = 12.0, 9.0
POSITIONS = 1000  # shown at most


def sound_views(grid: Mapping[str, Any], layer: int | None = None, room: int = ROOM) -> list[dict[str, Any]]:
    """What the template draws of each sound of a grid.

    layer: shown at first, the middle one by default. room: packed bytes at most, layers are left out to keep to it.
    """
    return [_view(grid, one, layer, room) for one in grid.get("sounds") or ()]


def _view(grid: Mapping[str, Any], whole: Mapping[str, Any], layer: int | None, room: int) -> dict[str, Any]:
    one, times = _first(whole), windows_of(whole)
    clip = whole.get("clip") or {}
    drawn = clip.get("spectrogram") or {}
    length = float(clip.get("seconds") or 0)
    layout = lay_out(times[: len(one["positions"])]) if times else None
    placed = layout is not None
    layout = layout or listed(len(one["positions"]), float(drawn.get("seconds") or 0))
    font = round(max(SMALLEST, min(FONT, layout.typical * 0.28)), 1)
    found = layered(grid, one, layer, room, lambda text: fitted(text, layout.typical, font))
    rows, cells, height = _drawing(layout, length, bool(drawn))
    own = f"{found['title']}|{found['experiment']}|{found['case_id']}|{whole['at']}|{clip.get('uri', '')}"
    return {
        **found,
        "id": f"clip-{sha256(own.encode('utf-8', 'backslashreplace')).hexdigest()[:12]}",
        "uri": Markup(escape(clip.get("uri") or "")),
        "spectrum": Markup(escape(drawn.get("uri") or "")),
        "spectrum_width": f"{100 * float(drawn.get('seconds') or 0):.5g}",
        "placed": placed,
        "unplaced": "" if placed else _unplaced(times, len(whole["positions"])),
        "notes": _notes(whole, clip, layout if placed else None, times),
        "rows": rows,
        "columns": layout.across,
        "width": f"{layout.width:.5g}",
        "height": f"{height:.5g}",
        "font": font,
        "cells": [{**place, **cell} for place, cell in zip(cells, found["cells"], strict=True)],
        "places": Markup(escape("\n".join(span(window) for window in times[: len(one["positions"])]))),
        "starts": " ".join(f"{cell.start:.5g}" for cell in layout.cells) if placed else "",
        "ends": " ".join(f"{cell.end:.5g}" for cell in layout.cells) if placed else "",
    }


def _first(sound: Mapping[str, Any]) -> dict[str, Any]:
    """The sound with as many positions as a page shows."""
    cut = {key: [layer[:POSITIONS] for layer in sound[key]] for key in ("top", "p")}
    return {**sound, **cut, "positions": sound["positions"][:POSITIONS]}


def _drawing(
    layout: Layout, length: float, spectrum: bool
) -> tuple[list[dict[str, Any]], list[dict[str, Any]], float]:
    """Rows (time, spectrogram, tokens) and tokens as numbers of the SVG, and its height. length: of the clip [s]."""
    tall = (SPECTRUM if len(layout.rows) <= FEW else THIN) if spectrum else 0
    above = AXIS if layout.scale else 0
    rows, bottoms, top = [], [], 0.0
    for start, end in layout.rows:
        high = FLAT if tall and length and start >= length else tall
        if layout.scale:
            rows.append(_row(layout, (start, end), top, high, length))
        bottoms.append(top + above + high + (0 if layout.timed else GAP))
        top = bottoms[-1] + layout.lanes * CELL + GAP
    cells = []
    for cell in layout.cells:
        y = bottoms[cell.row] + cell.lane * CELL
        cells.append(
            {
                "path": f"M{cell.x:.5g} {y:.5g}h{cell.width:.5g}v{CELL}h-{cell.width:.5g}z",
                "x": f"{cell.x + cell.width / 2:.5g}",
                "y": f"{y + CELL / 2:.5g}",
            }
        )
    return rows, cells, top - GAP


def _row(layout: Layout, shown: tuple[float, float], top: float, high: int, length: float) -> dict[str, Any]:
    """The time and the spectrogram of one row, `high` pixels high; what lies after the clip's end is covered."""
    start, end = shown
    wide = (end - start) * layout.scale
    x = (min(max(length, start), end) - start) * layout.scale if length else wide
    return {
        "top": f"{top:.5g}",
        "label": f"{top + AXIS - 5:.5g}",
        "y": f"{top + AXIS:.5g}",
        "width": f"{wide:.5g}",
        "height": high,
        "view_box": f"{100 * start:.6g} 0 {100 * (end - start):.6g} 100",
        "heard": x > 0,
        "after": f"M{x:.5g} {top + AXIS:.5g}H{wide:.5g}v{high}H{x:.5g}z" if wide - x > 2 else "",
        "ticks": [
            {"x": f"{at:.5g}", "text_x": f"{at + 3:.5g}", "text": text}
            for at, text in ticks(start, end, layout.scale)
        ],
    }


def _unplaced(times: list[tuple[float, float]], n: int) -> str:
    order = f"the sound's {n} positions stand in the order in which the model reads them, without a time axis"
    if times:
        return f"The windows of this model's tokens cannot be drawn side by side: {order}."
    return f"Which part of the clip each token carries is not known for this model: {order}."


def _notes(
    whole: Mapping[str, Any], clip: Mapping[str, Any], layout: Layout | None, times: list[tuple[float, float]]
) -> list[str]:
    """What a reader of this one picture must know, a sentence each."""
    notes, length = [], float(clip.get("seconds") or 0)
    drawn = clip.get("spectrogram") or {}
    if drawn:
        top = f"{float(drawn.get('top') or 0) / 1000:g}"
        notes.append(f"Spectrogram: 0 to {top} kHz on the mel scale; what stands out is loud.")
    if times and drawn and float(drawn["seconds"]) < min(length, times[-1][1]) - 0.05:
        notes.append(f"It is of the first {seconds(drawn['seconds'])} s.")
    if clip.get("uri") and float(clip.get("played") or 0) < length - 0.01:
        notes.append(f"The first {seconds(clip['played'])} s of {seconds(length)} s can be played.")
    if times and length:
        last = max(end for _, end in times)
        if last > length + 0.05:
            notes.append(f"The clip ends at {seconds(length)} s; what follows is filled up, without a sound.")
        elif last < length - 0.05:
            notes.append(f"The tokens carry the first {seconds(last)} s of {seconds(length)} s.")
    if layout is not None and layout.overlap:
        notes.append("The windows overlap: a token stands in the middle of its own.")
    if layout is not None and layout.lanes > 1:
        notes.append("Tokens that carry the same window stand below each other, in order.")
    if len(whole["positions"]) > POSITIONS:
        notes.append(f"The first {POSITIONS} of {len(whole['positions'])} positions are shown.")
    return notes
