"""How every chart looks: palette, fonts, series styles and the layer axis.

Colours are those of Okabe and Ito (2008), told apart by readers with any colour vision; a dash and a shape go
with each. In the dark the page replaces the colours of this file by their exact values, so charts use no others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import altair as alt

FONT = "Semhub Sans SC"
FONTS = f"{FONT}, Noto Sans CJK SC, Source Han Sans SC, PingFang SC, Microsoft YaHei, Arial, sans-serif"
WIDTH, HEIGHT, CANVAS = 300, 175, 374

INK, SOFT, GRID = "#222222", "#555555", "#e8e8e8"
BAND, BAND_EDGE = "#fbeec2", "#b08900"
BLUE, ORANGE, GREEN, PINK, GREY = "#0072b2", "#d55e00", "#00856a", "#a8517f", "#7a7a7a"
SKY, AMBER = "#56b4e9", "#e69f00"
CYCLE = (BLUE, ORANGE, GREEN, PINK, SKY, AMBER, GREY)
LIGHT_GREY = "#b8b8b8"
DARK = {
    INK: "#ecebe8",
    SOFT: "#b9b7b2",
    GRID: "#3a3a3d",
    BAND: "#453c1c",
    BAND_EDGE: "#e0b93f",
    BLUE: "#5ab4ea",
    ORANGE: "#f28a4b",
    GREEN: "#3ec9a7",
    PINK: "#e39cc3",
    GREY: "#9a9a9a",
    LIGHT_GREY: "#6a6a6d",
    "white": "#1e1e20",
    "black": "#ecebe8",
    "#000": "#ecebe8",
}
SOLID: list[int] = []
DASHES = (SOLID, [6, 3], [2, 2], [8, 2, 2, 2], [4, 1], [1, 3])
RIBBON = "M-1.6,-0.8h3.2v1.6h-3.2Z"
SHAPES = ("circle", "square", "triangle-up", "diamond", "triangle-down", "cross")


@dataclass(frozen=True)
class Series:
    """One line or one band of a chart, and how it is told from the others."""

    key: str
    label: str
    color: str
    dash: tuple[int, ...] = ()
    shape: str = "circle"


def _series(*rows: tuple[str, str, str, tuple[int, ...], str]) -> dict[str, Series]:
    return {key: Series(key, label, color, dash, shape) for key, label, color, dash, shape in rows}


CONDITIONS = _series(
    ("matched", "matched pairs", BLUE, (), "circle"),
    ("hard_negative", "hard negatives", ORANGE, (6, 3), "square"),
    ("mismatched", "mismatched pairs", GREY, (2, 2), "triangle-up"),
    ("same_result", "same result", GREEN, (8, 2, 2, 2), "diamond"),
    ("different_result", "different result", PINK, (4, 1), "triangle-down"),
    ("dominant", "dominant word", BLUE, (), "circle"),
    ("surface", "input's own word", ORANGE, (6, 3), "square"),
    ("random_tokens", "random words", GREY, (2, 2), "triangle-up"),
    ("third_language", "third language", PINK, (8, 2, 2, 2), "diamond"),
    ("echo", "echo, current word", GREEN, (4, 1), "triangle-down"),
    ("control", "control words", AMBER, (5, 2, 1, 2), "cross"),
    ("beyond_prior", "dominant, beyond a prior", SKY, (1, 3), "triangle-right"),
)
STEERING = _series(
    ("hypothesis", "hypothesised direction", BLUE, (), "circle"),
    ("none", "unsteered", INK, (), "triangle-down"),
    ("real_difference", "real differences", ORANGE, (6, 3), "square"),
    ("wrong_concept", "wrong concept", PINK, (8, 2, 2, 2), "diamond"),
    ("shuffled", "another case's direction", GREEN, (4, 1), "triangle-down"),
    ("native", "native direction", AMBER, (5, 2, 1, 2), "cross"),
    ("wrong_layer", "wrong layer", SKY, (1, 3), "triangle-right"),
    ("random", "random direction", GREY, (2, 2), "triangle-up"),
    ("interchange", "interchange of the state", INK, (3, 3), "stroke"),
)
NULL = Series("null", "null, 95% of draws", GREY, (), RIBBON)
TWIN = Series("twin", "twins, min to max", PINK, (4, 2), RIBBON)
TWIN_EMBEDDINGS = Series("twin_embeddings", "twins, embeddings kept", AMBER, (1, 2), RIBBON)


def condition(key: str, index: int = 0) -> Series:
    """The style of a condition; an unknown one is styled by its place."""
    return CONDITIONS.get(key) or nth(key, key.replace("_", " "), index)


def nth(key: str, label: str, index: int) -> Series:
    """A style by place, for series that no table above names."""
    dash = tuple(DASHES[index % len(DASHES)])
    return Series(key, label, CYCLE[index % len(CYCLE)], dash, SHAPES[index % len(SHAPES)])


def layer_ticks(n_layers: int) -> list[int]:
    """Whole layers from 0 to L, at most about nine, both ends always among them."""
    step = next(step for step in (1, 2, 4, 5, 8, 10, 16, 20, 40, 10**6) if n_layers / step <= 8)
    ticks = [layer for layer in range(0, n_layers + 1, step) if n_layers - layer >= step / 2]
    return [*ticks, n_layers]


def layer_axis(n_layers: int, field: str = "layer", title: str = "layer") -> Any:
    """The x axis of every chart over layers: 0 (the embedding) to L."""
    return alt.X(
        f"{field}:Q",
        title=title,
        scale=alt.Scale(domain=[0, n_layers], nice=False, zero=False),
        axis=alt.Axis(values=layer_ticks(n_layers), format="d", grid=False),
    )


def config() -> dict[str, Any]:
    """Vega-Lite configuration common to all charts."""
    axis = {
        "labelColor": SOFT,
        "titleColor": SOFT,
        "titleFontWeight": "normal",
        "labelFontSize": 12,
        "titleFontSize": 12,
        "domainColor": GREY,
        "tickColor": GREY,
        "gridColor": GRID,
        "tickSize": 4,
    }
    return {
        "aria": False,
        "font": FONTS,
        "background": "white",
        "view": {"stroke": None},
        "axis": axis,
        "axisY": {"minExtent": 36, "maxExtent": 36, "tickCount": 5, "titlePadding": 2},
        "title": {
            "anchor": "start",
            "frame": "group",
            "offset": 10,
            "color": INK,
            "fontSize": 14,
            "fontWeight": "normal",
            "subtitleColor": SOFT,
            "subtitleFontSize": 12,
            "subtitlePadding": 4,
        },
        "legend": {
            "orient": "bottom",
            "labelColor": SOFT,
            "labelFontSize": 12,
            "labelLimit": 300,
            "symbolSize": 55,
            "symbolOpacity": 1,
            "symbolStrokeWidth": 0,
            "titleColor": SOFT,
            "titleFontWeight": "normal",
            "titleFontSize": 11,
            "columns": 2,
            "columnPadding": 14,
            "rowPadding": 2,
            "offset": 6,
        },
    }
