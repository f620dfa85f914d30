"""Trajectories: states of one position, layer by layer, in the plane of the anchor words' unembeddings."""

from __future__ import annotations

from collections.abc import Iterator

import altair as alt
import pandas as pd

from semhub.figures import theme
from semhub.figures.draft import Draft
from semhub.figures.render import plot
from semhub.figures.tables import PLANE, Run
from semhub.figures.text import visible

SIDE = 300


def trajectory(run: Run, experiment: str) -> Iterator[Draft]:
    """One plane for each variant of the experiment's rows."""
    rows = run.plane[run.plane["experiment"] == experiment]
    for variant in rows["variant"].unique():
        one = rows[rows["variant"] == variant]
        keys = ["condition", "case_id", "layer"]
        points = one.pivot_table(index=keys, columns="measure", values="value").reset_index()
        points = (
            points.dropna(subset=list(PLANE)).sort_values(keys) if set(PLANE) <= set(points) else points[:0]
        )
        points["case_id"] = [visible(str(text)) for text in points["case_id"]]
        paths = points[points["condition"] != "anchor"]
        title = f"Trajectories · {variant}"
        caption = (
            "Each thin line is the last position of one expression from layer 0 to L, in the plane of the first two "
            "principal components of the unembedding rows of the anchor words; each is standardised over its layers. "
            "Blue: digits; orange: number words. Every expression is drawn, so the spread itself is seen."
        )
        chart = (
            _chart(points[points["condition"] == "anchor"], paths, title, run.n_layers)
            if len(paths)
            else None
        )
        yield Draft(f"{experiment}-{variant}", experiment, title, caption, chart, points)


def _chart(anchors: pd.DataFrame, paths: pd.DataFrame, title: str, n_layers: int) -> alt.LayerChart:
    x = alt.X("pca_x:Q", title="component 1 (standardised)", scale=alt.Scale(zero=False))
    y = alt.Y("pca_y:Q", title="component 2 (standardised)", scale=alt.Scale(zero=False))
    layers = alt.Color(
        "layer:Q",
        title="layer",
        scale=alt.Scale(range=[theme.AMBER, theme.BLUE], domain=[0, n_layers], interpolate="lab"),
        legend=alt.Legend(
            orient="bottom",
            gradientLength=200,
            gradientThickness=8,
            format="d",
            values=theme.layer_ticks(n_layers),
        ),
    )
    number = anchors["case_id"].str.fullmatch(r"\d+")
    digits, words = anchors[number], anchors[~number]
    example = paths[paths["case_id"] == paths["case_id"].iloc[0]]
    numbered = example[example["layer"].isin(theme.layer_ticks(n_layers))]
    every = plot(paths).encode(x=x, y=y)
    one = plot(example).encode(x=x, y=y)
    parts = [
        every.mark_line(strokeWidth=0.6, opacity=0.3, color=theme.GREY).encode(
            detail="case_id:N", order="layer:Q"
        ),
        every.mark_point(filled=True, size=14, opacity=0.8).encode(color=layers),
        one.mark_line(strokeWidth=1.8, color=theme.INK).encode(order="layer:Q"),
        plot(numbered)
        .encode(x=x, y=y, text=alt.Text("layer:Q", format="d"))
        .mark_text(dx=8, dy=-7, fontSize=10, color=theme.INK),
        plot(digits)
        .encode(x=x, y=y, text="case_id:N")
        .mark_text(fontSize=15, color=theme.BLUE, fontWeight="bold"),
        plot(words)
        .encode(x=x, y=y, text="case_id:N")
        .mark_text(fontSize=12, color=theme.ORANGE, fontStyle="italic"),
    ]
    n = f"n = {paths['case_id'].nunique():,} expressions · in black: {example['case_id'].iloc[0]}"
    heading = alt.TitleParams(text=title, subtitle=n)
    return alt.layer(*parts).properties(width=SIDE, height=SIDE, title=heading).configure(**theme.config())
