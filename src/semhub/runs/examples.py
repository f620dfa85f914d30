"""One case of each experiment in its own words, for the report: what is compared with what."""

from __future__ import annotations

from collections.abc import Sequence

from semhub.types import CaseSet, LensCase, LensSet, Pair, PairSet

SHOWN = 600  # characters of a text
READ_HERE = "▮"  # stands after the position that is read


def example(sets: Sequence[CaseSet]) -> list[dict[str, str]]:
    """Labels with texts: of the first pair (with near misses, if any has some), or of the first lens case.

    Taken from the deciding set, else from the first that has cases; empty where none has.
    """
    ordered = sorted(sets, key=lambda one: not getattr(one, "deciding", False))
    for one in ordered:
        if isinstance(one, PairSet) and one.pairs:
            return _pair(next((pair for pair in one.pairs if pair.negatives), one.pairs[0]))
        if isinstance(one, LensSet) and one.cases:
            return _case(one.cases[0])
    return []


def _pair(pair: Pair) -> list[dict[str, str]]:
    near = [_row("near miss of b", pair.negatives[0].text)] if pair.negatives else []
    return [_row("a", pair.a.text), _row("b", pair.b.text), *near]


def _case(case: LensCase) -> list[dict[str, str]]:
    text = case.content.text
    before = text[: case.at].rstrip()
    shown = f"{before}{READ_HERE}{text[len(before) :]}"
    start = max(0, len(before) - SHOWN // 2)
    rows = [_row(f"text, read before {READ_HERE}", ("…" if start else "") + shown[start : start + SHOWN])]
    rows += [_row(condition.replace("_", " "), ", ".join(words)) for condition, words in case.words.items()]
    if case.next_token:
        rows.append(_row("surface", "the token that follows"))
    return rows


def _row(label: str, text: str) -> dict[str, str]:
    return {"label": label, "text": text if len(text) <= SHOWN else text[:SHOWN] + "…"}
