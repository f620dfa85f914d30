"""The one chart over layers: lines with their intervals, nulls as bands, the band of the verdict behind them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import pandas as pd

from semhub.figures import theme
from semhub.figures.render import plot
from semhub.figures.theme import Series

CURVE_COLUMNS = ["layer", "series", "estimate", "ci_low", "ci_high"]


@dataclass(frozen=True)
class Panel:
    """What a chart over layers is told besides its numbers.

    band: first and last layer to shade. zero: draw a line at 0 and keep it in sight. height: of the plot, in pixels.
    """

    title: str
    subtitle: tuple[str, ...]
    y_title: str
    n_layers: int
    band: tuple[int, int] | None = None
    zero: bool = False
    height: int = theme.HEIGHT


def layer_chart(lines: pd.DataFrame, bands: pd.DataFrame, series: Sequence[Series], panel: Panel) -> Any:
    """lines, bands: columns layer, series, estimate, ci_low, ci_high; `series` gives order and style of both."""
    shown = [item for item in series if item.key in set(lines["series"]) | set(bands["series"])]
    labels = {item.key: item.label for item in shown}
    lines = lines.assign(label=lines["series"].map(labels))
    bands = bands.assign(label=bands["series"].map(labels))
    domain = [item.label for item in shown]
    color = alt.Color(
        "label:N", title=None, scale=alt.Scale(domain=domain, range=[item.color for item in shown])
    )
    shape = alt.Shape(
        "label:N", title=None, scale=alt.Scale(domain=domain, range=[item.shape for item in shown])
    )
    x = theme.layer_axis(panel.n_layers)
    scale = alt.Scale(zero=panel.zero)
    y = alt.Y("estimate:Q", title=panel.y_title, scale=scale)
    parts = [*background(panel)]
    if panel.zero:
        parts.append(_zero())
    if len(bands):
        ribbon = plot(bands).encode(x=x, color=color)
        parts.append(
            ribbon.mark_area(opacity=0.22).encode(
                y=alt.Y("ci_low:Q", title=panel.y_title, scale=scale), y2="ci_high:Q"
            )
        )
        for item in (item for item in shown if item.key in set(bands["series"])):
            own = plot(bands[bands["series"] == item.key]).encode(x=x, color=color)
            edge = own.mark_line(strokeWidth=0.9, strokeDash=list(item.dash), opacity=0.8)
            parts += [edge.encode(y="ci_low:Q"), edge.encode(y="ci_high:Q")]
    if len(lines):
        curve = plot(lines).encode(x=x, color=color)
        interval = curve.transform_filter("isValid(datum.ci_low) && isValid(datum.ci_high)")
        parts.append(
            interval.mark_area(opacity=0.18).encode(y=alt.Y("ci_low:Q", scale=scale), y2="ci_high:Q")
        )
        parts.append(
            interval.mark_rule(opacity=0.55).encode(y=alt.Y("ci_low:Q", scale=scale), y2="ci_high:Q")
        )
        # A dash channel would draw dashed outlines around the legend's symbols, or end the legend altogether.
        for item in (item for item in shown if item.key in set(lines["series"])):
            own = plot(lines[lines["series"] == item.key]).encode(x=x, y=y, color=color)
            parts.append(own.mark_line(strokeWidth=1.8, strokeDash=list(item.dash)))
        size = 26 if panel.n_layers <= 40 else 12
        parts.append(curve.mark_point(filled=True, opacity=1, size=size).encode(y=y, shape=shape))
    chart = alt.layer(*parts).properties(width=theme.WIDTH, height=panel.height, title=heading(panel))
    return chart.configure(**theme.config())


def heading(panel: Panel) -> Any:
    return alt.TitleParams(text=panel.title, subtitle=list(panel.subtitle))


def background(panel: Panel, label: bool = True) -> list[Any]:
    """The found band as a light background with its layers named, or nothing."""
    if panel.band is None:
        return []
    low, high = panel.band
    frame = pd.DataFrame(
        {
            "layer": [max(0.0, low - 0.5)],
            "end": [min(float(panel.n_layers), high + 0.5)],
            "name": [f"L{low}" if low == high else f"L{low}–{high}"],
        }
    )
    base = plot(frame).encode(x=theme.layer_axis(panel.n_layers))
    parts = [base.mark_rect(color=theme.BAND).encode(x2="end:Q")]
    if label:
        text = base.mark_text(
            align="left", baseline="bottom", dx=1, dy=-2, fontSize=10, color=theme.BAND_EDGE
        )
        parts.append(text.encode(y=alt.value(0), text="name:N"))
    return parts


def _zero() -> Any:
    return plot(pd.DataFrame({"zero": [0.0]})).mark_rule(color=theme.GREY, strokeWidth=0.8).encode(y="zero:Q")
