"""Which rows of the results become which chart over layers: similarity (P1) and readout (P2)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from semhub.figures import theme
from semhub.figures.draft import Draft
from semhub.figures.layers import CURVE_COLUMNS, Panel, layer_chart
from semhub.figures.tables import Run, band_of
from semhub.figures.theme import Series

FORMS = {
    "zero_overlap/continued": "no shared word, continued",
    "all/continued": "all pairs, continued",
    "zero_overlap/bare": "no shared word, bare",
    "all/bare": "all pairs, bare (the paper's form)",
    "continued": "continued",
    "bare": "bare (the paper's form)",
}
RIBBONS = {item.key: item for item in (theme.NULL, theme.TWIN, theme.TWIN_EMBEDDINGS)}
INTERVAL = "95% intervals, clusters resampled"


def similarity(run: Run, experiment: str) -> Iterator[Draft]:
    """The charts of a P1 experiment, one group for each leading part of its variants (a language)."""
    rows = _rows(run, experiment)
    spoke, band = _judged(run, experiment, "P1")
    for group, variants in _groups(list(rows["variant"].unique())).items():
        chosen = _deciding(run, spoke, "P1", variants)
        one = rows[rows["variant"] == chosen]
        place = _place(group, chosen)
        scored = one[one["measure"] == "paper_score_centred"]
        yield _draft(
            run,
            experiment,
            f"{experiment}-{_slug(group)}-score",
            scored,
            band,
            zero=True,
            title=f"Centred paper score · {place}",
            y_title="score (cosine)",
            what="cosine of the pair minus the mean cosine of all non-pairs, states centred by layer",
        )
        cosine = one[one["measure"] == "cosine_centred"]
        yield _draft(
            run,
            experiment,
            f"{experiment}-{_slug(group)}-cosine",
            cosine,
            band,
            zero=True,
            title=f"Centred cosine · {place}",
            y_title="cosine",
            what="last-position states compared by condition, centred by layer",
        )
        forms = rows[rows["variant"].isin(variants) & (rows["condition"] == "matched")]
        paper = forms[forms["measure"] == "paper_score"]
        named = [theme.nth(v, FORMS.get(_form(v), _form(v)), i) for i, v in enumerate(_ordered(variants))]
        yield _draft(
            run,
            experiment,
            f"{experiment}-{_slug(group)}-paper",
            paper,
            band,
            zero=True,
            key="variant",
            series=named,
            title=f"Paper score, not centred · {group}",
            y_title="score (cosine)",
            what="the paper's own score in each form of the contents; it carries no verdict",
        )
        yield _sets(run, experiment, group, one, band, place)


def readout(run: Run, experiment: str) -> Iterator[Draft]:
    """The charts of a P2 experiment with named words: log-probability, concept, and their differences."""
    rows = _rows(run, experiment)
    spoke, band = _judged(run, experiment, "P2")
    deciding = _deciding(run, spoke, "P2", list(rows["variant"].unique()))
    for variant in rows["variant"].unique():
        shown = bool(variant == deciding)
        one = rows[rows["variant"] == variant]
        slug = f"{experiment}-{_slug(variant)}"
        yield _draft(
            run,
            experiment,
            f"{slug}-lens",
            one[one["measure"] == "logprob"],
            band,
            title=f"Lens by layer · {variant}",
            y_title="log-probability (nat)",
            main=shown,
            what=f"lens log-probability of each word at the position that predicts it, {_lens(run)} lens",
        )
        yield _draft(
            run,
            experiment,
            f"{slug}-concept",
            one[one["measure"] == "concept"],
            band,
            zero=True,
            title=f"Concept score by layer · {variant}",
            y_title="concept (nat)",
            main=shown,
            what="double-centred lens score: the right word beyond what position and word explain alone",
        )
        both = one[one["measure"].isin(["logprob_diff", "concept_diff"])]
        named = [
            Series("concept_diff", "concept, dominant minus surface", theme.BLUE),
            Series("logprob_diff", "log-probability, dominant minus surface", theme.ORANGE, (6, 3), "square"),
        ]
        yield _draft(
            run,
            experiment,
            f"{slug}-contrast",
            both,
            band,
            zero=True,
            key="measure",
            series=named,
            title=f"Dominant minus surface · {variant}",
            y_title="difference (nat)",
            main=shown,
            what="above zero: the dominant language's word is read more strongly than the input's own",
        )


def _sets(
    run: Run, experiment: str, group: str, rows: pd.DataFrame, band: tuple[int, int] | None, place: str
) -> Draft:
    measures = ("retrieval", "mutual_knn", "cka")
    rows = rows[rows["measure"].isin(measures)]
    labels = {
        "retrieval": "retrieval",
        "mutual_knn": "neighbourhood overlap",
        "cka": "debiased CKA (no verdict)",
    }
    lines = rows[rows["condition"] == "matched"].assign(series=lambda f: f["measure"])
    bands = rows[rows["condition"] == "null"].assign(series=lambda f: "null " + f["measure"])
    series = []
    for index, measure in enumerate(measures):
        style = theme.nth(measure, labels[measure], index)
        series += [
            style,
            Series(
                f"null {measure}", f"its null ({measure.replace('_', ' ')})", style.color, (), theme.RIBBON
            ),
        ]
    panel = Panel(f"Rank and set measures · {place}", _n(lines), "share or similarity", run.n_layers, band)
    return _make(
        experiment,
        f"{experiment}-{_slug(group)}-sets",
        lines,
        bands,
        series,
        panel,
        "is b nearest to a (both directions); overlap of neighbourhoods; CKA. Bands: 95% of permutations",
        rows,
    )


def _draft(
    run: Run,
    experiment: str,
    name: str,
    rows: pd.DataFrame,
    band: tuple[int, int] | None,
    *,
    title: str,
    y_title: str,
    what: str,
    zero: bool = False,
    key: str = "condition",
    series: Sequence[Series] | None = None,
    main: bool = True,
) -> Draft:
    ribbon = rows["condition"].isin(list(RIBBONS)) if key == "condition" else rows["condition"] == "\0"
    lines = rows[~ribbon].assign(series=lambda f: f[key])
    bands = rows[ribbon].assign(series=lambda f: f["condition"])
    if series is None:
        order = [*theme.CONDITIONS, *sorted(set(lines["series"]) - set(theme.CONDITIONS))]
        present = [item for item in order if item in set(lines["series"])]
        series = [theme.condition(item, index) for index, item in enumerate(present)]
    panel = Panel(title, _n(lines), y_title, run.n_layers, band, zero)
    return _make(experiment, name, lines, bands, [*series, *RIBBONS.values()], panel, what, rows, main)


def _make(
    experiment: str,
    name: str,
    lines: pd.DataFrame,
    bands: pd.DataFrame,
    series: Sequence[Series],
    panel: Panel,
    what: str,
    rows: pd.DataFrame,
    main: bool = True,
) -> Draft:
    lines = lines[lines["estimate"].notna()]
    bands = bands[bands["ci_low"].notna() & bands["ci_high"].notna()]
    chart: Any = None
    if len(lines):
        chart = layer_chart(lines[CURVE_COLUMNS], bands[CURVE_COLUMNS], series, panel)
    return Draft(
        name, experiment, panel.title, f"{what[0].upper()}{what[1:]}. Ribbons: {INTERVAL}.", chart, rows
    )


def _rows(run: Run, experiment: str) -> pd.DataFrame:
    return run.results[run.results["experiment"] == experiment]


def _judged(run: Run, experiment: str, prediction: str) -> tuple[str, tuple[int, int] | None]:
    spoke = str(run.experiment(experiment).get("spoke") or experiment.split(".")[0])
    return spoke, band_of(run.verdict(spoke, prediction))


def _groups(variants: Sequence[str]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for variant in variants:
        parts = variant.split("/")
        groups.setdefault(parts[0] if len(parts) > 2 else "all", []).append(variant)
    return groups


def _form(variant: str) -> str:
    parts = variant.split("/")
    return "/".join(parts[1:]) if len(parts) > 2 else parts[-1]


def _ordered(variants: Sequence[str]) -> list[str]:
    order = list(FORMS)
    return sorted(variants, key=lambda v: order.index(_form(v)) if _form(v) in order else len(order))


def _deciding(run: Run, spoke: str, prediction: str, variants: Sequence[str]) -> str:
    named = (run.verdict(spoke, prediction) or {}).get("variant")
    return str(named) if named in variants else _ordered(variants)[0]


def _place(group: str, variant: str) -> str:
    form = FORMS.get(_form(variant), _form(variant))
    return form if group == "all" else f"{group}, {form}"


def _lens(run: Run) -> str:
    return str(run.manifest.get("lens", "")).replace("_", " ")


def _slug(text: str) -> str:
    return "".join(char if char.isalnum() and char.isascii() else "_" for char in text)


def _n(rows: pd.DataFrame) -> str:
    """`n = 683 in 683 clusters · 95% intervals`, a range where it differs by condition or layer."""
    if not len(rows):
        return "n = 0"
    return f"n = {_range(rows['n'])} in {_range(rows['n_clusters'])} clusters · 95% intervals"


def _range(values: pd.Series[int]) -> str:
    low, high = int(values.min()), int(values.max())
    return f"{low:,}" if low == high else f"{low:,}–{high:,}"
