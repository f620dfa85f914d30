"""The pictures of a sweep: the effect over layers and training in each cell, and the onset over the grid."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import altair as alt
import pandas as pd

from semhub.figures import render, theme
from semhub.figures.draft import Draft
from semhub.lab.sweep.grid import WORDS, label, varying
from semhub.lab.sweep.onset import SUPPORTED, across_axis, onsets, places

PANELS_ABREAST = 3
CELL_WIDTH, CELL_HEIGHT = 38, 17
ONSET_WIDTH, ONSET_HEIGHT = 92, 26
PALE, FULL = 0.05, 0.9
EFFECTS = {
    "P1": "centred paper score minus its mean under permuted pairs",
    "P2": "dominant minus surface concept, in nat",
}


@dataclass(frozen=True, slots=True)
class Picture:
    """A drawn chart: its words, its text as SVG, and the rows that it shows."""

    draft: Draft
    svg: str


def drafts(table: pd.DataFrame) -> Iterator[Draft]:
    """The onset over the grid, then one heat map per spoke and prediction that has numbers."""
    if not len(table):
        return
    yield onset_draft(table)
    measured = table.dropna(subset=["effect"])
    for (spoke, prediction), part in measured.groupby(["spoke", "prediction"], sort=False):
        yield heat_draft(part, str(spoke), str(prediction), places(table))


def draw(table: pd.DataFrame, folder: Path) -> list[Picture]:
    """Writes each chart to `folder` as .svg, .png, .pdf and .csv. Raises RunFolderError."""
    drawn = []
    for index, draft in enumerate(drafts(table)):
        svg = render.to_svg(render.specification(draft.chart), f"s{index}")
        render.write_files(svg, folder / draft.name)
        draft.data.to_csv(folder / f"{draft.name}.csv", index=False, lineterminator="\n")
        drawn.append(Picture(draft, svg))
    return drawn


def heat_draft(part: pd.DataFrame, spoke: str, prediction: str, grid: dict[str, dict[str, float]]) -> Draft:
    """Steps from left to right, layers upwards, one panel per cell; of several case sets the weakest effect."""
    axes = varying(grid)
    keys = ["cell", "step", "layer"]
    frame = part.sort_values("effect").drop_duplicates(keys).sort_values(keys)
    frame = frame[[*keys, "variant", "effect", "verdict", "band_low", "band_high"]]
    order = {cell: label(place, axes) or str(cell) for cell, place in sorted(grid.items(), key=_place)}
    supported = frame["verdict"] == SUPPORTED
    inside = (frame["layer"] >= frame["band_low"]) & (frame["layer"] <= frame["band_high"])
    frame = frame.assign(panel=frame["cell"].map(order), in_band=(supported & inside).fillna(False))
    title = f"{spoke} {prediction}: when and in which layers"
    caption = (
        f"Colour and number: {EFFECTS.get(prediction, 'effect')}, over all cases (blue above zero, orange below); "
        "of several case sets, the weakest. Framed: the band of layers of a supported verdict."
    )
    names = [name for cell, name in order.items() if cell in set(frame["cell"])]
    return Draft(f"{spoke}-{prediction}", spoke, title, caption, _heat(frame, names, title), frame)


def onset_draft(table: pd.DataFrame) -> Draft:
    """The grid, one panel per verdict: how many seeds end supported, and from which step."""
    frame, across = onsets(table), across_axis(table)
    frame = frame.assign(
        panel=frame["spoke"] + " " + frame["prediction"], share=frame["n_supported"] / frame["n_seeds"]
    )
    title = "How many training runs end supported, and from which step"
    caption = (
        "k/n: of n training seeds, k are supported at the last checkpoint. From: the first checkpoint that is "
        "supported, the median over the seeds that ever are. A checkpoint is judged by itself, so a step may be a "
        "false alarm where later ones are not supported."
    )
    chart = _onset(frame, WORDS[across], title)
    return Draft("onset", "", title, caption, chart, frame.drop(columns=["panel", "share"]))


def _place(entry: tuple[str, dict[str, float]]) -> list[float]:
    return [entry[1][axis] for axis in WORDS]


def _heat(frame: pd.DataFrame, panels: list[str], title: str) -> Any:
    size = float(frame["effect"].abs().max())
    shown = frame.assign(
        size=frame["effect"].abs(),
        sign=["above zero" if effect >= 0 else "below zero" for effect in frame["effect"]],
        text=[f"{effect:.2f}" for effect in frame["effect"]],
    ).astype({"effect": float, "size": float})
    still = {"grid": False, "ticks": False, "domain": False}
    x = alt.X("step:O", title="training step", axis=alt.Axis(labelAngle=0, **still))
    y = alt.Y("layer:O", title="layer", sort="descending", axis=alt.Axis(**still))
    color = alt.Color(
        "sign:N",
        legend=None,
        scale=alt.Scale(domain=["above zero", "below zero"], range=[theme.SKY, theme.AMBER]),
    )
    opacity = alt.Opacity(
        "size:Q", legend=None, scale=alt.Scale(domain=[0, size or 1.0], range=[PALE, FULL], clamp=True)
    )
    base = alt.Chart().encode(x=x, y=y)
    parts = [
        base.mark_rect(stroke="white").encode(color=color, opacity=opacity),
        base.transform_filter("datum.in_band").mark_rect(fillOpacity=0, stroke=theme.BLUE, strokeWidth=1.6),
        base.mark_text(fontSize=10, color=theme.INK).encode(text="text:N"),
    ]
    panel = alt.layer(*parts).properties(width=alt.Step(CELL_WIDTH), height=alt.Step(CELL_HEIGHT))
    return _panels(shown, panel, panels, title, PANELS_ABREAST)


def _onset(frame: pd.DataFrame, across: str, title: str) -> Any:
    still = {"grid": False, "ticks": False, "domain": False}
    x = alt.X("across:O", title=across, axis=alt.Axis(labelAngle=0, **still))
    y = alt.Y(
        "row:N", title=None, sort=list(dict.fromkeys(frame["row"])), axis=alt.Axis(labelLimit=400, **still)
    )
    opacity = alt.Opacity("share:Q", legend=None, scale=alt.Scale(domain=[0, 1], range=[PALE, FULL]))
    base = alt.Chart().encode(x=x, y=y)
    parts = [
        base.mark_rect(stroke="white", color=theme.SKY).encode(opacity=opacity),
        base.mark_text(fontSize=11, color=theme.INK).encode(text="text:N"),
    ]
    panel = alt.layer(*parts).properties(width=alt.Step(ONSET_WIDTH), height=alt.Step(ONSET_HEIGHT))
    return _panels(frame, panel, list(dict.fromkeys(frame["panel"])), title, 2)


def _panels(frame: pd.DataFrame, panel: Any, order: list[str], title: str, abreast: int) -> Any:
    header = alt.Header(labelFontSize=12, labelColor=theme.SOFT, labelAnchor="start", labelLimit=400)
    facet = alt.Facet("panel:N", title=None, sort=order, header=header)
    chart = panel.properties(data=render.plot(frame).data).facet(
        facet=facet, columns=min(abreast, len(order))
    )
    chart = chart.resolve_scale(x="independent", y="independent")
    config = theme.config()
    config["axisY"] = {"titlePadding": 6}
    return chart.properties(title=alt.TitleParams(text=title)).configure(**config)
