"""Language mass by layer: how much of what the lens reads belongs to which language."""

from __future__ import annotations

from collections.abc import Iterator

import altair as alt
import pandas as pd

from semhub.figures import theme
from semhub.figures.draft import Draft
from semhub.figures.layers import Panel, background, heading
from semhub.figures.render import plot
from semhub.figures.tables import Run, band_of
from semhub.results import OTHER, UNCOUNTED

SHOWN = 5
IF_FALSE = "the input's own language would hold most of the mass at every layer."
CAPTION = (
    "Share of the lens's probability on tokens of each language, over all positions; below, its entropy. "
    "Tokens never counted are spread evenly. Whiskers: 95% interval of the lowest language in the stack."
)
NAMES = {
    "ar": "Arabic", "bn": "Bengali", "cs": "Czech", "de": "German", "el": "Greek", "en": "English", "es": "Spanish",
    "fa": "Persian", "fi": "Finnish", "fr": "French", "he": "Hebrew", "hi": "Hindi", "hu": "Hungarian",
    "id": "Indonesian", "it": "Italian", "ja": "Japanese", "ko": "Korean", "nl": "Dutch", "pl": "Polish",
    "pt": "Portuguese", "ro": "Romanian", "ru": "Russian", "sv": "Swedish", "sw": "Swahili", "th": "Thai",
    "tr": "Turkish", "uk": "Ukrainian", "ur": "Urdu", "vi": "Vietnamese", "zh": "Chinese",
}  # fmt: skip


def language_name(code: str) -> str:
    return NAMES.get(code, code)


def language_mass(run: Run, experiment: str) -> Iterator[Draft]:
    """One stacked chart for each input language, its entropy below it."""
    rows = run.results[run.results["experiment"] == experiment]
    spoke = str(run.experiment(experiment).get("spoke") or experiment.split(".")[0])
    dominant = str(run.manifest.get("dominant", {}).get("language") or "")
    palette = _palette(rows[rows["measure"] == "language_mass"], dominant)
    for variant in rows["variant"].unique():
        one = rows[(rows["variant"] == variant) & rows["estimate"].notna()]
        mass = one[one["measure"] == "language_mass"]
        entropy = one[one["measure"] == "language_entropy"]
        counted = mass[mass["condition"] != UNCOUNTED]
        title = f"Language mass · {language_name(variant)} input"
        panel = Panel(title, _subtitle(mass), "share", run.n_layers, band_of(run.verdict(spoke, "P2")))
        chart = _chart(counted, entropy, (dominant, variant), palette, panel) if len(counted) else None
        yield Draft(f"{experiment}-{variant}-mass", experiment, title, CAPTION, chart, one, if_false=IF_FALSE)


def _subtitle(mass: pd.DataFrame) -> tuple[str, ...]:
    if not len(mass):
        return ("n = 0",)
    n = f"n = {int(mass['n'].max()):,} texts · 95% interval of the lowest"
    never = mass.loc[mass["condition"] == UNCOUNTED, "estimate"]
    return (n, f"never-counted tokens: at most {never.max():.2f}") if len(never) else (n,)


def _palette(mass: pd.DataFrame, dominant: str) -> dict[str, str]:
    """One colour for a language in all charts of the experiment, the dominant one first."""
    peak = mass.groupby("condition")["estimate"].max().sort_values(ascending=False)
    codes = dict.fromkeys([dominant, *(code for code in peak.index if code not in (OTHER, UNCOUNTED))])
    return {code: theme.CYCLE[index % (len(theme.CYCLE) - 1)] for index, code in enumerate(codes)}


def _chart(
    mass: pd.DataFrame, entropy: pd.DataFrame, lowest: tuple[str, str], palette: dict[str, str], panel: Panel
) -> alt.VConcatChart:
    """lowest: the languages at the bottom of the stack, the dominant one and that of the input."""
    named = mass[mass["condition"] != OTHER]
    peak = named.groupby("condition")["estimate"].max().sort_values(ascending=False)
    first = [code for code in dict.fromkeys(lowest) if code in peak.index]
    order = [*first, *(code for code in peak.index if code not in first)][:SHOWN]
    table = named.pivot_table(index="layer", columns="condition", values="estimate", aggfunc="mean").fillna(
        0.0
    )
    rest = 1.0 - table[order].sum(axis=1)
    stack = table[order].assign(**({"other": rest.clip(lower=0.0)} if rest.max() > 5e-3 else {}))
    labels = {code: language_name(code) if code != "other" else "all others" for code in stack.columns}
    top = stack.cumsum(axis=1)
    areas = pd.concat(
        [
            pd.DataFrame(
                {
                    "layer": stack.index,
                    "label": labels[code],
                    "low": top[code] - stack[code],
                    "high": top[code],
                }
            )
            for code in stack.columns
        ]
    )
    domain = list(labels.values())
    colors = [theme.LIGHT_GREY if code == "other" else palette[code] for code in labels]
    x = theme.layer_axis(panel.n_layers)
    y = alt.Y("low:Q", title=panel.y_title, scale=alt.Scale(domain=[0, 1]))
    color = alt.Color("label:N", title=None, scale=alt.Scale(domain=domain, range=colors))
    area = (
        plot(areas)
        .mark_area(opacity=0.75, stroke="white", strokeWidth=1)
        .encode(x=x, y=y, y2="high:Q", color=color)
    )
    bottom = mass[mass["condition"] == order[0]]
    whiskers = (
        plot(bottom).mark_rule(color=theme.INK, strokeWidth=1.2).encode(x=x, y="ci_low:Q", y2="ci_high:Q")
    )
    names = (
        plot(_places(areas))
        .mark_text(fontSize=11, color=theme.INK, align="center")
        .encode(x=theme.layer_axis(panel.n_layers, "at"), y="middle:Q", text="label:N")
    )
    stacked = alt.layer(*_edges(panel), area, whiskers, names).properties(
        width=theme.WIDTH, height=theme.HEIGHT - 40, title=heading(panel)
    )
    if not len(entropy):
        return alt.vconcat(stacked).configure(**theme.config())
    base = plot(entropy).encode(x=x)
    below = alt.layer(
        *background(panel, label=False),
        base.mark_area(opacity=0.25, color=theme.GREY).encode(
            y=alt.Y("ci_low:Q", title="entropy (bit)"), y2="ci_high:Q"
        ),
        base.mark_line(color=theme.INK, strokeWidth=1.4).encode(y=alt.Y("estimate:Q", title="entropy (bit)")),
    ).properties(width=theme.WIDTH, height=60)
    return alt.vconcat(stacked, below, spacing=8).configure(**theme.config())


def _edges(panel: Panel) -> list[alt.LayerChart]:
    """The band's name above the plot; the areas hide its background, the entropy panel shows it."""
    parts = background(panel)
    return (
        [
            *parts,
            plot(pd.DataFrame({"low": [0], "high": [1]}))
            .mark_rect(color="white")
            .encode(y="low:Q", y2="high:Q"),
        ]
        if parts
        else []
    )


def _places(areas: pd.DataFrame) -> pd.DataFrame:
    """Where a name fits into its area: at its thickest layer away from the edges."""
    rows = []
    last = areas["layer"].max()
    for label, area in areas.groupby("label", sort=False):
        inner = area[(area["layer"] > 0.12 * last) & (area["layer"] < 0.88 * last)]
        if not len(inner):
            continue
        best = inner.loc[
            [(inner["high"] - inner["low"]).to_numpy().argmax() == i for i in range(len(inner))]
        ].iloc[0]
        if best["high"] - best["low"] >= 0.09:
            rows.append({"at": best["layer"], "middle": (best["high"] + best["low"]) / 2, "label": label})
    return pd.DataFrame(rows, columns=["at", "middle", "label"])
