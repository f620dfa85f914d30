"""The picture's grid as a chart: its patches at one layer, each with the token that the lens finds nearest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import pandas as pd

from semhub.figures import theme
from semhub.figures.draft import Draft
from semhub.figures.render import plot
from semhub.figures.text import pictured, shorten, visible

COLUMNS = ["layer", "row", "column", "position", "nearest", "probability", "language", "dominant"]
WIDTH, LISTED = 640, 16
CAPTION = (
    "For each patch of the picture the token that the lens reads first, at one layer; the table has them all. Shade: "
    "its probability; orange: a token of the dominant language. One example, no interval."
)
IF_FALSE = "the words would not follow what lies under them."
UNKNOWN = "The model's patch grid is not known: positions stand in the order in which the model reads them. "


def middle(layers: Sequence[int], wanted: int | None = None) -> int:
    """The layer that is wanted, else the middle one."""
    return layers[len(layers) // 2] if wanted is None else wanted


def picture_draft(grid: Mapping[str, Any], picture: Mapping[str, Any], name: str, layer: int | None) -> Draft:
    """The picture below a heat map of its patches, at `layer` (the middle one by default)."""
    columns, known = int(picture["columns"]), bool(picture["rows"] and picture["columns"])
    across = columns if known else min(LISTED, max(1, len(picture["positions"])))
    rows = []
    for row, number in enumerate(grid["layers"]):
        for patch, (tops, ps) in enumerate(zip(picture["top"][row], picture["p"][row], strict=True)):
            word, language = picture["words"][tops[0]]
            rows.append(
                (
                    int(number), patch // across if known else None, patch % across if known else None,
                    picture["positions"][patch], visible(str(word)), ps[0], language,
                    language is not None and language == grid.get("dominant"),
                )
            )  # fmt: skip
    frame = pd.DataFrame(rows, columns=COLUMNS)
    shown = middle([int(one) for one in grid["layers"]], layer)
    about = shorten(visible(pictured(str(grid.get("title", ""))), spaces=False), 60)
    title = f"Nearest tokens, layer {shown} · {about}"
    here = frame[frame["layer"] == shown].reset_index(drop=True)
    chart = _chart(here, across, picture if known else {}, title, grid) if len(here) else None
    caption = CAPTION if known else UNKNOWN + CAPTION
    return Draft(name, str(grid.get("experiment", "")), title, caption, chart, frame, if_false=IF_FALSE)


def _chart(
    here: pd.DataFrame, across: int, picture: Mapping[str, Any], title: str, grid: Mapping[str, Any]
) -> alt.LayerChart:
    drawn = picture.get("picture") or {}
    down, side = -(-len(here) // across), WIDTH / across
    left, top, right, bottom = picture.get("box") or (0.0, 0.0, 1.0, 1.0)
    wide, tall = WIDTH / (right - left), 0.0
    if drawn:
        tall = wide * float(drawn.get("height") or 1) / float(drawn.get("width") or 1)
    height = tall * (bottom - top) or side * down
    frame = pd.DataFrame(
        {
            "left": [float(index % across) for index in here.index],
            "right": [float(index % across + 1) for index in here.index],
            "top": [float(index // across) for index in here.index],
            "bottom": [float(index // across + 1) for index in here.index],
            "text": [shorten(text, max(3, int(side / 5.5))) for text in here["nearest"]],
            "probability": here["probability"],
            "kind": ["dominant language" if flag else "other" for flag in here["dominant"]],
        }
    )
    wide_scale = alt.Scale(domain=[0, across], nice=False)
    tall_scale = alt.Scale(domain=[0, down], reverse=True, nice=False)
    x = alt.X("left:Q", axis=None, scale=wide_scale)
    y = alt.Y("top:Q", axis=None, scale=tall_scale)
    kinds = alt.Scale(domain=["dominant language", "other"], range=[theme.AMBER, theme.SKY])
    shade = alt.Opacity("probability:Q", legend=None, scale=alt.Scale(domain=[0, 1], range=[0.04, 0.8]))
    base = plot(frame)
    parts: list[Any] = []
    if drawn.get("uri"):
        middles = (0.5 - left) / (right - left) * across, (0.5 - top) / (bottom - top) * down
        whole = pd.DataFrame({"x": middles[:1], "y": middles[1:], "uri": [str(drawn["uri"])]})
        parts.append(
            plot(whole)
            .mark_image(width=wide, height=tall, aspect=False, clip=True)
            .encode(
                x=alt.X("x:Q", axis=None, scale=wide_scale),
                y=alt.Y("y:Q", axis=None, scale=tall_scale),
                url="uri:N",
            )
        )
    parts.append(
        base.mark_rect(stroke="white", strokeWidth=0.4).encode(
            x=x,
            y=y,
            x2="right:Q",
            y2="bottom:Q",
            opacity=shade,
            color=alt.Color("kind:N", title=None, scale=kinds),
        )
    )
    size = min(11.0, 0.3 * side)
    centred = base.transform_calculate(across="datum.left + 0.5", down="datum.top + 0.5")
    places = {"x": alt.X("across:Q", axis=None), "y": alt.Y("down:Q", axis=None), "text": "text:N"}
    parts.append(
        centred.mark_text(fontSize=size, stroke="white", strokeWidth=2.4, opacity=0.8).encode(**places)
    )
    parts.append(centred.mark_text(fontSize=size, color=theme.INK).encode(**places))
    heading = alt.TitleParams(
        text=title,
        subtitle=f"{grid.get('experiment', '')} · {grid.get('lens', '')} lens · n = 1 picture · shade: probability",
    )
    chart = alt.layer(*parts).properties(width=WIDTH, height=height, title=heading)
    return chart.configure(**theme.config())
