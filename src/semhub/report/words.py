"""Numbers and verdicts as words, the same in the page and in the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from semhub.figures.mass import language_name
from semhub.figures.tables import band_of, finite

PREDICTIONS = {"P1": "shared space", "P2": "dominant reading", "P3": "causal"}
VERDICTS = {
    "supported": ("●", "supported"),
    "not_supported": ("○", "not supported"),
    "untestable": ("◌", "untestable"),
}
MEASURES = {
    "paper_score_centred": "centred paper score",
    "paper_score": "paper score",
    "negative_margin": "margin over near misses, centred cosine",
    "concept_diff": "concept, dominant minus surface (nat)",
    "concept": "concept (nat)",
    "concept_over_prior": "concept beyond a sharper or flatter prior (nat)",
    "logprob_diff": "log-probability, dominant minus surface (nat)",
    "delta_logit": "log-odds moved by the direction (nat)",
    "most_moved": "log-odds moved beyond a real difference at the best strength, mean over cases (nat)",
    "delta_logit_over": "log-odds moved by the direction beyond real differences of states (nat)",
}
HELD = "all conditions hold in the band"
OWN = "the input's own direction"
PUBLISHED = "published value not on file"


@dataclass(frozen=True)
class Cell:
    """One verdict in words. kind: the verdict's name, `untestable` where nothing was run."""

    kind: str
    symbol: str
    word: str
    band: str
    low: int | None
    high: int | None
    effect: str
    reason: str
    n: str
    p: str


def cell(verdict: Mapping[str, Any] | None) -> Cell:
    """The words of a verdict; one that was never reached is untestable: not run."""
    if verdict is None:
        return Cell("untestable", "◌", "untestable", "", None, None, "", "not run", "", "")
    kind = str(verdict.get("verdict"))
    symbol, word = VERDICTS.get(kind, ("?", kind))
    band = band_of(verdict)
    clusters = finite(verdict.get("n_clusters"))
    n = count(verdict.get("n"))
    return Cell(
        kind=kind,
        symbol=symbol,
        word=word,
        band="" if band is None else layers(*band),
        low=None if band is None else band[0],
        high=None if band is None else band[1],
        effect=effect(verdict),
        reason=_reason(kind, verdict),
        n=f"n = {n}" + (f" in {count(clusters)} clusters" if clusters is not None else "")
        if n not in ("", "0")
        else "",
        p=p_value(verdict.get("p_adjusted")) or p_value(verdict.get("p")),
    )


def _reason(kind: str, verdict: Mapping[str, Any]) -> str:
    """Why not, or what is missing. The checks stand elsewhere in full, so a failure is named and not spelled out."""
    reason = str(verdict.get("reason") or "")
    failed = [str(check.get("name")) for check in verdict.get("checks") or () if check.get("passed") is False]
    if kind == "supported":
        return reason.removeprefix(HELD).removeprefix("; ")
    if kind == "not_supported" and failed and reason.startswith("failed: "):
        blind = [part for part in reason.split("; ") if part.startswith(OWN)]
        more = f" and {len(failed) - 1} more" if len(failed) > 1 else ""
        return "; ".join([f"failed: {failed[0]}{more}", *blind])
    return reason


def layers(low: int, high: int) -> str:
    return f"L{low}" if low == high else f"L{low}–{high}"


def number(value: object, signed: bool = False) -> str:
    """Three significant figures at most; a dash for what is no finite number."""
    known = finite(value)
    if known is None:
        return "–"
    size = abs(known)
    if size >= 1000 or 0 < size < 5e-4:
        text = f"{known:+.2g}" if signed else f"{known:.2g}"
    else:
        digits = 1 if size >= 100 else 2 if size >= 0.095 else 3
        text = f"{known:+.{digits}f}" if signed else f"{known:.{digits}f}"
    return text.replace("-", "−", 1) if text.startswith("-") else text


def count(value: object) -> str:
    known = finite(value)
    return "" if known is None else f"{int(known):,}"


def effect(verdict: Mapping[str, Any]) -> str:
    """`+0.31 [0.27, 0.35]`, empty where there is no effect."""
    if finite(verdict.get("effect")) is None:
        return ""
    text = number(verdict["effect"], signed=True)
    unit = (
        " nat" if str(verdict.get("measure") or "").startswith(("concept", "logprob", "delta_logit")) else ""
    )
    if finite(verdict.get("ci_low")) is None or finite(verdict.get("ci_high")) is None:
        return f"{text}{unit} [no interval]"
    return f"{text} [{number(verdict['ci_low'])}, {number(verdict['ci_high'])}]{unit}"


def p_value(value: object) -> str:
    known = finite(value)
    if known is None:
        return ""
    return "p < 0.001" if known < 1e-3 else f"p = {known:.3f}".rstrip("0").rstrip(".")


def dominant_line(dominant: Mapping[str, Any]) -> str:
    """One sentence on the dominant language and how it was found."""
    status = str(dominant.get("status", "none"))
    name = language_name(str(dominant.get("language") or ""))
    mass, layer = number(dominant.get("mass")), dominant.get("layer")
    runner = language_name(str(dominant.get("runner_up") or ""))
    second = number(dominant.get("runner_up_mass"))
    reason = f": {dominant['reason']}" if dominant.get("reason") else ""
    if status == "found":
        after = f"; next: {runner} {second}" if runner else ""
        return f"Dominant language: {name} ({mass} of the mass at layer {layer}{after})"
    if status == "given":
        return f"Dominant language: {name} (given, not estimated)"
    if status == "two":
        return f"Dominant language: two, {name} ({mass}) and {runner} ({second}) at layer {layer}{reason}"
    scored = language_name(str(dominant.get("scored") or dominant.get("language") or "en"))
    if status == "abstain":
        return f"Dominant language: not decided{reason}. Scored: {scored}."
    return f"Dominant language: none{reason}. {scored} was scored, and P2 cannot be supported."
