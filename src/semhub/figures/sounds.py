"""The sound's grid as a chart: its spectrogram, and below each window of time the token that the lens finds nearest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import altair as alt
import pandas as pd

from semhub.figures import theme
from semhub.figures.draft import Draft
from semhub.figures.pictures import middle
from semhub.figures.render import plot
from semhub.figures.text import pictured, shorten, visible
from semhub.figures.windows import Layout, lay_out, listed, windows_of

COLUMNS = ["layer", "position", "start", "end", "nearest", "probability", "language", "dominant"]
SPECTRUM, CELL = 54, 22  # pixels
ROWS = 6  # of time, in the chart at most
LANES = 12  # of tokens whose place in time is not known
CAPTION = (
    "Below each stretch of the sound the token that the lens reads first, at one layer; the table has them all. Shade: "
    "its probability; orange: a token of the dominant language. One example, no interval."
)
IF_FALSE = "the words would not follow what is heard above them."
UNKNOWN = "Which part of the clip each token carries is not known: they stand in the order of the model. "


def sound_draft(grid: Mapping[str, Any], sound: Mapping[str, Any], name: str, layer: int | None) -> Draft:
    """The spectrogram above the tokens of its windows, at `layer` (the middle one by default)."""
    times = windows_of(sound)
    rows = []
    for row, number in enumerate(grid["layers"]):
        for place, (tops, ps) in enumerate(zip(sound["top"][row], sound["p"][row], strict=True)):
            word, language = sound["words"][tops[0]]
            start, end = times[place] if times else (None, None)
            dominant = language is not None and language == grid.get("dominant")
            found = (visible(str(word)), ps[0], language, dominant)
            rows.append((int(number), sound["positions"][place], start, end, *found))
    frame = pd.DataFrame(rows, columns=COLUMNS)
    shown = middle([int(one) for one in grid["layers"]], layer)
    about = shorten(visible(pictured(str(grid.get("title", ""))), spaces=False), 60)
    title = f"Nearest tokens, layer {shown} · {about}"
    here = frame[frame["layer"] == shown].reset_index(drop=True)
    layout = lay_out(times) if times else None
    drawn = (sound.get("clip") or {}).get("spectrogram") or {}
    known = layout is not None
    layout = layout or listed(len(here), float(drawn.get("seconds") or 0))
    chart = _chart(here, layout, drawn, title, grid) if len(here) else None
    caption = CAPTION if known else UNKNOWN + CAPTION
    if len(_shown(layout, drawn)) < len(layout.rows) or layout.lanes > LANES:
        caption += " The chart shows the beginning."
    return Draft(name, str(grid.get("experiment", "")), title, caption, chart, frame, if_false=IF_FALSE)


def _shown(layout: Layout, drawn: Mapping[str, Any]) -> list[tuple[float, float]]:
    """The first rows of time, so far as the clip goes."""
    end = float(drawn.get("seconds") or 0)
    return [row for row in layout.rows[:ROWS] if not end or row[0] < end]


def _chart(
    here: pd.DataFrame, layout: Layout, drawn: Mapping[str, Any], title: str, grid: Mapping[str, Any]
) -> alt.VConcatChart:
    frame = pd.DataFrame(
        {
            "row": [cell.row for cell in layout.cells],
            "left": [cell.x for cell in layout.cells],
            "right": [cell.x + cell.width for cell in layout.cells],
            "top": [float(cell.lane) for cell in layout.cells],
            "bottom": [cell.lane + 1.0 for cell in layout.cells],
            "text": [
                shorten(text, max(3, int(cell.width / 6.5)))
                for text, cell in zip(here["nearest"], layout.cells, strict=True)
            ],
            "probability": here["probability"],
            "kind": ["dominant language" if flag else "other" for flag in here["dominant"]],
        }
    )
    frame = frame[frame["top"] < LANES]
    charts: list[Any] = []
    for number, (start, end) in enumerate(_shown(layout, drawn)):
        if drawn.get("uri") and layout.scale:
            charts.append(_spectrum(drawn, start, end, layout.scale))
        charts.append(_tokens(frame[frame["row"] == number], layout))
    heading = alt.TitleParams(
        text=title,
        subtitle=f"{grid.get('experiment', '')} · {grid.get('lens', '')} lens · n = 1 sound · shade: probability",
    )
    return alt.vconcat(*charts, spacing=4).properties(title=heading).configure(**theme.config())


def _spectrum(drawn: Mapping[str, Any], start: float, end: float, scale: float) -> alt.Chart:
    """The part of the spectrogram between two times, with its axis above."""
    whole = float(drawn["seconds"])
    frame = pd.DataFrame({"x": [whole / 2], "y": [0.5], "uri": [str(drawn["uri"])]})
    axis = alt.Axis(
        orient="top", title=None, labelExpr="datum.label + ' s'", grid=False, domain=False, tickCount=10
    )
    return (
        plot(frame)
        .mark_image(width=whole * scale, height=SPECTRUM, aspect=False, clip=True)
        .encode(
            x=alt.X("x:Q", axis=axis, scale=alt.Scale(domain=[start, end], nice=False)),
            y=alt.Y("y:Q", axis=None, scale=alt.Scale(domain=[0, 1], nice=False)),
            url="uri:N",
        )
        .properties(width=(end - start) * scale, height=SPECTRUM)
    )


def _tokens(frame: pd.DataFrame, layout: Layout) -> alt.LayerChart:
    lanes = max(1, min(layout.lanes, LANES))
    width = float(frame["right"].max()) if len(frame) else layout.width
    wide_scale = alt.Scale(domain=[0, width], nice=False)
    tall_scale = alt.Scale(domain=[0, lanes], reverse=True, nice=False)
    kinds = alt.Scale(domain=["dominant language", "other"], range=[theme.AMBER, theme.SKY])
    base = plot(frame)
    mass = base.mark_rect(stroke="white").encode(
        x=alt.X("left:Q", axis=None, scale=wide_scale),
        y=alt.Y("top:Q", axis=None, scale=tall_scale),
        x2="right:Q",
        y2="bottom:Q",
        color=alt.Color("kind:N", title=None, scale=kinds),
        opacity=alt.Opacity("probability:Q", legend=None, scale=alt.Scale(domain=[0, 1], range=[0.06, 0.9])),
    )
    size = max(7.0, min(11.0, 0.28 * layout.typical))
    text = (
        base.transform_calculate(across="(datum.left + datum.right) / 2", down="datum.top + 0.5")
        .mark_text(fontSize=size, color=theme.INK)
        .encode(x=alt.X("across:Q", axis=None), y=alt.Y("down:Q", axis=None), text="text:N")
    )
    return alt.layer(mass, text).properties(width=width, height=lanes * CELL)
