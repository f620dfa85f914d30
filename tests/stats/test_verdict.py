"""The verdicts on synthetic rows: each condition of experiments.md fails alone and is named."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats as distributions
from tests.stats.judging import DECIDING, P1, P2, failed, verdicts
from tests.stats.synthetic import BAND, N_LAYERS, SEED, reading, shared, tables

from semhub.stats.evidence import detectable_effect, dominant_reading, shared_space
from semhub.stats.verdict import decide


def test_both_predictions_are_supported_where_every_condition_holds() -> None:
    found = verdicts(tables(shared(), reading()))
    for prediction, effect in (("P1", 0.3), ("P2", 1.5)):
        one = found[prediction]
        assert (one["verdict"], one["layers"]) == ("supported", list(BAND)), one["reason"]
        assert one["effect"] == pytest.approx(effect, abs=0.1)
        assert one["ci_low"] < one["effect"] < one["ci_high"]
        assert all(check["passed"] for check in one["checks"])
        assert one["p"] <= one["p_adjusted"] <= 0.05
        assert one["n_clusters"] == 60
        assert one["n"] == 120
    assert found["P3"]["verdict"] == "untestable"
    assert found["P3"]["reason"].startswith("not run")


@pytest.mark.parametrize(
    ("change", "condition"),
    [
        (dict(null_score=0.31), "paper_score_centred beats its permutation null"),
        (dict(retrieval=0.0), "retrieval beats its permutation null"),
        (dict(twin=0.4), "beats its twins (re-initialised weights)"),
        (dict(twin_embeddings=0.4), "beats its twins (trained embeddings only)"),
        (dict(negative=0.3), "beats its hard negatives"),
        (dict(score=0.04, negative=-0.2, twin=-0.1, twin_embeddings=-0.1), "the effect is large enough"),
    ],
)
def test_p1_fails_on_each_condition_alone(change: dict[str, float], condition: str) -> None:
    found = tables(shared(**change), reading())
    assert failed(shared_space(found, *P1, SEED, 200)) == [condition]
    one = verdicts(found)["P1"]
    assert one["verdict"] == "not_supported"
    assert condition in str(one["reason"])


@pytest.mark.parametrize(
    ("change", "conditions"),
    [
        ({}, []),
        (dict(null_score=0.31, retrieval=0.0), []),
        (
            dict(negative=0.3, twin_margin=-0.2),
            ["beats its hard negatives", "the paper score is large enough"],
        ),
        (
            dict(twin_margin=0.4),
            [
                "tells near misses apart better than its twins (re-initialised weights)",
                "tells near misses apart better than its twins (trained embeddings only)",
            ],
        ),
        (dict(twin=0.4), ["beats its twins (re-initialised weights)"]),
    ],
)
def test_where_words_are_shared_near_misses_and_twins_decide(
    change: dict[str, float], conditions: list[str]
) -> None:
    found = tables(shared(**change))
    evidence = shared_space(found, *P1, SEED, 200, shares_words=True)
    assert failed(evidence) == conditions
    assert evidence.measure == "negative_margin"
    assert evidence.effect == pytest.approx(0.3 - change.get("negative", 0.1), abs=0.03)
    assert evidence.ci_low < evidence.effect < evidence.ci_high
    one = verdicts(found, shares_words=["language.similarity"])["P1"]
    assert one["verdict"] == ("not_supported" if conditions else "supported")
    assert ("share words by design" in str(one["reason"])) == (not conditions)


@pytest.mark.parametrize(("change", "verdict"), [({}, "untestable"), (dict(negative=0.3), "not_supported")])
def test_where_words_are_shared_there_must_be_twins(change: dict[str, float], verdict: str) -> None:
    """On random llamas programs beat their near misses too: without twins nothing can be supported."""
    found = tables(shared(twins=0, **change))
    one = verdicts(found, shares_words=["language.similarity"])["P1"]
    assert one["verdict"] == verdict
    assert ("no twins were run" in str(one["reason"])) == (verdict == "untestable")
    assert one["effect"] is not None
    assert verdicts(found)["P1"]["verdict"] == ("supported" if not change else "not_supported")


@pytest.mark.parametrize(("score", "conditions"), [(0.3, 0), (0.05, 2)])
def test_twins_are_compared_on_their_own_share_of_the_pairs(score: float, conditions: int) -> None:
    """With scores of 0.1 the twins lie below the pairs, but not below a share of the pairs with 0.05."""
    share = shared(score=score, negative=0.0, spread=0.001, twins=0)
    share = share[share["variant"] == P1[1]].assign(variant=f"{P1[1]}/twins")
    assert len(failed(shared_space(tables(shared(), share), *P1, SEED, 200))) == conditions


def test_where_words_are_shared_there_must_be_near_misses() -> None:
    one = verdicts(tables(shared(negative=None)), shares_words=["language.similarity"])["P1"]
    assert one["verdict"] == "untestable"
    assert "only pairs with near misses count" in str(one["reason"])


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        (dict(twins=19), "supported"),
        (dict(twins=18), "untestable"),
        (dict(twins=0), "untestable"),
        (dict(twins=0, negative=0.3), "not_supported"),
        (dict(twins=18, twin_embeddings=0.4), "not_supported"),
        (dict(twins=19, twin_embeddings=0.4), "not_supported"),
    ],
)
def test_an_encoder_alone_is_no_shared_space(change: dict[str, float], verdict: str) -> None:
    """An encoder trained towards words brings sounds and labels together whatever the blocks do."""
    one = verdicts(tables(shared(**change)), sensed=["language.similarity"])["P1"]
    assert one["verdict"] == verdict, one["reason"]
    assert ("(--twins 19)" in str(one["reason"])) == (verdict == "untestable")
    assert any("trained encoder and embeddings only" in check["name"] for check in one["checks"])


@pytest.mark.parametrize(("n_clusters", "verdict"), [(29, "untestable"), (30, "supported")])
def test_thirty_clusters_are_needed(n_clusters: int, verdict: str) -> None:
    found = verdicts(tables(shared(n_clusters=n_clusters, spread=0.02), reading(n_clusters=n_clusters)))
    for prediction in ("P1", "P2"):
        assert found[prediction]["verdict"] == verdict, found[prediction]["reason"]
        if verdict == "untestable":
            assert "29 clusters" in found[prediction]["reason"]
            assert "at least 30" in found[prediction]["reason"]
            assert f"d = {found[prediction]['detectable']:.2f}" in found[prediction]["reason"]
            assert found[prediction]["p"] is None


def test_nothing_run_and_nothing_usable_are_untestable() -> None:
    found = verdicts(tables(reading()), {"language.similarity": [P1[1]], "language.lens": []})
    assert (found["P1"]["verdict"], found["P2"]["verdict"]) == ("untestable", "untestable")
    assert "no usable case" in found["P1"]["reason"]
    assert found["P2"]["reason"] == "not run: language.lens"
    assert all(one["verdict"] == "untestable" for one in verdicts({}).values())


def test_without_a_dominant_language_p2_is_not_supported_and_p1_stands() -> None:
    found = verdicts(tables(shared(), reading()), dominant_found=False)
    assert found["P1"]["verdict"] == "supported"
    assert found["P2"]["verdict"] == "not_supported"
    assert "dominant language" in found["P2"]["reason"]


@pytest.mark.parametrize("kind", ["twin", "twin_embeddings"])
@pytest.mark.parametrize("twins", [5, 19])
@pytest.mark.parametrize(("height", "passes"), [(0.1, True), (0.4, False)])
def test_every_twin_must_be_beaten_up_to_nineteen(kind: str, twins: int, height: float, passes: bool) -> None:
    found = tables(shared(twins=twins, **{kind: height}))
    evidence = shared_space(found, *P1, SEED, 200)
    checks = {check.name: check for check in evidence.checks if "twins" in check.name}
    assert len(checks) == 2
    assert len(failed(evidence)) == (0 if passes else 1)
    for check in checks.values():
        assert ("weak control" in check.detail) == (twins < 19)
        assert math.isnan(check.p), "the twins' p takes no part in Holm's correction"


def test_one_of_thirty_nine_twins_may_be_higher_and_one_of_nineteen_may_not() -> None:
    for twins, passes in ((19, False), (39, True)):
        rows = shared(twins=twins)
        highest = (rows["condition"] == "twin") & (rows["seed"] == 3) & (rows["layer"] == BAND[0])
        rows.loc[highest, "value"] = 0.9
        assert (failed(shared_space(tables(rows), *P1, SEED, 200)) == []) == passes
        rows.loc[highest, "value"] = np.nan
        assert (failed(shared_space(tables(rows), *P1, SEED, 200)) == []) == passes, "NaN is not beaten"


def test_a_twin_high_at_the_embedding_or_the_last_layer_does_not_count() -> None:
    rows = shared()
    rows.loc[(rows["condition"] == "twin") & rows["layer"].isin([0, N_LAYERS]), "value"] = 0.9
    assert failed(shared_space(tables(rows), *P1, SEED, 200)) == []


def test_missing_twins_pass_and_are_said_to_be_missing() -> None:
    one = verdicts(tables(shared(twins=0), reading()))["P1"]
    assert one["verdict"] == "supported"
    assert "no twins were run" in one["reason"]
    made = {check["name"]: check["passed"] for check in one["checks"]}
    assert [name for name, passed in made.items() if passed is None] == [
        "beats its twins (re-initialised weights)",
        "beats its twins (trained embeddings only)",
    ]
    assert sum(passed is True for passed in made.values()) == len(made) - 2


def test_without_hard_negatives_the_other_conditions_decide() -> None:
    evidence = shared_space(tables(shared(negative=None)), *P1, SEED, 200)
    assert failed(evidence) == []
    assert not any("hard negatives" in check.name for check in evidence.checks)


def test_hard_negatives_of_some_cases_are_compared_with_those_cases() -> None:
    """Half the cases have negatives, and so a margin; the others, without, have a much higher cosine."""
    rows = shared(negative=0.3)
    odd = rows["case_id"].str.extract(r"(\d+)$")[0].astype(float) % 2 == 1
    rows.loc[(rows["measure"] == "cosine_centred") & (rows["condition"] == "matched") & odd, "value"] += 5
    rows = rows[~((rows["measure"] == "negative_margin") & odd)]
    assert failed(shared_space(tables(rows), *P1, SEED, 200)) == ["beats its hard negatives"]


def test_several_deciding_sets_must_all_hold() -> None:
    names = {"language.similarity": ["zh/x", "es/x"], "language.lens": ["zh", "es"]}
    good = verdicts(tables(shared("zh/x"), shared("es/x", score=0.2), reading("zh"), reading("es")), names)
    assert good["P1"]["verdict"] == good["P2"]["verdict"] == "supported"
    assert good["P1"]["variant"] == "es/x", "the weakest set gives the numbers"
    wrong_sets = (shared("zh/x"), shared("es/x", twin=0.9), reading("zh"), reading("es", last=2.0))
    bad = verdicts(tables(*wrong_sets), names)
    assert bad["P1"]["verdict"] == bad["P2"]["verdict"] == "not_supported"
    wrong = [check["name"] for check in bad["P1"]["checks"] if not check["passed"]]
    assert wrong == ["es/x: beats its twins (re-initialised weights)"]
    few = verdicts(tables(shared("zh/x"), shared("es/x", n_clusters=12), reading("zh"), reading("es")), names)
    assert few["P1"]["verdict"] == "untestable"
    assert "es/x" in few["P1"]["reason"]


def test_holm_is_over_the_cells_of_the_report() -> None:
    """Each cell alone has p about 0.04; two such cells in a report are corrected to 0.08."""

    def marginal(frame: pd.DataFrame, measure: str, value: float) -> pd.DataFrame:
        null = (frame["measure"] == measure) & (frame["condition"] == "null")
        frame.loc[null & frame["seed"].isin([0, 1, 2]), "value"] = value
        return frame

    p1, p2 = marginal(shared(), "retrieval", 0.9), marginal(reading(), "concept", 9.0)
    for frames, deciding in (((p1,), {"language.similarity": [P1[1]]}), ((p2,), {"language.lens": ["zh"]})):
        alone = [one for one in verdicts(tables(*frames), deciding).values() if one["p"] is not None]
        assert [(one["verdict"], one["p"]) for one in alone] == [("supported", 0.04)]
    both = verdicts(tables(p1, p2))
    for prediction in ("P1", "P2"):
        assert both[prediction]["p_adjusted"] == pytest.approx(0.08)
        assert both[prediction]["verdict"] == "not_supported"
        assert "Holm" in both[prediction]["reason"]
    clear = verdicts(tables(p1, reading()))
    assert (clear["P1"]["p_adjusted"], clear["P1"]["verdict"]) == (0.04, "supported")


def test_the_band_is_chosen_on_the_other_half() -> None:
    """A band that only the selecting half shows is tested on the confirming half, and fails there."""
    rows = shared()
    for measure in ("paper_score_centred", "retrieval", "cosine_centred"):
        here = (rows["variant"] == f"{P1[1]}/confirm") & (rows["measure"] == measure)
        moved = here & (rows["condition"] == "matched") & rows["layer"].between(*BAND)
        rows.loc[moved, "value"] -= {"retrieval": 0.5}.get(measure, 0.3)
    evidence = shared_space(tables(rows), *P1, SEED, 200)
    assert evidence.band == BAND
    assert abs(evidence.effect) < 0.05
    assert "paper_score_centred beats its permutation null" in failed(evidence)


@pytest.mark.parametrize("n_layers", [1, 2, 3])
def test_a_model_of_few_layers_is_untestable_or_judged_but_never_an_error(n_layers: int) -> None:
    rows = pd.concat([shared(), reading()])
    rows = rows[rows["layer"] <= n_layers]
    for one in (shared_space(tables(rows), *P1, SEED, 200), dominant_reading(tables(rows), *P2, SEED, 200)):
        assert bool(one.untestable) == (n_layers < 3)
        assert not one.untestable or "no band" in one.untestable


def test_states_without_numbers_are_not_supported() -> None:
    rows = pd.concat([shared(), reading()])
    rows.loc[rows["condition"].isin(["matched", "dominant"]), "value"] = np.nan
    found = verdicts(tables(rows))
    assert found["P1"]["verdict"] != "supported"
    assert found["P2"]["verdict"] != "supported"


def test_detectable_effects_are_those_of_experiments_md() -> None:
    """d = 0.2 needs 262 clusters over 6 searched layers and 361 over 32, at 80% power and 5%, one-sided."""
    assert detectable_effect(262, 7) == pytest.approx(0.2, abs=5e-4)
    assert detectable_effect(361, 33) == pytest.approx(0.2, abs=5e-4)
    assert detectable_effect(15, 8) > detectable_effect(30, 8) > detectable_effect(30, 4)
    assert math.isnan(detectable_effect(1, 8))


def test_the_detectable_effect_is_found_in_about_eighty_percent_of_sets() -> None:
    rng = np.random.default_rng(0)
    size, n_layers, n = detectable_effect(200, 7), 7, 200
    values = rng.normal(size=(2000, n)) + size
    statistic = values.mean(axis=1) * math.sqrt(n) / values.std(axis=1, ddof=1)
    assert (statistic > distributions.norm.ppf(1 - 0.05 / (n_layers - 1))).mean() == pytest.approx(
        0.8, abs=0.04
    )


def test_a_spoke_whose_input_the_model_does_not_take_says_so_in_every_cell() -> None:
    found = decide(
        tables(shared(), reading()),
        ["language", "vision"],
        DECIDING,
        SEED,
        n_draws=200,
        untaken={"vision": "this model takes no pictures"},
    )
    vision = [one for one in found if one["spoke"] == "vision"]
    assert {(one["verdict"], one["reason"]) for one in vision} == {
        ("untestable", "this model takes no pictures")
    }
    assert [one["experiment"] for one in vision] == [
        "vision.similarity",
        "vision.lens_caption",
        "vision.steer",
    ]
    assert found[:3] == decide(tables(shared(), reading()), ["language"], DECIDING, SEED, n_draws=200)
