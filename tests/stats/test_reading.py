"""P2 on synthetic rows: each of its conditions fails alone and is named."""

from __future__ import annotations

import pytest
from tests.stats.judging import P2, failed, verdicts
from tests.stats.synthetic import SEED, reading, shared, tables

from semhub.stats.evidence import dominant_reading


@pytest.mark.parametrize(
    ("change", "condition"),
    [
        (dict(null_concept=2.2), "the dominant word is read beyond chance"),
        (dict(over_prior=0.0), "read beyond a sharper or flatter prior"),
        (dict(null_over_prior=2.2), "read beyond a sharper or flatter prior"),
        (dict(over_prior=-0.5, null_over_prior=-4.0), "read beyond a sharper or flatter prior"),
        (dict(surface=2.0), "read in the dominant type, not in the input's"),
        (dict(last=0.0), "the order is reversed at the last layer"),
        (dict(last=3.0), "the order is reversed at the last layer"),
    ],
)
def test_p2_fails_on_each_condition_alone(change: dict[str, float], condition: str) -> None:
    found = tables(shared(), reading(**change))
    assert failed(dominant_reading(found, *P2, SEED, 200)) == [condition]
    one = verdicts(found)["P2"]
    assert one["verdict"] == "not_supported"
    assert condition in str(one["reason"])


@pytest.mark.parametrize(
    ("change", "conditions"),
    [
        ({}, []),
        (dict(null_concept=2.2), ["the dominant word is read beyond chance"]),
        (
            dict(concept=0.9, spread=5.0, null_concept=-6.0),
            ["read beyond the spread of the cases", "read beyond what enters the blocks"],
        ),
        (dict(entering=1.5), []),
        (dict(entering=2.0), ["read beyond what enters the blocks"]),
        (dict(entering=3.0), ["read beyond what enters the blocks"]),
    ],
)
def test_without_surface_words_the_concept_alone_is_confirmed(
    change: dict[str, float], conditions: list[str]
) -> None:
    found = tables(reading(has_surface=False, **change))
    evidence = dominant_reading(found, *P2, SEED, 200)
    assert failed(evidence) == conditions
    assert evidence.measure == "concept"
    assert len(evidence.checks) == 4
    if not conditions:
        assert evidence.effect == pytest.approx(2.0, abs=0.2)
        assert evidence.ci_low < evidence.effect < evidence.ci_high


@pytest.mark.parametrize(
    ("twins", "height", "entering", "verdict"),
    [
        (19, 0.3, 0.3, "supported"),
        (19, 2.5, 0.3, "not_supported"),  # random blocks behind the same encoder say it too
        (19, 0.3, 2.5, "not_supported"),
        (5, 0.3, 0.3, "untestable"),
        (0, 0.3, 0.3, "untestable"),
        (0, 0.3, 2.5, "not_supported"),
        (5, 2.5, 0.3, "not_supported"),
    ],
)
def test_over_pictures_and_sounds_twins_that_keep_the_encoder_must_be_beaten(
    twins: int, height: float, entering: float, verdict: str
) -> None:
    rows = reading(has_surface=False, twins=twins, twin=height, entering=entering)
    one = verdicts(tables(rows), sensed=["language.lens"])["P2"]
    assert one["verdict"] == verdict, one["reason"]
    assert ("(--twins 19)" in str(one["reason"])) == (verdict == "untestable")
    names = [check["name"] for check in one["checks"]]
    assert names[-1] == "read better than in its twins (trained encoder and embeddings only)"
    assert verdicts(tables(rows))["P2"]["verdict"] == ("supported" if entering < 2 else "not_supported")


def test_over_pictures_and_sounds_twins_are_compared_on_their_own_share() -> None:
    rows = reading(has_surface=False, twins=19, twin=1.5)
    share = reading(has_surface=False, concept=1.0).assign(variant="zh/twins")
    share = share[share["measure"].eq("concept") & share["condition"].eq("dominant")].drop_duplicates(
        ["case_id", "layer"]
    )
    assert failed(dominant_reading(tables(rows), *P2, SEED, 200, sensed=True)) == []
    assert failed(dominant_reading(tables(rows, share), *P2, SEED, 200, sensed=True)) == [
        "read better than in its twins (trained encoder and embeddings only)"
    ]


def test_one_dominant_word_alone_is_untestable() -> None:
    """Such a set has log-probabilities and no concept. A model that reads all words alike has, and no effect."""
    rows = reading(has_surface=False)
    alone = rows[rows["measure"] == "concept"].assign(measure="logprob")
    one = verdicts(tables(alone))["P2"]
    assert one["verdict"] == "untestable"
    assert "one dominant word alone" in str(one["reason"])
    flat = verdicts(tables(reading(has_surface=False, concept=0.0, spread=0.0)))["P2"]
    assert flat["verdict"] == "not_supported"


@pytest.mark.parametrize(
    ("over", "spread", "chance", "passes"),
    [
        (0.008, 1e-4, 0.0, False),
        (0.012, 1e-4, 0.0, True),
        (0.012, 0.02, 0.0, False),
        (0.025, 1e-4, 0.018, False),
    ],
)
def test_what_is_read_beyond_a_prior_must_be_a_hundredth_of_a_nat(
    over: float, spread: float, chance: float, passes: bool
) -> None:
    """Its interval's lower end, over what other words have: significance alone comes with cases that hardly differ."""
    rows = reading(over_prior=over, spread=spread)
    null = (rows["measure"] == "concept_over_prior") & (rows["condition"] == "null")
    rows.loc[null, "value"] = rows.loc[null, "value"] * 1e-3 + chance
    evidence = dominant_reading(tables(rows), *P2, SEED, 200)
    assert failed(evidence) == ([] if passes else ["read beyond a sharper or flatter prior"])
    assert next(check.p for check in evidence.checks if "prior" in check.name) <= 0.05


def test_what_is_read_beyond_a_prior_is_judged_on_the_confirming_half() -> None:
    for half, lost in (("confirm", True), ("select", False)):
        rows = reading()
        part = rows["variant"].str.endswith(half) & (rows["measure"] == "concept_over_prior")
        rows.loc[part & (rows["condition"] == "dominant"), "value"] = 0.0
        names = failed(dominant_reading(tables(rows), *P2, SEED, 200))
        assert names == (["read beyond a sharper or flatter prior"] if lost else [])


def test_sets_without_a_score_over_the_prior_say_so_and_are_decided_as_before() -> None:
    one = verdicts(tables(shared(), reading(over_prior=None)))["P2"]
    assert one["verdict"] == "supported"
    assert "not tested against a prior" in str(one["reason"])
    assert [check["name"] for check in one["checks"] if check["passed"] is None] == [
        "read beyond a sharper or flatter prior"
    ]


def test_a_negative_concept_is_not_read_even_if_the_words_shuffled_are_worse() -> None:
    found = tables(reading(concept=-0.5, surface=-2.0, null_concept=-4.0, spread=0.1))
    assert failed(dominant_reading(found, *P2, SEED, 200)) == ["the dominant word is read beyond chance"]
