"""P3 on synthetic rows: what is supported, which control takes it away, and how often it is wrong."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest
from tests.stats.synthetic_steering import BAND, BEST, EXPERIMENT, N_LAYERS, SEED, VARIANT, steered

from semhub.results import rows_frame
from semhub.stats.causal import causal, own_shift
from semhub.stats.dose import choose_from_rows
from semhub.stats.evidence import Evidence
from semhub.stats.split import confirming
from semhub.stats.tables import by_variant
from semhub.stats.verdict import decide

ZERO = "moves the output beyond zero"
REAL = "moves it beyond real differences of states"
RANK = "moves it further than each real difference"
LARGE = "moves it by more than the smallest effect of interest"
WRONG = "moves it beyond wrong concepts"
OTHERS = "moves it beyond directions of other cases"
NATIVE = "reference: the native direction"
IN_ITS_OWN = "reference: the native direction in layers chosen for it"
FLUENT = "the text stays fluent"
CONFIRM = f"{VARIANT}/confirm"


def evidence(rows: pd.DataFrame, n_draws: int = 400) -> Evidence:
    return causal(by_variant(rows), EXPERIMENT, VARIANT, SEED, n_draws)


def failed(found: Evidence) -> list[str]:
    return [check.name for check in found.checks if not check.passed]


def verdict(rows: pd.DataFrame, spoke: str = "arithmetic") -> dict[str, object]:
    out = decide(by_variant(rows), [spoke], {EXPERIMENT: [VARIANT]}, SEED, n_draws=400)
    json.dumps(out, allow_nan=False)
    return next(one for one in out if one["prediction"] == "P3")


def rows_of(rows: pd.DataFrame, condition: str, measure: str = "delta_logit") -> pd.Series:
    return (rows["variant"] == CONFIRM) & (rows["measure"] == measure) & (rows["condition"] == condition)


def test_a_planted_effect_is_supported_with_band_effect_and_interval() -> None:
    rows = steered()
    found = evidence(rows)
    assert failed(found) == []
    assert [check.name for check in found.checks] == [
        ZERO,
        REAL,
        RANK,
        LARGE,
        WRONG,
        OTHERS,
        NATIVE,
        IN_ITS_OWN,
        FLUENT,
    ]
    assert found.band == BAND
    assert found.effect == pytest.approx(1.5, abs=0.3)
    assert found.ci_low < found.effect < found.ci_high
    assert (found.n, found.n_clusters, found.measure) == (120, 60, "delta_logit_over")
    assert found.p < 0.05
    one = verdict(rows)
    assert (one["verdict"], one["layers"]) == ("supported", list(BAND)), one["reason"]
    assert "strength 2" in str(one["checks"])


@pytest.mark.parametrize(
    ("change", "names"),
    [
        (dict(confirming_effects={"wrong_concept": 1.5}), [WRONG]),
        (dict(confirming_effects={"shuffled": 1.5}), [OTHERS]),
        (dict(confirming_effects={"real_difference": 1.5}), [REAL, RANK, LARGE]),
        (dict(draw_spread=8.0, effects={"hypothesis": 3.0}), [RANK]),
        (dict(perplexity={"hypothesis": 17.5}), [FLUENT]),
        (dict(confirming_effects={"hypothesis": -1.5}), [ZERO, REAL, RANK, LARGE, WRONG, OTHERS]),
        (dict(confirming_effects={"hypothesis": 0.0}, common=0.0), [ZERO, REAL, RANK, LARGE, WRONG, OTHERS]),
    ],
)
def test_each_control_takes_the_verdict_away(change: dict[str, object], names: list[str]) -> None:
    rows = steered(**change)
    assert failed(evidence(rows)) == names
    one = verdict(rows)
    assert one["verdict"] == "not_supported"
    assert names[0] in str(one["reason"])


@pytest.mark.parametrize(("shift", "names"), [(0.007, [LARGE]), (0.02, [])])
def test_a_shift_that_is_certain_but_tiny_is_not_supported(shift: float, names: list[str]) -> None:
    """0.01 nat is the smallest of interest, whatever its p."""
    rows = steered(
        confirming_effects={"hypothesis": shift}, spread=0.005, common=0.0, draw_spread=0.0001, draws=19
    )
    assert failed(evidence(rows)) == names
    assert (verdict(rows)["verdict"] == "supported") == (not names)


@pytest.mark.parametrize("control", ["wrong_concept", "shuffled", "real_difference"])
def test_an_effect_that_a_control_shares_is_not_supported(control: str) -> None:
    """On both halves: the choice then falls on layers where nothing is to be found, or the control fails it."""
    found = [verdict(steered({control: 1.5}, seed=seed, n_clusters=40))["verdict"] for seed in range(8)]
    assert found.count("supported") <= 2  # P(more) = 0.6% at a level of 5%
    assert verdict(steered({control: 1.5}, common=2.0, seed=2))["verdict"] == "not_supported"


@pytest.mark.parametrize("effect", [0.0, -1.5])
def test_no_effect_and_one_the_wrong_way_are_not_supported(effect: float) -> None:
    one = verdict(steered({"hypothesis": effect}))
    assert one["verdict"] == "not_supported"
    assert str(one["reason"]).startswith("failed: ")


def test_references_are_never_tested() -> None:
    rows = steered({"native": 9.0, "wrong_layer": 9.0, "random": 9.0})
    assert failed(evidence(rows)) == []


def test_the_native_direction_is_also_read_in_layers_chosen_for_it() -> None:
    """On the confirming half, against a plain mean over the planted band at the planted strength."""
    rows = steered({"hypothesis": 0.0, "native": 2.0, "wrong_concept": 3.0})
    found = {check.name: check for check in evidence(rows).checks}
    assert f"layers {BAND[0]} to {BAND[1]} at strength {BEST:g}" in found[IN_ITS_OWN].detail
    whole = rows[(rows["variant"] == VARIANT) & (rows["measure"] == "delta_logit")]
    here = whole[
        (whole["condition"] == "native") & whole["layer"].between(*BAND) & (whole["strength"] == BEST)
    ]
    held = here[confirming(here["cluster_id"].to_numpy(dtype=object), SEED)]
    assert found[IN_ITS_OWN].value == pytest.approx(held["value"].mean(), abs=1e-12)
    assert found[NATIVE].value < 1


def test_the_own_shift_is_the_larger_reference_of_the_least_moved_set() -> None:
    names = ("zh: " + NATIVE, "zh: " + IN_ITS_OWN, "es: " + NATIVE, "es: " + IN_ITS_OWN, "es: " + REAL)

    def shift(*values: float | None) -> float:
        return own_shift({"name": name, "value": one} for name, one in zip(names, values, strict=False))

    assert shift(0.1, 0.7, 2.0, 0.2, -9.0) == 0.7
    assert shift(3.0, 0.7, 2.0) == 2.0
    assert math.isnan(shift(0.1, 0.2, None))
    assert math.isnan(shift())


@pytest.mark.parametrize(("native", "blind"), [(0.0, True), (0.5, False)])
def test_a_miss_says_whether_anything_could_have_been_steered(native: float, blind: bool) -> None:
    told = str(verdict(steered({"wrong_concept": 2.0, "native": native}))["reason"])
    assert told.startswith("failed: moves it beyond wrong concepts")
    assert ("the input's own direction moves the output by" in told) == blind
    found = verdict(steered({"native": 0.0}))  # a hub is found without it
    assert (found["verdict"], "own direction" in str(found["reason"])) == ("supported", False)


def test_perplexity_may_be_at_most_twice_that_under_real_differences() -> None:
    assert failed(evidence(steered(perplexity={"hypothesis": 14.0}))) == []
    assert failed(evidence(steered(perplexity={"hypothesis": 40.0, "real_difference": 30.0}))) == []
    check = evidence(steered(perplexity={"hypothesis": 40.0})).checks[-1]
    assert (check.name, check.passed) == (FLUENT, False)
    assert "unsteered" in check.detail
    assert check.value == pytest.approx(5, rel=0.2)


def test_a_plain_computation_gives_the_same_effect_and_rank() -> None:
    rows = steered(draw_spread=1.5)
    found = evidence(rows)
    grid = by_variant(rows)[EXPERIMENT, VARIANT]
    choice = choose_from_rows(grid, SEED, N_LAYERS)
    assert choice is not None
    assert (choice.band, choice.strength) == (BAND, BEST)
    sums: dict[str, dict[int, list[float]]] = {"hypothesis": {}, "real_difference": {}}
    per_case: dict[str, dict[str, list[float]]] = {"hypothesis": {}, "real_difference": {}}
    for row in rows[rows["variant"] == CONFIRM].sample(frac=1, random_state=0).itertuples():
        if row.measure == "delta_logit" and row.condition in sums:
            sums[row.condition].setdefault(row.seed, []).append(row.value)
            per_case[row.condition].setdefault(row.case_id, []).append(row.value)
    mean = {key: {k: sum(v) / len(v) for k, v in part.items()} for key, part in sums.items()}
    higher = sum(value >= mean["hypothesis"][-1] for value in mean["real_difference"].values())
    assert len(mean["real_difference"]) == 19
    assert 0 < higher < 19
    rank = next(check for check in found.checks if check.name == RANK)
    assert rank.value == (1 + higher) / 20
    differences = [
        sum(per_case["hypothesis"][case]) / len(per_case["hypothesis"][case])
        - sum(per_case["real_difference"][case]) / len(per_case["real_difference"][case])
        for case in per_case["hypothesis"]
    ]
    assert found.effect == pytest.approx(sum(differences) / len(differences))
    zero = next(check for check in found.checks if check.name == ZERO)
    assert zero.value == pytest.approx(mean["hypothesis"][-1])


def test_the_rank_is_held_at_five_percent_and_left_out_of_holm() -> None:
    found = evidence(steered())
    rank = next(check for check in found.checks if check.name == RANK)
    assert (rank.passed, rank.value) == (True, 0.05)
    assert math.isnan(rank.p)
    few = evidence(steered(draws=18))
    assert failed(few) == [RANK]
    assert "fewer than 19" in next(check for check in few.checks if check.name == RANK).detail


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(
    ("condition", "measure", "names"),
    [
        ("hypothesis", "delta_logit", [ZERO, REAL, RANK, LARGE, WRONG, OTHERS]),
        ("real_difference", "delta_logit", [REAL, RANK, LARGE]),
        ("wrong_concept", "delta_logit", [WRONG]),
        ("shuffled", "delta_logit", [OTHERS]),
        ("hypothesis", "perplexity", [FLUENT]),
        ("real_difference", "perplexity", [FLUENT]),
    ],
)
def test_what_is_no_number_fails_its_condition(
    value: float, condition: str, measure: str, names: list[str]
) -> None:
    rows = steered()
    where = np.flatnonzero(rows_of(rows, condition, measure))
    rows.loc[where[:1], "value"] = value
    found = evidence(rows)
    assert failed(found) == names
    assert found.p == 1.0 or names == [RANK]
    assert verdict(rows)["verdict"] == "not_supported"
    rows.loc[where, "value"] = value
    assert set(names) <= set(failed(evidence(rows)))
    assert verdict(rows)["verdict"] == "not_supported"


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_all_without_numbers_is_not_supported(value: float) -> None:
    rows = steered()
    rows["value"] = value
    assert verdict(rows)["verdict"] != "supported"


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_strength_that_breaks_the_model_is_not_chosen(value: float) -> None:
    rows = steered()
    strong = (rows["variant"] == VARIANT) & (rows["strength"] == 4.0) & (rows["condition"] == "hypothesis")
    rows.loc[strong & (rows["measure"] == "delta_logit"), "value"] = value
    assert failed(evidence(rows)) == []


def test_rows_may_come_in_any_order() -> None:
    rows = steered()
    one, other = evidence(rows), evidence(rows.sample(frac=1, random_state=3))
    assert one == other


def test_thirty_clusters_are_needed() -> None:
    few, enough = verdict(steered(n_clusters=29)), verdict(steered(n_clusters=30, spread=0.2, common=0.1))
    assert few["verdict"] == "untestable"
    assert "29 clusters" in str(few["reason"])
    assert "at least 30" in str(few["reason"])
    assert enough["verdict"] == "supported", enough["reason"]


@pytest.mark.parametrize("n_layers", [1, 2, 3])
def test_a_model_of_few_layers_is_untestable_or_judged(n_layers: int) -> None:
    found = evidence(steered(n_layers=n_layers))
    assert bool(found.untestable) == (n_layers < 3)
    assert {1: "no usable case", 2: "no band", 3: ""}[n_layers] in found.untestable


def test_nothing_run_nothing_usable_and_nothing_confirmed_are_untestable() -> None:
    out = {
        one["spoke"]: one
        for one in decide({}, ["code", "semantics", "own"], {}, SEED)
        if one["prediction"] == "P3"
    }
    assert all(one["verdict"] == "untestable" for one in out.values())
    assert out["code"]["reason"] == "not run: code.steer"
    assert out["semantics"]["reason"] == "not run: the paper has no steering experiment for semantics"
    assert "no steering experiment" in str(out["own"]["reason"])
    assert "no usable case" in evidence(steered().iloc[:0]).untestable
    rows = steered()
    assert "no confirming rows" in evidence(rows[rows["variant"] == VARIANT]).untestable


@pytest.mark.parametrize(
    ("condition", "measure"),
    [
        ("real_difference", "delta_logit"),
        ("shuffled", "delta_logit"),
        ("wrong_concept", "delta_logit"),
        ("hypothesis", "perplexity"),
        ("real_difference", "perplexity"),
    ],
)
def test_a_missing_control_leaves_it_open_unless_another_fails(condition: str, measure: str) -> None:
    for effect, word in ((1.5, "untestable"), (-1.5, "not_supported")):
        rows = steered(confirming_effects={"hypothesis": effect})
        one = verdict(rows[~rows_of(rows, condition, measure)])
        assert one["verdict"] == word
        assert word != "untestable" or "control missing" in str(one["reason"])


def test_a_set_without_wrong_concepts_is_judged_without_them() -> None:
    rows = steered()
    found = evidence(rows[rows["condition"] != "wrong_concept"])
    assert failed(found) == []
    assert WRONG not in [check.name for check in found.checks]
    assert not found.untestable


def test_a_control_of_some_cases_is_compared_with_those_cases() -> None:
    """A third of the cases have a wrong concept, as strong as the hypothesis is there; elsewhere it is stronger."""
    rows = steered(confirming_effects={"wrong_concept": 1.5})
    some = rows["case_id"].str.extract(r"(\d+)$")[0].astype(int) % 6 < 2
    rows.loc[rows_of(rows, "hypothesis") & ~some, "value"] += 4
    rows = rows[~((rows["condition"] == "wrong_concept") & ~some)]
    assert failed(evidence(rows)) == [WRONG]


def test_the_choice_does_not_see_the_confirming_half() -> None:
    """What confirms can be anything: band and strength stay."""
    rows = steered()
    before = evidence(rows).band
    confirm = pd.Series(confirming(rows["cluster_id"].to_numpy(), SEED), index=rows.index)
    grid = (rows["variant"] == VARIANT) & (rows["condition"] == "hypothesis")
    rows.loc[confirm & grid & (rows["layer"] >= 6), "value"] += 50
    assert evidence(rows).band == before


LIGHT = dict(n_clusters=30, n_layers=5, strengths=(1.0, 2.0), parser=False)
TESTED = ("hypothesis", "wrong_concept", "shuffled", "real_difference")


@pytest.mark.slow
def test_nothing_is_seldom_taken_for_something() -> None:
    """200 sets in which the hypothesis does what the controls do, in half of them nothing at all."""
    alarms = 0
    for seed in range(200):
        height = dict.fromkeys(TESTED, float(seed % 2))
        rows = steered(height, seed=seed, common=float(seed % 2), conditions=TESTED, **LIGHT)
        found = evidence(rows, n_draws=200)
        assert not found.untestable
        alarms += not failed(found)
    assert alarms <= 10


@pytest.mark.slow
def test_one_condition_alone_holds_its_level() -> None:
    """Each of three, where the others are far from failing, passes by chance in about one set in twenty."""
    passed, n = dict.fromkeys((REAL, WRONG, OTHERS), 0), 150
    for seed in range(n):
        height = dict.fromkeys(TESTED, 3.0)
        rows = steered(height, seed=seed, common=0.0, draw_spread=0.0, conditions=TESTED, **LIGHT)
        for check in evidence(rows, n_draws=200).checks:
            if check.name in passed:
                passed[check.name] += check.passed
    assert all(0 < count <= 15 for count in passed.values()), passed


TWINS = "moves it further than in its twins (trained encoder and embeddings only)"


def compared(own: float | None, twins: list[float]) -> pd.DataFrame:
    """Planted rows, with the largest effects of the model and of its twins at an inner layer; layer 0 never counts."""
    frames = [steered()]
    named = [(f"{VARIANT}/twins", "hypothesis", -1, own)]
    named += [(VARIANT, "twin_embeddings", k, one) for k, one in enumerate(twins)]
    for variant, condition, seed, most in named:
        if most is None:
            continue
        values = np.full(N_LAYERS + 1, most - 1.0)
        values[0], values[2] = 99.0, most
        frames.append(
            rows_frame(
                experiment=EXPERIMENT, variant=variant, layer=np.arange(N_LAYERS + 1), condition=condition,
                seed=seed, measure="most_moved", value=values,
            )
        )  # fmt: skip
    return pd.concat(frames, ignore_index=True)


def sensed(rows: pd.DataFrame) -> Evidence:
    return causal(by_variant(rows), EXPERIMENT, VARIANT, SEED, 400, sensed=True)


def test_what_comes_in_through_an_encoder_must_move_the_output_further_than_in_every_twin() -> None:
    assert failed(sensed(compared(1.5, [1.4] * 19))) == []
    assert failed(sensed(compared(1.5, [0.1] * 18 + [1.6]))) == [TWINS]
    assert failed(sensed(compared(1.5, [0.1] * 18 + [1.5]))) == [TWINS], "a tie is not beaten"
    assert failed(sensed(compared(1.5, [0.1] * 18 + [math.nan]))) == [TWINS]
    assert failed(sensed(compared(1.5, [0.1] * 38 + [1.6]))) == [], "one of 39 is 5%"
    assert not sensed(compared(1.5, [1.4] * 19)).untestable
    assert TWINS not in [check.name for check in evidence(compared(1.5, [9.0] * 19)).checks], (
        "texts have none"
    )


def test_without_enough_twins_nothing_behind_an_encoder_is_supported() -> None:
    for rows in (compared(1.5, [0.1] * 18), compared(1.5, []), compared(None, [0.1] * 19)):
        assert sensed(rows).untestable
    assert "--twins 19" in sensed(compared(1.5, [0.1] * 18)).untestable
    assert not sensed(compared(1.5, [9.0] * 18)).untestable, "a twin that does better decides all the same"
    out = decide(
        by_variant(compared(1.5, [0.1] * 18)), ["arithmetic"], {EXPERIMENT: [VARIANT]}, SEED, n_draws=400,
        sensed=[EXPERIMENT],
    )  # fmt: skip
    assert next(one for one in out if one["prediction"] == "P3")["verdict"] == "untestable"
