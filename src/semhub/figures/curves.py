"""Which rows of the results become which chart over layers: similarity (P1) and readout (P2)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import pandas as pd

from semhub.figures import theme
from semhub.figures.draft import Draft
from semhub.figures.layers import CURVE_COLUMNS, Panel, layer_chart
from semhub.figures.tables import Run, band_of
from semhub.figures.theme import Series
from semhub.figures.wording import reading

FORMS = {
    "zero_overlap/continued": "no overlap, continued",
    "all/continued": "all, continued",
    "zero_overlap/bare": "no overlap, bare",
    "all/bare": "all, bare (paper)",
    "continued": "continued",
    "bare": "bare (paper)",
    "all/asked": "all, asked",
    "asked": "asked",
}
RIBBONS = {item.key: item for item in (theme.NULL, theme.TWIN, theme.TWIN_EMBEDDINGS)}
SETS = {"retrieval": "retrieval", "mutual_knn": "neighbours shared", "cka": "CKA (no verdict)"}
CONTRASTS = [
    Series("concept_diff matched", "concept, surface", theme.BLUE),
    Series("logprob_diff matched", "log-probability, surface", theme.ORANGE, (6, 3), "square"),
    Series("logprob_diff control", "log-probability, control words", theme.GREEN, (2, 2), "diamond"),
]
SHARES = [
    (
        "prob",
        "Probability by layer",
        "probability",
        "Lens probability of the words, mean over the positions that are read.",
    ),
    (
        "top1",
        "Share of positions that read the word first",
        "share of positions",
        "Share of the positions that are read whose most probable token is the word.",
    ),
]


@dataclass(frozen=True)
class Plan:
    """One chart: its name after the experiment's, its words, and the column that tells its lines apart.

    labels: names of lines that are not the usual ones.
    """

    name: str
    title: str
    place: str
    y_title: str
    what: str
    if_false: str
    by: str = "condition"
    series: Sequence[Series] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    zero: bool = False
    main: bool = True
    group: str = ""


def similarity(run: Run, experiment: str) -> Iterator[Draft]:
    """The charts of a P1 experiment, one group for each leading part of its variants (a language)."""
    rows = run.results[run.results["experiment"] == experiment]
    for group, variants in _groups([str(name) for name in rows["variant"].unique()]).items():
        chosen = deciding_variants(run, experiment, "P1", variants)[0]
        one, slug, place = rows[rows["variant"] == chosen], file_part(group), _place(group, chosen)
        plan = Plan(
            f"{slug}-score", "Centred paper score", place, "score (cosine)",
            "Cosine of the pair minus the mean cosine of all non-pairs, states centred by layer.",
            "the line would run inside the grey band and inside the twins' at every layer.", zero=True, group=group,
        )  # fmt: skip
        yield _draft(run, experiment, "P1", one[one["measure"] == "paper_score_centred"], plan)
        plan = Plan(
            f"{slug}-cosine", "Centred cosine by condition", place, "cosine",
            "Last-position states compared by condition, centred by layer.",
            "matched pairs would lie on the mismatched ones, or on their hard negatives.", zero=True, group=group,
        )  # fmt: skip
        yield _draft(run, experiment, "P1", one[one["measure"] == "cosine_centred"], plan)
        usual = [v for v in _ordered(variants) if _form(v) in FORMS]
        forms = rows[rows["variant"].isin(usual) & (rows["measure"] == "paper_score")]
        series = [theme.nth(v, _label(v), i) for i, v in enumerate(usual)]
        plan = Plan(
            f"{slug}-paper", "Paper score, not centred", "all forms" if group == "all" else f"{group}, all forms",
            "score (cosine)", "The paper's own score in each form of the contents; it carries no verdict.",
            "all lines would stay near zero; but random models also rise above it where the two sides share words.",
            "variant", series, zero=True, group=group,
        )  # fmt: skip
        yield _draft(run, experiment, "P1", forms[forms["condition"] == "matched"], plan)
        if run.experiment(experiment).get("shares_words"):
            margins = rows[rows["variant"].isin(variants) & (rows["measure"] == "negative_margin")]
            told = [v for v in _ordered(variants) if v in set(margins["variant"]) and v.endswith("continued")]
            margins = margins[margins["variant"].isin(told)]
            plan = Plan(
                f"{slug}-margin", "Margin over near misses", "all forms", "difference of centred cosines",
                "Centred cosine of the pair minus that of its near misses. The two sides share words, so this decides.",
                "the lines would lie at or below zero, or no higher than a twin's.",
                "variant", [theme.nth(v, _label(v), i) for i, v in enumerate(told)], zero=True, group=group,
            )  # fmt: skip
            yield _draft(run, experiment, "P1", margins[margins["condition"] == "matched"], plan)
        yield _sets(run, experiment, one, f"{slug}-sets", place, group)


def readout(run: Run, experiment: str) -> Iterator[Draft]:
    """The charts of a P2 experiment with named words: log-probability, concept, and their differences."""
    rows = run.results[run.results["experiment"] == experiment]
    variants = [str(name) for name in rows["variant"].unique()]
    deciding = deciding_variants(run, experiment, "P2", variants)
    lens = str(run.manifest.get("lens", "")).replace("_", " ")
    words = reading(experiment)
    labels = {"dominant": words.dominant, "control": words.control}
    for variant in sorted(variants, key=lambda name: name not in deciding):
        one, slug, main = rows[rows["variant"] == variant], file_part(variant), variant in deciding
        plan = Plan(
            f"{slug}-lens", "Lens by layer", variant, "log-probability (nat)", f"{words.what} ({lens} lens).",
            words.lens_false, labels=labels, main=main, group=variant,
        )  # fmt: skip
        yield _draft(run, experiment, "P2", one[one["measure"] == "logprob"], plan)
        for measure, title, y_title, what in SHARES:
            if (one["measure"] == measure).any():
                plan = Plan(
                    f"{slug}-{measure}", title, variant, y_title, what, words.lens_false,
                    labels=labels, zero=True, main=main, group=variant,
                )  # fmt: skip
                yield _draft(run, experiment, "P2", one[one["measure"] == measure], plan)
        plan = Plan(
            f"{slug}-concept", "Concept score by layer", variant, "concept (nat)",
            "Double-centred lens score: the right word beyond what position and word explain alone; beyond a prior: "
            "and beyond one pattern of words that is stronger at some positions.",
            words.concept_false, labels=labels, zero=True, main=main, group=variant,
        )  # fmt: skip
        over = one[(one["measure"] == "concept_over_prior") & (one["condition"] == "dominant")]
        concept = pd.concat([one[one["measure"] == "concept"], over.assign(condition="beyond_prior")])
        if len(concept):
            yield _draft(run, experiment, "P2", concept, plan)
        named = one.assign(against=one["measure"] + " " + one["condition"])
        contrasts = [
            replace(item, label=item.label.replace("control words", words.control)) for item in CONTRASTS
        ]
        both = named[named["against"].isin([item.key for item in contrasts])]
        plan = Plan(
            f"{slug}-contrast", words.contrast, variant, "difference (nat)", f"Above zero {words.above}.",
            "the lines would stay at or below zero at every intermediate layer.",
            "against", contrasts, zero=True, main=main, group=variant,
        )  # fmt: skip
        yield _draft(run, experiment, "P2", both, plan)


def _sets(run: Run, experiment: str, rows: pd.DataFrame, name: str, place: str, group: str) -> Draft:
    rows = rows[rows["measure"].isin(list(SETS)) & rows["condition"].isin(["matched", "null"])]
    series = []
    for index, (measure, label) in enumerate(SETS.items()):
        style = theme.nth(measure, label, index)
        null = Series(
            f"null {measure}", f"its null, {label.split(' ')[0]}", style.color, style.dash, theme.RIBBON
        )
        series += [style, null]
    plan = Plan(
        name, "Rank and set measures", place, "share or similarity",
        "Is b nearest to a (both directions); overlap of neighbourhoods; CKA. Each with its permutation null.",
        "each line would stay inside its own band.", zero=True, group=group,
    )  # fmt: skip
    lines = rows[rows["condition"] == "matched"].assign(series=lambda frame: frame["measure"])
    bands = rows[rows["condition"] == "null"].assign(series=lambda frame: "null " + frame["measure"])
    return _make(run, experiment, "P1", lines, bands, series, plan, rows)


def _draft(run: Run, experiment: str, prediction: str, rows: pd.DataFrame, plan: Plan) -> Draft:
    ribbon = rows["condition"].isin(list(RIBBONS)) & (plan.by == "condition")
    lines = rows[~ribbon].assign(series=lambda frame: frame[plan.by])
    bands = rows[ribbon].assign(series=lambda frame: frame["condition"])
    series = plan.series
    if not series:
        order = [*theme.CONDITIONS, *sorted(set(lines["series"]) - set(theme.CONDITIONS))]
        present = [name for name in order if name in set(lines["series"])]
        usual = [theme.condition(name, index) for index, name in enumerate(present)]
        series = [replace(item, label=plan.labels.get(item.key, item.label)) for item in usual]
    return _make(run, experiment, prediction, lines, bands, [*series, *RIBBONS.values()], plan, rows)


def _make(
    run: Run,
    experiment: str,
    prediction: str,
    lines: pd.DataFrame,
    bands: pd.DataFrame,
    series: Sequence[Series],
    plan: Plan,
    rows: pd.DataFrame,
) -> Draft:
    spoke = str(run.experiment(experiment).get("spoke") or experiment.split(".")[0])
    verdict = run.verdict(spoke, prediction) or {}
    band = band_of(verdict) if verdict.get("experiment") in (None, "", experiment) else None
    lines = lines[lines["estimate"].notna()]
    bands = bands[bands["ci_low"].notna() & bands["ci_high"].notna()]
    panel = Panel(
        plan.title, (plan.place, sizes(lines)), plan.y_title, run.n_layers, band, plan.zero
    )  # fmt: skip
    chart = layer_chart(lines[CURVE_COLUMNS], bands[CURVE_COLUMNS], series, panel) if len(lines) else None
    caption = f"{plan.what} Ribbons around lines: 95% intervals, clusters resampled."
    title = f"{plan.title} · {plan.place}"
    return Draft(
        f"{experiment}-{plan.name}",
        experiment,
        title,
        caption,
        chart,
        rows,
        plan.main,
        plan.if_false,
        plan.group,
    )


def _groups(variants: Sequence[str]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for variant in variants:
        parts = variant.split("/")
        groups.setdefault(parts[0] if len(parts) > 2 else "all", []).append(variant)
    return groups


def _form(variant: str) -> str:
    """What tells the variants of one group apart: `zero_overlap/bare`; `bare` where the subset is `all`."""
    parts = variant.split("/")
    if len(parts) > 2:
        return "/".join(parts[1:])
    return parts[-1] if parts[0] == "all" else variant


def _label(variant: str) -> str:
    form = _form(variant)
    return FORMS.get(form, form.replace("_", " ").replace("/", ", "))


def _ordered(variants: Sequence[str]) -> list[str]:
    order = list(FORMS)
    return sorted(variants, key=lambda v: order.index(_form(v)) if _form(v) in order else len(order))


def deciding_variants(run: Run, experiment: str, prediction: str, variants: Sequence[str]) -> list[str]:
    """The variants that carry the verdict; the first that was run, in the usual order, where none is named."""
    entry = run.experiment(experiment)
    verdict = run.verdict(str(entry.get("spoke")), prediction) or {}
    named = [*(entry.get("deciding") or ()), verdict.get("variant")]
    ran = [
        str(case.get("variant"))
        for case in run.manifest.get("cases", ())
        if case.get("experiment") == experiment
    ]
    in_turn = sorted(variants, key=lambda name: ran.index(name) if name in ran else len(ran))
    return [name for name in variants if name in named] or _ordered(in_turn)[:1]


def _place(group: str, variant: str) -> str:
    form = _label(variant)
    return form if group == "all" else f"{group}, {form}"


def file_part(text: str) -> str:
    """A variant's name as part of a file's name."""
    return "".join(char if char.isalnum() and char.isascii() else "_" for char in text)


def sizes(rows: pd.DataFrame) -> str:
    """`n = 683 in 683 clusters · 95% intervals`, a range where it differs by condition or layer."""
    if not len(rows):
        return "n = 0"
    return f"n = {_range(rows['n'])} in {_range(rows['n_clusters'])} clusters · 95% intervals"


def _range(values: pd.Series[int]) -> str:
    low, high = int(values.min()), int(values.max())
    return f"{low:,}" if low == high else f"{low:,}–{high:,}"
