"""Where a run could be wrong: what a careful reader would hold against its verdicts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from semhub.figures.tables import Run, band_of, finite
from semhub.report.words import PREDICTIONS, count, number

CLOSE = 0.5  # a control at half of the effect is worth a sentence
NEAR = 1.0  # nat
NATIVE = "reference: the native direction"  # begins the names of both references
BLIND = 0.1  # nat, as in the verdicts
FEW_CLUSTERS = 60
TWINS = ("twin", "twin_embeddings")


def doubts(run: Run) -> list[str]:
    """Sentences, the run's own warnings last; empty where nothing was found to say."""
    found = [*_dominant(run)]
    for verdict in run.verdicts:
        where = f"{verdict.get('spoke')} {verdict.get('prediction')}"
        found += [
            f"{where}: {text}"
            for text in (*_size(verdict), *_checks(verdict), *_blind(verdict), *_controls(run, verdict))
        ]
    found += [*_disagreements(run), *_losses(run), *_self_checks(run)]
    found += [str(text) for text in run.manifest.get("warnings", ())]
    return list(dict.fromkeys(found))


def _dominant(run: Run) -> Iterator[str]:
    dominant = run.manifest.get("dominant", {})
    status = dominant.get("status")
    if status in ("none", "abstain"):
        yield "No dominant language could be named from the model; P2 rests on a language that was assumed."
    elif status == "two":
        yield "Two languages share the lens's mass, so `dominant` names only one of two candidates."
    elif status == "given":
        yield "The dominant language was given, not estimated from the model."


def _size(verdict: Mapping[str, Any]) -> Iterator[str]:
    clusters, seen = finite(verdict.get("n_clusters")), finite(verdict.get("detectable"))
    if verdict.get("verdict") == "untestable" or clusters is None or clusters >= FEW_CLUSTERS:
        return
    rest = f"; effects below d = {number(seen)} would have been missed" if seen is not None else ""
    yield f"only {count(clusters)} clusters{rest}."


def _checks(verdict: Mapping[str, Any]) -> Iterator[str]:
    if verdict.get("verdict") != "supported":
        return
    for check in verdict.get("checks") or ():
        if check.get("passed") is None or ("value" in check and finite(check["value"]) is None):
            yield f"the check “{check.get('name')}” was not made: {check.get('detail') or 'no reason on file'}."


def _blind(verdict: Mapping[str, Any]) -> Iterator[str]:
    """Nothing was moved, and what should move it by its own language does not either."""
    if verdict.get("prediction") != "P3" or verdict.get("verdict") != "not_supported":
        return
    by_set: dict[str, list[float]] = {}
    for check in verdict.get("checks") or ():
        before, named, _ = str(check.get("name")).partition(NATIVE)
        moved = finite(check.get("value"))
        if named and moved is not None:
            by_set.setdefault(before, []).append(moved)
    for moved in map(max, by_set.values()):
        if moved < BLIND:
            yield (
                f"the direction in the input's own type moved the output by {number(moved)} nat only: this model may "
                "not do what the cases ask for, and then nothing can be steered."
            )


def _controls(run: Run, verdict: Mapping[str, Any]) -> Iterator[str]:
    band = band_of(verdict)
    rows = run.results[
        (run.results["experiment"] == verdict.get("experiment"))
        & (run.results["variant"] == verdict.get("variant"))
    ]
    tested = verdict.get("prediction") == "P1" and verdict.get("verdict") != "untestable" and len(rows)
    if tested and not rows["condition"].isin(TWINS).any():
        yield "no twins (re-initialised copies of the model) were run: this control is missing."
    if band is None or not len(rows):
        return
    inside = rows[rows["layer"].between(*band)]
    score = _level(inside, "paper_score_centred", "matched", "estimate")
    for condition, name in (
        ("null", "the null's upper edge"),
        ("twin", "the best twin"),
        ("twin_embeddings", "the best twin that keeps what enters the blocks"),
    ):
        control = _level(inside, "paper_score_centred", condition, "ci_high")
        if score is not None and control is not None and control >= CLOSE * score:
            yield f"{name} reaches {number(control)} in the band where the pairs reach {number(score)}."
    cosine = _level(inside, "cosine_centred", "matched", "estimate")
    for condition, name in (
        ("hard_negative", "hard negatives"),
        ("same_result", "other expressions of the same result"),
    ):
        control = _level(inside, "cosine_centred", condition, "estimate")
        if cosine is not None and control is not None and control >= CLOSE * cosine:
            yield f"{name} come close: centred cosine {number(control)} against {number(cosine)} for the pairs."
    read = _level(inside, "logprob", "dominant", "estimate")
    for condition, name in (
        ("third_language", "the word in a third language"),
        ("echo", "the echo of the current word"),
        ("random_tokens", "random words"),
    ):
        control = _level(inside, "logprob", condition, "estimate")
        if read is not None and control is not None and control >= read - NEAR:
            yield f"{name} is read at {number(control)} nat, the dominant-language word at {number(read)} nat."


def _level(rows: pd.DataFrame, measure: str, condition: str, column: str) -> float | None:
    values = rows.loc[(rows["measure"] == measure) & (rows["condition"] == condition), column].dropna()
    return float(values.mean()) if len(values) else None


def _disagreements(run: Run) -> Iterator[str]:
    for spoke in run.spokes():
        words = {p: (run.verdict(spoke, p) or {}).get("verdict") for p in PREDICTIONS}
        tested = {p: word for p, word in words.items() if word in ("supported", "not_supported")}
        if len(set(tested.values())) > 1:
            yes = ", ".join(p for p, word in tested.items() if word == "supported")
            no = ", ".join(p for p, word in tested.items() if word != "supported")
            yield f"{spoke}: the predictions disagree ({yes} supported, {no} not)."
    for verdict in run.verdicts:
        yield from _forms(run, verdict)


def _forms(run: Run, verdict: Mapping[str, Any]) -> Iterator[str]:
    band, variant = band_of(verdict), str(verdict.get("variant") or "")
    if band is None or verdict.get("prediction") != "P1" or verdict.get("verdict") != "supported":
        return
    where = f"{verdict.get('spoke')} P1"
    rows = run.results[
        (run.results["experiment"] == verdict.get("experiment")) & run.results["layer"].between(*band)
    ]
    chosen = rows[rows["variant"] == variant]
    score = _level(chosen, "paper_score_centred", "matched", "estimate")
    bare = rows[rows["variant"] == variant.replace("continued", "bare")]
    other = _level(bare, "paper_score_centred", "matched", "estimate")
    if "continued" in variant and score and other is not None and other < CLOSE * score:
        yield (
            f"{where}: in the paper's bare form the score is {number(other)}, in the continued form {number(score)}: "
            "where a state is compared decides what is found."
        )
    for form, margins in rows[rows["measure"] == "negative_margin"].groupby("variant", sort=True):
        low = _level(margins, "negative_margin", "matched", "ci_low")
        if str(form) != variant and str(form).endswith("continued") and low is not None and low <= 0:
            yield (
                f"{where}: in {form} the margin over near misses is not above zero (interval from {number(low)}): "
                "what tells the pairs of the deciding set from their near misses may be order alone."
            )
    for measure, name in (("retrieval", "retrieval"), ("mutual_knn", "neighbourhood overlap")):
        value, edge = (
            _level(chosen, measure, "matched", "estimate"),
            _level(chosen, measure, "null", "ci_high"),
        )
        if value is not None and edge is not None and value <= edge:
            yield f"{where}: {name} does not leave its null in the band ({number(value)}, null up to {number(edge)})."


def _losses(run: Run) -> Iterator[str]:
    for case in run.manifest.get("cases", ()):
        given, kept = finite(case.get("given")), finite(case.get("kept"))
        if given and kept is not None and kept < CLOSE * given:
            yield (
                f"{case.get('experiment')} ({case.get('variant')}): {count(kept)} of {count(given)} cases were kept; "
                "what was dropped may differ from what was kept."
            )


def _self_checks(run: Run) -> Iterator[str]:
    for check in run.manifest.get("self_checks", ()):
        deviation, tolerance = finite(check.get("deviation")), finite(check.get("tolerance"))
        if not check.get("passed", True):
            yield f"The model failed the self-check {check.get('name')}."
        elif deviation is not None and tolerance and deviation > CLOSE * tolerance:
            near = f"{deviation:.2g} of {tolerance:.2g}"
            yield f"The self-check {check.get('name')} passed close to its tolerance ({near})."
