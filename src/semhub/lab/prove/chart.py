"""Power curves: the share of graded organisms in which each verdict is found, over what they are graded by."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import altair as alt
import pandas as pd

from semhub.figures import render, theme
from semhub.figures.theme import Series

NAME = "power"
AXES = {"angle": "angle between the embeddings (degrees)", "dose": "planted weight"}
Y = "share claimed"


def draw(power: pd.DataFrame, scale: str, stem: Path) -> None:
    """Writes stem.svg, .png and .pdf. power: as in `tables`, by the scale, at the default n and at smaller ones."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    render.write_files(render.to_svg(render.specification(chart(power, scale)), NAME), stem)


def chart(power: pd.DataFrame, scale: str) -> Any:
    """One line for each cell at the largest n, beside P1 of languages for every n."""
    most = power["n"].max()
    cells = power[power["n"] == most].assign(series=lambda rows: rows["spoke"] + " " + rows["prediction"])
    first = power[(power["spoke"] == "language") & (power["prediction"] == "P1")]
    sizes = first.assign(series="n = " + first["n"].astype(str))
    x = _x(power, scale)
    panels = [_panel(cells, x, f"Power at n = {most}"), _panel(sizes, x, "Power of language P1 by n")]
    return (
        alt.hconcat(*panels, spacing=30)
        .resolve_scale(color="independent", shape="independent")
        .configure(**theme.config())
    )


def _x(power: pd.DataFrame, scale: str) -> Any:
    """Angles are drawn to scale; doses, which differ by orders of magnitude, as steps of one width."""
    if scale == "angle":
        return alt.X("angle:Q", title=AXES[scale], scale=alt.Scale(domain=[0, 90]), axis=alt.Axis(grid=False))
    steps = sorted(power[scale].unique().tolist())
    return alt.X(f"{scale}:O", title=AXES[scale], sort=steps, axis=alt.Axis(grid=False, labelAngle=0))


def _panel(rows: pd.DataFrame, x: Any, title: str) -> Any:
    labels = list(dict.fromkeys(rows["series"]))
    series = [theme.nth(label, label, index) for index, label in enumerate(labels)]
    scale = alt.Scale(domain=[0, 1])
    y = alt.Y("share:Q", title=Y, scale=scale)
    color = alt.Color(
        "series:N", title=None, scale=alt.Scale(domain=labels, range=[one.color for one in series])
    )
    shape = alt.Shape(
        "series:N", title=None, scale=alt.Scale(domain=labels, range=[one.shape for one in series])
    )
    whole = render.plot(rows).encode(x=x, color=color)
    parts = [whole.mark_rule(opacity=0.45).encode(y=alt.Y("low:Q", title=Y, scale=scale), y2="high:Q")]
    parts += [_line(rows[rows["series"] == one.key], one).encode(x=x, y=y, color=color) for one in series]
    parts.append(whole.mark_point(filled=True, opacity=1, size=30).encode(y=y, shape=shape))
    return alt.layer(*parts).properties(width=theme.WIDTH, height=theme.HEIGHT, title=title)


def _line(rows: pd.DataFrame, one: Series) -> Any:
    return render.plot(rows).mark_line(strokeWidth=1.8, strokeDash=list(one.dash))
