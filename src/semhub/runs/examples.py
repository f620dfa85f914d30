"""One case of each experiment in its own words, for the report: what is compared with what."""

from __future__ import annotations

from collections.abc import Sequence

from semhub.types import (
    CaseSet,
    Content,
    Direction,
    LensCase,
    LensSet,
    Pair,
    PairSet,
    PromptSet,
    RowDifference,
    SteerCase,
    SteerSet,
)  # fmt: skip

SHOWN = 600  # characters of a text
READ_HERE = "▮"  # stands after the position that is read


def example(sets: Sequence[CaseSet]) -> list[dict[str, str]]:
    """Labels with texts: of the first pair (with near misses, if any has some), or of the first other case.

    Taken from the deciding set, else from the first that has cases; empty where none has.
    """
    ordered = sorted(sets, key=lambda one: not getattr(one, "deciding", False))
    for one in ordered:
        if isinstance(one, PairSet) and one.pairs:
            return _pair(next((pair for pair in one.pairs if pair.negatives), one.pairs[0]))
        if isinstance(one, LensSet) and one.cases:
            return _case(one.cases[0])
        if isinstance(one, SteerSet) and one.cases:
            return _steered(one.cases[0])
        if isinstance(one, PromptSet) and one.prompts:
            return _prompt(one)
    return []


def _pair(pair: Pair) -> list[dict[str, str]]:
    near = [_row("near miss of b", pair.negatives[0].text)] if pair.negatives else []
    return [_row("a", pair.a.text), _row("b", pair.b.text), *near]


def _case(case: LensCase) -> list[dict[str, str]]:
    rows = [_row(f"text, read before {READ_HERE}", _marked(case.content, case.at))]
    rows += [_row(condition.replace("_", " "), ", ".join(words)) for condition, words in case.words.items()]
    if case.next_token:
        rows.append(_row("surface", "the token that follows"))
    return rows


def _steered(case: SteerCase) -> list[dict[str, str]]:
    rows = [_row(f"text, changed before {READ_HERE}", _marked(case.content, case.at))]
    for condition, direction in case.directions.items():
        name = condition.replace("_", " ")
        plus, minus = _ends(direction)
        rows += [_row(f"{name}: add", plus), _row(f"{name}: take away", minus)]
    old = ", ".join(case.old) or "the token that the model puts first"
    return [*rows, _row("should rise", ", ".join(case.new)), _row("should fall", old)]


def _prompt(prompt_set: PromptSet) -> list[dict[str, str]]:
    ends = [
        _row(f"{condition}: {what}", text)
        for condition, both in prompt_set.directions.items()
        for what, text in zip(("add", "take away"), both, strict=True)
    ]
    return [_row("prompt, changed where it begins", prompt_set.prompts[0].content.text), *ends]


def _ends(direction: Direction) -> tuple[str, str]:
    if isinstance(direction, RowDifference):
        return direction.plus, direction.minus
    plus, minus = (
        " / ".join(_marked(place.content, place.at) for place in places)
        for places in (direction.plus, direction.minus)
    )
    return plus, minus


def _marked(content: Content, at: int) -> str:
    """The text around the position, which is marked."""
    before = content.text[:at].rstrip()
    shown = f"{before}{READ_HERE}{content.text[len(before) :]}"
    start = max(0, len(before) - SHOWN // 2)
    return ("…" if start else "") + shown[start : start + SHOWN]


def _row(label: str, text: str) -> dict[str, str]:
    return {"label": label, "text": text if len(text) <= SHOWN else text[:SHOWN] + "…"}
