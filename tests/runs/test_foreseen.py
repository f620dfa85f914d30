"""What a dry run says cannot be supported, one condition at a time."""

from __future__ import annotations

from typing import Any, Literal

import pytest

from semhub.runs.foreseen import unsupportable
from semhub.runs.plan import Built
from semhub.stats.evidence import ENCODER_ALONE, NEEDS_TWINS
from semhub.stats.verdict import NO_DOMINANT
from semhub.types import CaseSet, Content, Experiment, Kept, LensCase, LensSet, Pair, PairSet

ONE = Content.of("one")


def built(
    one: CaseSet, prediction: Literal["P1", "P2"], needs: Literal["text", "image"] = "text"
) -> list[Built]:
    made: Any = Experiment(
        id="own.set", spoke="own", prediction=prediction, title="t", question="q", if_false="f",
        build=lambda _: ([one], []), needs=needs,
    )  # fmt: skip
    return [Built(made, (one,), ())]


def pairs(n: int, n_near: int = 0, deciding: bool = True, shares_words: bool = False) -> PairSet:
    found = [Pair(str(i), str(i), ONE, ONE, (ONE,) if i < n_near else ()) for i in range(n)]
    return PairSet("own.set", "all", found, Kept(n), "made", deciding=deciding, shares_words=shares_words)


def lens(n: int, clusters: int) -> LensSet:
    cases = [LensCase(str(i), str(i % clusters), ONE, 0, {"dominant": ("one",)}) for i in range(n)]
    return LensSet("own.set", "all", cases, Kept(n), "made", "en", "zh", deciding=True)


@pytest.mark.parametrize(
    ("one", "prediction", "needs", "n_twins", "found", "reason"),
    [
        (pairs(30), "P1", "text", 0, True, ""),
        (pairs(29), "P1", "text", 19, True, "29 clusters, at least 30 are needed"),
        (pairs(29, deciding=False), "P1", "text", 19, True, ""),
        (lens(60, 30), "P2", "text", 0, True, ""),
        (lens(60, 20), "P2", "text", 0, True, "20 clusters, at least 30 are needed"),
        (lens(60, 30), "P2", "text", 0, False, NO_DOMINANT),
        (pairs(30), "P1", "text", 0, False, ""),
        (pairs(60, n_near=30, shares_words=True), "P1", "text", 1, True, ""),
        (pairs(60, n_near=30, shares_words=True), "P1", "text", 0, True, NEEDS_TWINS),
        (pairs(60, n_near=29, shares_words=True), "P1", "text", 1, True, "29 clusters, at least 30 are needed"),
        (lens(60, 30), "P2", "image", 18, True, ENCODER_ALONE),
        (lens(60, 30), "P2", "image", 19, True, ""),
        (pairs(30), "P1", "image", 18, True, ENCODER_ALONE),
    ],
)  # fmt: skip
def test_each_condition(
    one: CaseSet, prediction: Any, needs: Any, n_twins: int, found: bool, reason: str
) -> None:
    told = unsupportable(built(one, prediction, needs), n_twins, found)
    expected = [{"experiment": "own.set", "variant": "all", "reason": reason}] if reason else []
    assert told == expected
