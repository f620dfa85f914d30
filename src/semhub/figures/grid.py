"""The grid of the paper's Figure 1: for every other layer and every position, the nearest token."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import altair as alt
import pandas as pd

from semhub.figures import theme
from semhub.figures.draft import Draft
from semhub.figures.render import plot
from semhub.figures.text import pictured, shorten, visible

MANY_ROWS = 12
CELL_WIDTH, CELL_HEIGHT = 54, 19
FEW_POSITIONS = 40


def thinned(layers: list[int]) -> list[int]:
    """Row numbers to show: all of a short grid, every other one of a long grid, the last always among them."""
    rows = list(range(len(layers)))
    return rows if len(rows) <= MANY_ROWS else rows[::-1][::2][::-1]


def grid_draft(grid: Mapping[str, Any], name: str) -> Draft:
    """A heat map: shade is the probability of the nearest token, a frame marks the dominant language."""
    rows = []
    tokens = [str(token) for token in grid["tokens"]]
    for row in thinned(list(grid["layers"])):
        for position, cell in enumerate(grid["cells"][row]):
            best = cell[0] if cell else {}
            rows.append(
                {
                    "layer": int(grid["layers"][row]),
                    "position": position,
                    "input": visible(tokens[position]) if position < len(tokens) else "",
                    "nearest": visible(str(best.get("token", ""))),
                    "probability": best.get("p"),
                    "language": best.get("language"),
                    "dominant": bool(best)
                    and best.get("language") is not None
                    and best.get("language") == grid.get("dominant"),
                }
            )
    frame = pd.DataFrame(
        rows, columns=["layer", "position", "input", "nearest", "probability", "language", "dominant"]
    )
    title = f"Nearest tokens · {shorten(visible(pictured(str(grid.get('title', ''))), spaces=False), 60)}"
    caption = (
        "For each layer and position the token that the lens reads first. Shade: its probability; "
        "orange: a token of the dominant language. One example, no interval."
    )
    shown = frame[frame["position"] < FEW_POSITIONS]
    return Draft(
        name,
        str(grid.get("experiment", "")),
        title,
        caption,
        _chart(shown, title, grid) if len(shown) else None,
        frame,
    )


def _chart(frame: pd.DataFrame, title: str, grid: Mapping[str, Any]) -> alt.LayerChart:
    frame = frame.assign(
        text=[shorten(text, 7) for text in frame["nearest"]],
        kind=["dominant language" if flag else "other" for flag in frame["dominant"]],
    )
    names = [shorten(text, 7) for text in frame.drop_duplicates("position")["input"]]
    joined = " ".join(f"datum.value == {index} ? {_quoted(text)} :" for index, text in enumerate(names))
    axis = alt.Axis(
        orient="top",
        labelExpr=f"{joined} ''",
        labelAngle=0,
        grid=False,
        ticks=False,
        domain=False,
        title=None,
    )
    x = alt.X("position:O", axis=axis)
    y = alt.Y("layer:O", title="layer", axis=alt.Axis(grid=False, ticks=False, domain=False))
    color = alt.Color(
        "kind:N",
        title=None,
        scale=alt.Scale(domain=["dominant language", "other"], range=[theme.AMBER, theme.SKY]),
    )
    opacity = alt.Opacity("probability:Q", legend=None, scale=alt.Scale(domain=[0, 1], range=[0.06, 0.9]))
    base = plot(frame).encode(x=x, y=y)
    mass = base.mark_rect(stroke="white").encode(color=color, opacity=opacity)
    text = base.mark_text(fontSize=10, color=theme.INK).encode(text="text:N")
    heading = alt.TitleParams(
        text=title,
        subtitle=f"{grid.get('experiment', '')} · {grid.get('lens', '')} lens · n = 1 text · shade: probability",
    )
    return (
        alt.layer(mass, text)
        .properties(
            width=CELL_WIDTH * frame["position"].nunique(),
            height=CELL_HEIGHT * frame["layer"].nunique(),
            title=heading,
        )
        .configure(**theme.config())
    )


def _quoted(text: str) -> str:
    """A Vega expression: only letters of any script and plain signs pass as themselves.

    The string is cut in two, because Vega's parser takes the string 'if' for its function of that name.
    """
    spelled = [c if c.isalnum() or c in " .,+=-*/" else f"\\u{ord(c):04x}" for c in text if ord(c) < 0x10000]
    return f"'{''.join(spelled[:1])}'+'{''.join(spelled[1:])}'"
