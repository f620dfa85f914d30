"""Steered cases that a model cannot take: by their own text, or by one that a difference is made of."""

from __future__ import annotations

import pytest

from semhub.errors import DataError
from semhub.models.base import Adapter
from semhub.runs.fit import REASON, fit
from semhub.types import Content, Kept, Place, RowDifference, StateDifference, SteerCase, SteerSet

LONG = Content.of("one two three " * 4_000)
SHORT = Content.of("one two")


def place(content: Content) -> Place:
    return Place(content, len(content.text))


def steered(*contents: tuple[Content, Content, Content]) -> SteerSet:
    cases = [
        SteerCase(
            str(i),
            str(i),
            content,
            3,
            {
                "hypothesis": StateDifference((place(plus),), (place(SHORT), place(minus))),
                "wrong_concept": RowDifference("red", "blue"),
            },
            ("one",),
        )
        for i, (content, plus, minus) in enumerate(contents)
    ]
    return SteerSet("own.steer", "all", cases, Kept(len(cases) + 1, {"a reason": 1}), "own")


def test_a_case_goes_with_any_of_its_contents(adapter: Adapter) -> None:
    with pytest.raises(DataError):
        adapter.encode([LONG])
    given = steered((SHORT, SHORT, SHORT), (LONG, SHORT, SHORT), (SHORT, LONG, SHORT), (SHORT, SHORT, LONG))
    fitted = fit(adapter, given)
    assert isinstance(fitted, SteerSet)
    assert [case.case_id for case in fitted.cases] == ["0"]
    assert fitted.kept == Kept(5, {"a reason": 1, REASON: 3})
    assert fitted.kept.given == len(fitted.cases) + sum(fitted.kept.dropped.values())


def test_a_set_that_fits_stays_as_it_is(adapter: Adapter) -> None:
    given = steered((SHORT, SHORT, SHORT))
    assert fit(adapter, given) is given
