"""Shares of the mixture against arithmetic done by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from semhub.lab.documents import KINDS
from semhub.lab.sweep.mixture import group, rescaled, shares

MIXED = {
    "sentence/en": 3.0,
    "value/words": 1.0,
    "sentence/zh": 2.0,
    "value/digits": 2.0,
    "translation/en-zh": 2.0,
}


def test_groups() -> None:
    assert [group(kind, "en") for kind in MIXED] == ["dominant", "dominant", "other", "other", "parallel"]
    assert [group(kind, "zh") for kind in MIXED] == ["other", "other", "dominant", "other", "parallel"]
    assert group("switched/en-zh", "en") == "parallel"
    assert [group("value/words_zh", code) for code in ("en", "zh")] == ["other", "dominant"]


def test_shares_of_the_whole() -> None:
    assert shares(MIXED, "en") == pytest.approx({"parallel": 0.2, "dominant": 0.4, "other": 0.4})


def test_a_dominant_share_leaves_the_parallel_documents() -> None:
    assert rescaled(MIXED, "en", share=0.6) == pytest.approx(
        {
            "sentence/en": 0.45,
            "value/words": 0.15,
            "sentence/zh": 0.1,
            "value/digits": 0.1,
            "translation/en-zh": 0.2,
        }
    )


def test_a_parallel_share_leaves_the_ratio_of_the_others() -> None:
    assert rescaled(MIXED, "en", parallel=0.5) == pytest.approx(
        {
            "sentence/en": 0.1875,
            "value/words": 0.0625,
            "sentence/zh": 0.125,
            "value/digits": 0.125,
            "translation/en-zh": 0.5,
        }
    )


def test_nothing_given_changes_no_ratio() -> None:
    assert rescaled(MIXED, "zh") == pytest.approx({kind: weight / 10 for kind, weight in MIXED.items()})


def test_kinds_without_a_share_are_left_out() -> None:
    assert set(rescaled(MIXED, "en", parallel=0)) == set(MIXED) - {"translation/en-zh"}
    assert set(rescaled(MIXED, "en", share=0.8)) == {"sentence/en", "value/words", "translation/en-zh"}
    assert set(rescaled(MIXED, "en", share=0)) == {"sentence/zh", "value/digits", "translation/en-zh"}


@given(
    weights=st.dictionaries(st.sampled_from(sorted(KINDS)), st.floats(0.01, 10), min_size=3),
    share=st.floats(0.01, 0.6),
    parallel=st.floats(0.01, 0.3),
    dominant=st.sampled_from(["en", "zh", "es"]),
)
def test_the_shares_asked_for_are_reached_and_ratios_within_a_group_kept(
    weights: dict[str, float], share: float, parallel: float, dominant: str
) -> None:
    groups = {kind: group(kind, dominant) for kind in weights}
    if len(set(groups.values())) < 3:
        with pytest.raises(ValueError, match=r"no .* documents"):
            rescaled(weights, dominant, share, parallel)
        return
    found = rescaled(weights, dominant, share, parallel)
    assert sum(found.values()) == pytest.approx(1)
    wanted = {"parallel": parallel, "dominant": share, "other": 1 - parallel - share}
    assert shares(found, dominant) == pytest.approx(wanted)
    for name in wanted:
        ratios = [found[kind] / weights[kind] for kind in weights if groups[kind] == name]
        assert ratios == pytest.approx([ratios[0]] * len(ratios))


@pytest.mark.parametrize(
    ("share", "parallel", "said"),
    [(0.9, 0.2, "more than all documents"), (0.9, None, "0.9 and 0.2 of parallel")],
)
def test_more_than_everything(share: float, parallel: float | None, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        rescaled(MIXED, "en", share, parallel)


def test_no_such_documents() -> None:
    with pytest.raises(ValueError, match="no parallel documents"):
        rescaled({"sentence/en": 1.0, "sentence/zh": 1.0}, "en", parallel=0.1)
