"""The strip of bands: where in depth each verdict found what it found."""

from __future__ import annotations

import altair as alt
import pandas as pd

from semhub.figures import theme
from semhub.figures.draft import Draft
from semhub.figures.render import plot
from semhub.figures.tables import Run, band_of, finite

WORDS = {"supported": "● supported", "not_supported": "○ not supported", "untestable": "◌ untestable"}


def strip(run: Run) -> Draft:
    """One row for each verdict: its band over 0..L and its word. Spokes of which nothing could be run have none."""
    rows = []
    for verdict in run.verdicts:
        if run.closed(str(verdict.get("spoke"))):
            continue
        band = band_of(verdict)
        rows.append(
            {
                "row": f"{verdict.get('spoke')} {verdict.get('prediction')}",
                "verdict": WORDS.get(str(verdict.get("verdict")), str(verdict.get("verdict"))),
                "layer": None if band is None else max(0.0, band[0] - 0.5),
                "end": None if band is None else min(float(run.n_layers), band[1] + 0.5),
                "n": finite(verdict.get("n")),
            }
        )
    frame = pd.DataFrame(rows, columns=["row", "verdict", "layer", "end", "n"])
    caption = "The band of layers chosen on one half of the data; the verdict comes from the other half."
    if not len(frame):
        return Draft("bands", "", "Bands by verdict", caption, None, frame)
    y = alt.Y("row:N", title=None, sort=None, axis=alt.Axis(minExtent=90, maxExtent=90))
    domain = list(WORDS.values())
    color = alt.Color(
        "verdict:N",
        title=None,
        legend=None,
        scale=alt.Scale(domain=domain, range=[theme.BLUE, theme.ORANGE, theme.GREY]),
    )
    base = plot(frame).encode(y=y)
    parts = [
        base.mark_rule(color=theme.GRID, strokeWidth=8).encode(x=alt.value(0), x2=alt.value(theme.WIDTH)),
        base.transform_filter("isValid(datum.layer)").mark_bar(height=12).encode(
            x=theme.layer_axis(run.n_layers), x2="end:Q", color=color
        ),
        base.mark_text(align="left", dx=8, fontSize=11, color=theme.INK).encode(
            x=alt.value(theme.WIDTH), text="verdict:N"
        ),
    ]  # fmt: skip
    chart = alt.layer(*parts).properties(
        width=theme.WIDTH, height=22 * len(frame), title=alt.TitleParams(text="Bands by verdict")
    )
    return Draft("bands", "", "Bands by verdict", caption, chart.configure(**theme.config()), frame)
