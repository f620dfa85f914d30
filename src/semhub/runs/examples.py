"""One case of each experiment in its own words, for the report: what is compared with what."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from semhub.figures.text import pictured
from semhub.runs.embed import drawn_sound, embedded
from semhub.types import (
    Area,
    CaseSet,
    Content,
    Direction,
    Image,
    LensCase,
    LensSet,
    Pair,
    PairSet,
    Place,
    PromptSet,
    RowDifference,
    Sound,
    SteerCase,
    SteerSet,
)  # fmt: skip

SHOWN = 600  # characters of a text
READ_HERE = "▮"  # stands after the position that is read
SIDE = 224  # pixels of a picture


def example(sets: Sequence[CaseSet]) -> list[dict[str, Any]]:
    """Labels with texts, and a `picture` where there is one; empty where no set has cases.

    Of the first pair (with near misses, if any has some), or of the first other case, in the deciding set, else in
    the first that has cases.
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


def _pair(pair: Pair) -> list[dict[str, Any]]:
    near = [_shown("near miss of b", pair.negatives[0])] if pair.negatives else []
    return [_shown("a", pair.a), _shown("b", pair.b), *near]


def _case(case: LensCase) -> list[dict[str, Any]]:
    rows = [_placed("read", Place(case.content, case.at, case.area))]
    rows += [_row(condition.replace("_", " "), ", ".join(words)) for condition, words in case.words.items()]
    if case.next_token:
        rows.append(_row("surface", "the token that follows"))
    return rows


def _steered(case: SteerCase) -> list[dict[str, Any]]:
    rows = [_placed("changed", Place(case.content, case.at, case.area))]
    for condition, direction in case.directions.items():
        name = condition.replace("_", " ")
        plus, minus = _ends(direction)
        rows += [_row(f"{name}: add", plus), _row(f"{name}: take away", minus)]
    old = ", ".join(case.old) or "the token that the model puts first"
    return [*rows, _row("should rise", ", ".join(case.new)), _row("should fall", old)]


def _prompt(prompt_set: PromptSet) -> list[dict[str, Any]]:
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
        " / ".join(
            _marked(place.content, place.at) if place.area is None else place.content.text for place in places
        )
        for places in (direction.plus, direction.minus)
    )
    return plus, minus


def _marked(content: Content, at: int) -> str:
    """The text around the position, which is marked."""
    before = content.text[:at].rstrip()
    shown = f"{before}{READ_HERE}{content.text[len(before) :]}"
    start = max(0, len(before) - SHOWN // 2)
    return ("…" if start else "") + shown[start : start + SHOWN]


def _placed(what: str, place: Place) -> dict[str, Any]:
    if place.area is None:
        label = f"text, {what} before {READ_HERE}"
        return {**_shown("", place.content), **_row(label, _marked(place.content, place.at))}
    sounds = {at for at, _ in place.content.sounds}
    part = "at all positions of the sound" if place.area.at in sounds else "at all patches of the picture"
    part = "where the picture is not faded" if place.area.mask else part
    return _shown(f"{what} {part}", place.content, place.area)


def _shown(label: str, content: Content, area: Area | None = None) -> dict[str, Any]:
    """The text, with the picture or sound that the area is of, or else the first."""
    every: tuple[tuple[int, Image | Sound], ...] = (*content.images, *content.sounds)
    wanted = [one for at, one in every if area is None or at == area.at]
    row = _row(label, content.text)
    if not wanted:
        return row
    first = wanted[0]
    return {**row, "picture": embedded(first, SIDE, area) if isinstance(first, Image) else drawn_sound(first)}


def _row(label: str, text: str) -> dict[str, Any]:
    text = pictured(text)
    return {"label": label, "text": text if len(text) <= SHOWN else text[:SHOWN] + "…"}
