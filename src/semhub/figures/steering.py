"""Steering (P3): where a direction moves the output, how that grows with its strength, and what the text does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import altair as alt
import numpy as np
import pandas as pd

from semhub.figures import theme
from semhub.figures.curves import deciding_variants, file_part, sizes
from semhub.figures.draft import Draft
from semhub.figures.layers import CURVE_COLUMNS, Panel, heading, layer_chart
from semhub.figures.render import plot
from semhub.figures.tables import Run, band_of, finite
from semhub.figures.wording import written

MOVED, OVER, WRONG_WAY = "delta_logit", "delta_logit_over", "moved_wrong_way"
SUCCESS, SHARE = "success", "share"
HYPOTHESIS, REAL = "hypothesis", "real_difference"
CONFIRM = "/confirm"
ROW_HEIGHT, ROOM = 26, 18  # pixels of a strength's row; of a cell that has room for its number
UP, DOWN = "towards the new word", "away from it"
MAP = (
    "Log-odds of the new word against the old one moved by the hypothesised direction, less what a difference of "
    "real states of equal length moves them (nat). In brackets, or without a dot: the 95% interval holds zero."
)
DOSE = (
    "Log-odds of the new word against the old one moved at the output, every control as long as the direction. "
    "Ribbons: 95% intervals, clusters resampled."
)
TEXT = (
    "Share of cases whose text is what the direction predicts, by a strict reading of it; 0 is the unsteered model. "
    "Ribbons: 95% intervals, clusters resampled."
)
SHARES = (
    "Probability of the new word among the new and the old one at the output; 0 is the unsteered model. "
    "Ribbons: 95% intervals, clusters resampled."
)


def steering(run: Run, experiment: str) -> Iterator[Draft]:
    """The charts of a P3 experiment: a map of layers by strengths, the dose-response, the share of success."""
    rows = run.results[run.results["experiment"] == experiment]
    named = rows.loc[rows["measure"] == MOVED, "variant"].astype(str)
    variants = [name for name in named.unique() if not name.endswith(CONFIRM)]
    deciding = deciding_variants(run, experiment, "P3", variants)
    for variant in sorted(variants, key=lambda name: name not in deciding):
        one, stem, main = rows[rows["variant"] == variant], file_part(variant), variant in deciding
        confirmed = rows[rows["variant"] == variant + CONFIRM]
        over = one[(one["measure"] == OVER) & (one["condition"] == REAL)]
        panel = Panel("Effect by layer and strength", (variant, sizes(over)), "strength", run.n_layers)
        yield Draft(
            f"{experiment}-{stem}-map", experiment, f"{panel.title} · {variant}", MAP + written(experiment, variant),
            _map(over, panel, band_of(_verdict(run, experiment))), over, main,
            "the cells would show no side, or both alike: it would do what any difference of states does.", variant,
        )  # fmt: skip
        layer = best_layer(one, confirmed)
        here = one[one["layer"] == layer]
        moved = here[here["measure"].isin([MOVED, WRONG_WAY])]
        shown = moved[moved["measure"] == MOVED]
        where = f"layer {layer}" if layer is not None else "no layer"
        panel = Panel(
            "Dose-response",
            (f"{variant}, {where}", sizes(shown)),
            "log-odds moved (nat)",
            run.n_layers,
            zero=True,
        )
        yield Draft(
            f"{experiment}-{stem}-dose", experiment, f"{panel.title} · {variant}",
            f"{DOSE}{_wrong_way(here)}{written(experiment, variant)}",
            _dose(shown, panel), moved, main,
            "its line would lie at zero, or no higher than those of the controls.", variant,
        )  # fmt: skip
        for reading in _readings(rows, variant):
            yield _success(run, experiment, reading, rows[rows["variant"] == reading], main)
        share = one[one["measure"] == SHARE]
        if len(share) and share["layer"].nunique() == 1:
            yield _share(run, experiment, variant, share)


def _share(run: Run, experiment: str, variant: str, rows: pd.DataFrame) -> Draft:
    words = (f"{variant}, layer {_range(rows)}", sizes(rows))
    panel = Panel("Share of the new word", words, "p(new) / (p(new) + p(old))", run.n_layers, zero=True)
    title, caption = f"{panel.title} · {variant}", SHARES + written(experiment, variant)
    return Draft(
        f"{experiment}-{file_part(variant)}-share", experiment, title, caption, _dose(rows, panel), rows, False,
        "its line would stay where the unsteered model is, or go no higher than the controls'.", variant,
    )  # fmt: skip


def _readings(rows: pd.DataFrame, variant: str) -> list[str]:
    """The variants with outcomes of a variant's texts: its own, and those of further readings (`variant/name`)."""
    read = rows.loc[rows["measure"] == SUCCESS, "variant"].astype(str).unique()
    mine = [name for name in read if name == variant or name.startswith(f"{variant}/")]
    return sorted(name for name in mine if not name.endswith(CONFIRM))


def _success(run: Run, experiment: str, reading: str, rows: pd.DataFrame, main: bool) -> Draft:
    """Over the strengths; over the layers where the text was generated at several."""
    text = rows[rows["measure"] == SUCCESS]
    outcomes = rows[rows["measure"].isin([SUCCESS, "unchanged", "other", "unparseable"])]
    caption = TEXT + written(experiment, reading)
    if text["layer"].nunique() > 1:
        return _success_by_layer(run, experiment, reading, (text, outcomes), caption, main)
    panel = Panel(
        "Success of the text",
        (f"{reading}, layer {_range(text)}", sizes(text)),
        "share of cases",
        run.n_layers,
        zero=True,
    )
    return Draft(
        f"{experiment}-{file_part(reading)}-success", experiment, f"{panel.title} · {reading}", caption,
        _dose(text, panel), outcomes, main,
        "its line would lie at zero, or no higher than those of the controls.", reading,
    )  # fmt: skip


def _success_by_layer(
    run: Run,
    experiment: str,
    reading: str,
    tables: tuple[pd.DataFrame, pd.DataFrame],
    caption: str,
    main: bool,
) -> Draft:
    """At the strength at which the hypothesis succeeds most often at any layer."""
    text, outcomes = tables
    own = text[(text["condition"] == HYPOTHESIS) & np.isfinite(text["estimate"].astype(float))]
    strength = float(own["strength"].iloc[int(own["estimate"].to_numpy().argmax())]) if len(own) else np.nan
    lines = text[(text["strength"] == strength) | (text["condition"] == "none")]
    lines = lines[lines["estimate"].notna()].assign(series=lambda frame: frame["condition"])
    words = (f"{reading}, strength {strength:g}", sizes(lines))
    panel = Panel(
        "Success by layer", words, "share of cases", run.n_layers, band_of(_verdict(run, experiment)), True
    )
    chart = (
        layer_chart(lines[CURVE_COLUMNS], lines[CURVE_COLUMNS][:0], _styles(lines), panel)
        if len(lines)
        else None
    )
    return Draft(
        f"{experiment}-{file_part(reading)}-success", experiment, f"{panel.title} · {reading}", caption,
        chart, outcomes, main, "its line would lie at zero, or no higher than those of the controls.", reading,
    )  # fmt: skip


def best_layer(rows: pd.DataFrame, confirmed: pd.DataFrame) -> int | None:
    """The layer at which text was generated; else where the hypothesis is furthest above real differences."""
    for frame in (confirmed, rows[rows["measure"] == SUCCESS]):
        layers = frame.loc[frame["condition"] == HYPOTHESIS, "layer"]
        if len(layers):
            return int(layers.iloc[0])
    for measure, condition in ((OVER, REAL), (MOVED, HYPOTHESIS)):
        found = rows[(rows["measure"] == measure) & (rows["condition"] == condition)]
        found = found[np.isfinite(found["estimate"].astype(float))]
        if len(found):
            return int(found["layer"].iloc[int(found["estimate"].to_numpy().argmax())])
    return None


def _verdict(run: Run, experiment: str) -> dict[str, object]:
    spoke = str(run.experiment(experiment).get("spoke") or experiment.split(".")[0])
    verdict = dict(run.verdict(spoke, "P3") or {})
    return verdict if verdict.get("experiment") in (None, "", experiment) else {}


def _wrong_way(here: pd.DataFrame) -> str:
    """The share of cases that moved against the hypothesis, in words."""
    rows = here[(here["measure"] == WRONG_WAY) & (here["condition"] == HYPOTHESIS)].sort_values("strength")
    said = [
        f"{share:.0%} at {strength:g}"
        for strength, share in zip(rows["strength"], map(finite, rows["estimate"]), strict=True)
        if share is not None
    ]
    return f" Cases that the direction moved the wrong way, by strength: {', '.join(said)}." if said else ""


def _range(rows: pd.DataFrame) -> str:
    low, high = int(rows["layer"].min()), int(rows["layer"].max())
    return str(low) if low == high else f"{low}–{high}"


def _map(rows: pd.DataFrame, panel: Panel, band: tuple[int, int] | None) -> alt.LayerChart | None:
    """Colour is the side, its strength the size: what cannot be told apart by colour has its number or its dot."""
    rows = rows[np.isfinite(rows["estimate"].astype(float))]
    if not len(rows):
        return None
    largest = max(float(rows["estimate"].abs().max()), 1e-12)
    room = theme.WIDTH / max(1, panel.n_layers) >= ROOM
    clear = (rows["ci_low"] > 0) | (rows["ci_high"] < 0)
    numbers = [
        _short(value) if plain else f"({_short(value)})"
        for value, plain in zip(rows["estimate"], clear, strict=True)
    ]
    frame = pd.DataFrame(
        {
            "start": np.maximum(0.0, rows["layer"] - 0.5),
            "end": np.minimum(float(panel.n_layers), rows["layer"] + 0.5),
            "layer": rows["layer"].astype(float),
            "strength": [f"{value:g}" for value in rows["strength"]],
            "size": rows["estimate"].abs() / largest,
            "side": np.where(rows["estimate"] >= 0, UP, DOWN),
            "text": numbers if room else np.where(clear, "•", ""),
        }
    )  # fmt: skip
    order = [f"{value:g}" for value in sorted(rows["strength"].unique(), reverse=True)]
    x = theme.layer_axis(panel.n_layers, "start")
    y = alt.Y(
        "strength:O", title=panel.y_title, sort=order, axis=alt.Axis(grid=False, ticks=False, domain=False)
    )
    sides = alt.Scale(domain=[UP, DOWN], range=[theme.BLUE, theme.ORANGE])
    shade = alt.Opacity("size:Q", legend=None, scale=alt.Scale(domain=[0, 1], range=[0.04, 0.8]))
    base = plot(frame).encode(y=y)
    small = 10 if theme.WIDTH / max(1, panel.n_layers) >= 26 else 8
    parts = [
        base.mark_rect(stroke="white", strokeWidth=0.5).encode(
            x=x, x2="end:Q", color=alt.Color("side:N", title=None, scale=sides), opacity=shade
        ),
        base.mark_text(fontSize=small, color=theme.INK).encode(
            x=theme.layer_axis(panel.n_layers), text="text:N"
        ),
    ]
    if band is not None:
        edges = pd.DataFrame({"at": [max(0.0, band[0] - 0.5), min(float(panel.n_layers), band[1] + 0.5)]})
        parts.append(
            plot(edges)
            .mark_rule(color=theme.BAND_EDGE, strokeWidth=1.6)
            .encode(x=theme.layer_axis(panel.n_layers, "at"))
        )
    subtitle = (
        *panel.subtitle,
        f"full colour: {largest:.2f} nat",
        *(["between the lines: the verdict's band"] if band else []),
    )
    title = heading(Panel(panel.title, subtitle, panel.y_title, panel.n_layers))
    chart = alt.layer(*parts).properties(width=theme.WIDTH, height=ROW_HEIGHT * len(order), title=title)
    return chart.configure(**theme.config())


def _short(value: float) -> str:
    """One digit, as wide as a cell allows, and no zero below zero."""
    digits = 1 if abs(value) < 9.95 else 0
    return f"{round(value, digits) + 0.0:.{digits}f}".replace("-", "−")


def _dose(rows: pd.DataFrame, panel: Panel) -> alt.LayerChart | None:
    """One line for each condition over the strengths, with its interval."""
    rows = rows[np.isfinite(rows["estimate"].astype(float))].assign(series=lambda frame: frame["condition"])
    if not len(rows):
        return None
    shown = _styles(rows)
    frame = rows[["strength", *CURVE_COLUMNS]].assign(
        label=rows["series"].map({item.key: item.label for item in shown})
    )
    domain = [item.label for item in shown]
    color = alt.Color(
        "label:N", title=None, scale=alt.Scale(domain=domain, range=[item.color for item in shown])
    )
    shape = alt.Shape(
        "label:N", title=None, scale=alt.Scale(domain=domain, range=[item.shape for item in shown])
    )
    x, y = (
        _strengths(frame["strength"].unique()),
        alt.Y("estimate:Q", title=panel.y_title, scale=alt.Scale(zero=panel.zero)),
    )
    base = plot(frame).encode(x=x, color=color)
    sure = base.transform_filter("isValid(datum.ci_low) && isValid(datum.ci_high)")
    parts = [
        plot(pd.DataFrame({"zero": [0.0]})).mark_rule(color=theme.GREY, strokeWidth=0.8).encode(y="zero:Q"),
        sure.mark_area(opacity=0.15).encode(y=alt.Y("ci_low:Q", title=panel.y_title), y2="ci_high:Q"),
        sure.mark_rule(opacity=0.55).encode(y="ci_low:Q", y2="ci_high:Q"),
    ]
    for item in shown:
        own = plot(frame[frame["series"] == item.key]).encode(x=x, y=y, color=color)
        parts.append(own.mark_line(strokeWidth=1.8, strokeDash=list(item.dash)))
    parts.append(base.mark_point(filled=True, opacity=1, size=34).encode(y=y, shape=shape))
    chart = alt.layer(*parts).properties(width=theme.WIDTH, height=panel.height, title=heading(panel))
    return chart.configure(**theme.config())


def _styles(rows: pd.DataFrame) -> list[theme.Series]:
    """The conditions that there are, in the usual order."""
    order = [*theme.STEERING, *sorted(set(rows["series"]) - set(theme.STEERING))]
    return [
        theme.STEERING.get(key) or theme.nth(key, key.replace("_", " "), 6)
        for key in order
        if key in set(rows["series"])
    ]


def _strengths(values: Sequence[float] | np.ndarray) -> alt.X:
    """The x axis of a dose-response: from zero, a tick for each strength that was tried."""
    ticks = sorted({0.0, *(float(value) for value in values)})
    return alt.X(
        "strength:Q",
        title="strength (multiples of the direction)",
        scale=alt.Scale(domain=[0, max(ticks[-1], 1e-9)], nice=False),
        axis=alt.Axis(values=ticks, grid=False, labelExpr="format(datum.value, '~g')", labelOverlap=True),
    )
