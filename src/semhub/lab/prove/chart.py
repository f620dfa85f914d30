"""The power curve: the share of graded organisms in which each verdict is found, over the angle of their embeddings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import altair as alt
import pandas as pd

from semhub.figures import render, theme
from semhub.figures.theme import Series

NAME = "power"
X = "angle between the embeddings (degrees)"
Y = "share claimed"


def draw(power: pd.DataFrame, stem: Path) -> None:
    """Writes stem.svg, .png and .pdf. power: as in `tables`, at the default n and at smaller ones."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    render.write_files(render.to_svg(render.specification(chart(power)), NAME), stem)


def chart(power: pd.DataFrame) -> Any:
    """One line for each cell at the largest n, beside P1 of languages for every n."""
    most = power["n"].max()
    cells = power[power["n"] == most].assign(series=lambda rows: rows["spoke"] + " " + rows["prediction"])
    first = power[(power["spoke"] == "language") & (power["prediction"] == "P1")]
    sizes = first.assign(series="n = " + first["n"].astype(str))
    panels = [_panel(cells, f"Power at n = {most}"), _panel(sizes, "Power of language P1 by n")]
    return (
        alt.hconcat(*panels, spacing=30)
        .resolve_scale(color="independent", shape="independent")
        .configure(**theme.config())
    )


def _panel(rows: pd.DataFrame, title: str) -> Any:
    labels = list(dict.fromkeys(rows["series"]))
    series = [theme.nth(label, label, index) for index, label in enumerate(labels)]
    x = alt.X("angle:Q", title=X, scale=alt.Scale(domain=[0, 90]), axis=alt.Axis(grid=False))
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
