"""The tables of a proof against plain counts and scipy's own interval."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import made_records as made
import pandas as pd
import pytest
from scipy.stats import binomtest

from semhub.errors import RunFolderError
from semhub.lab.prove.jobs import read_records
from semhub.lab.prove.page import page
from semhub.lab.prove.rates import P3_STEERABLE as ABLE
from semhub.lab.prove.rates import exact_interval, rates
from semhub.lab.prove.tables import Proof, make
from semhub.stats.verdict import NO_DOMINANT

NATIVE = "reference: the native direction"
YES, NO = "supported", "not_supported"


def only(frame: pd.DataFrame, **where: object) -> dict[str, object]:
    """The one row where the columns have these values."""
    for name, value in where.items():
        frame = frame[frame[name] == value]
    assert len(frame) == 1, frame
    return dict(frame.iloc[0])


@pytest.mark.parametrize(("k", "n"), [(0, 20), (1, 96), (19, 20), (20, 20), (7, 13)])
def test_the_interval_is_clopper_and_pearsons(k: int, n: int) -> None:
    expected = binomtest(k, n).proportion_ci(0.95, method="exact")
    assert exact_interval(k, n) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_no_model_says_nothing() -> None:
    assert exact_interval(0, 0) == (0.0, 1.0)


def test_rates_count_claims_and_untestable_cells() -> None:
    frame = pd.DataFrame(
        {"kind": list("aaab"), "claimed": [True, False, False, True], "testable": [True, True, False, True]}
    )
    found = rates(frame, ["kind"])
    assert found[["kind", "models", "claimed", "untestable"]].to_numpy().tolist() == [
        ["a", 3, 1, 1],
        ["b", 1, 1, 0],
    ]
    assert found["share"].tolist() == [pytest.approx(1 / 3), 1]


def proof() -> Proof:
    """Two kinds: 10 negatives, one of them alarming in both spokes of P1; 5 positives, one missing arithmetic P2."""
    records = []
    for seed in range(10):
        word = YES if seed == 3 else NO
        cells = [made.verdict(spoke, "P1", word) for spoke in ("language", "arithmetic")]
        cells += [made.verdict("language", "P2", NO), made.verdict("language", "P3", "not run")]
        records.append(made.record("dull", seed, "no", cells, rivals={"loud": seed < 6}))
    for seed in range(5):
        cells = [made.verdict("language", "P1", YES), made.verdict("language", "P2", YES, (3, 4))]
        cells.append(made.verdict("arithmetic", "P2", "too few" if seed == 0 else YES))
        records.append(
            made.record(
                "hub", seed, "yes", cells, rivals={"loud": True}, dominant="en", planted_layers=(2, 3)
            )
        )
    return make(records)


def test_a_model_counts_once_however_many_cells_alarm() -> None:
    totals = proof().totals
    alarms = only(totals, method="semhub", prediction="P1", truth="no")
    assert (alarms["models"], alarms["claimed"]) == (10, 1)
    assert alarms["high"] == pytest.approx(binomtest(1, 10).proportion_ci(0.95, "exact").high)
    assert only(totals, method="loud", prediction="P1", truth="no")["claimed"] == 6


def test_a_model_is_found_if_every_cell_is() -> None:
    totals = proof().totals
    assert only(totals, method="semhub", prediction="P1", truth="yes")["claimed"] == 5
    missed = only(totals, method="semhub", prediction="P2", truth="yes")
    assert (missed["models"], missed["claimed"], missed["untestable"]) == (5, 4, 1)
    assert only(totals, method="semhub", prediction="any")["truth"] == "no"
    assert "any" not in set(totals[totals["method"] == "loud"]["prediction"])


def test_a_cell_without_an_experiment_has_no_rate() -> None:
    assert "P3" not in set(proof().rates["prediction"])


def own(*shifts: float | None, where: str = "") -> list[made.Check]:
    """The reference of the input's own direction, in as many deciding sets."""
    return [made.check(f"set {i}: {NATIVE}{where}", shift) for i, shift in enumerate(shifts)]


def steered() -> Proof:
    """Negatives of which the third can be steered in its own type, and alarms; one hub that can, and is missed."""
    records = []
    for seed, shifts in enumerate(((0.02, 3.0), (0.1, None), (0.1, 0.4))):
        cells = [made.verdict("language", "P3", YES if seed == 2 else NO, checks=own(*shifts))]
        both = [*own(0.01, 0.5), *own(0.03, 0.2, where=" in layers chosen for it")]
        cells.append(made.verdict("arithmetic", "P3", NO, checks=both))
        noisy = {"language": {"prediction": "P3", "claimed": True, "p": 0.02, "effect": 0.1, "layer": 2}}
        parts = {
            "steering/micro-world": {"verdicts": cells, "dominant": {}},
            "rival/micro-world/noise": noisy,
        }
        records.append(made.record("dull", seed, "no", **parts))
    cell = made.verdict("language", "P3", NO, checks=own(0.7))
    records.append(made.record("hub", 0, "yes", **{"steering/micro-world": {"verdicts": [cell]}}))
    return make(records)


def test_p3_is_also_counted_where_the_own_direction_moves_the_output() -> None:
    found = steered()
    where = {"method": "semhub", "place": "micro-world", "truth": "no"}
    every, able = only(found.totals, prediction="P3", **where), only(found.totals, prediction=ABLE, **where)
    assert (every["models"], every["claimed"], able["models"], able["claimed"]) == (3, 1, 1, 1)
    assert only(found.totals, prediction=ABLE, truth="yes")["claimed"] == 0
    assert only(found.totals, prediction=ABLE, method="noise")["models"] == 1
    row = only(found.steerable, recipe="dull", spoke="language")
    assert (row["models"], row["steerable"], row["own_min"], row["own_max"]) == (2, 1, 0.02, 0.1)
    assert "any" not in set(found.totals["prediction"])
    shown = page(found, None, (), {})
    assert "| dull | no | language | 2 | 1 | 0 | +0.06 (+0.02 to +0.10) | +0.40 (+0.40 to +0.40) |" in shown
    larger = "+0.03 (+0.03 to +0.03)"  # of 0.01 and 0.03, in the set where it is less
    assert f"| dull | no | arithmetic | 3 | 0 | 3 | {larger} |" in shown


def kept(*names: str, reason: str = "", effect: float = 0.1, untried: bool = False) -> dict[str, Any]:
    """A P1 that these conditions kept from a claim, each in two deciding sets, or that a control was not run for."""
    failed = [made.check(f"{one}: {name}", passed=False) for one in ("zh/bare", "es/bare") for name in names]
    missing = [made.check("beats its twins", None, detail="control missing: none")] if untried else []
    word = NO if names or reason else YES
    return made.verdict("language", "P1", word, checks=[*failed, *missing], effect=effect, reason=reason)


def test_what_kept_negatives_from_a_claim_is_told() -> None:
    """Counted: two by twins, one by Holm's correction, one by no dominant language; not where a control was not run."""
    cells = [kept("twins"), kept("twins", effect=0.3), kept("twins", "null"), kept("null", untried=True)]
    cells += [kept(reason="p = 0.080 after Holm's correction"), kept(reason=NO_DOMINANT)]
    records = [made.record("bag", seed, "no", [cell]) for seed, cell in enumerate(cells)]
    row = only(make(records).nearest, recipe="bag")
    assert (row["models"], row["claimed"], row["fewest"], row["by_one"]) == (6, 0, 1, 4)
    assert row["which"] == "twins (2); Holm's correction (1); no dominant language (1)"
    assert row["largest_effect"] == pytest.approx(0.3)
    other = {"verdicts": [kept("null")], "dominant": {}}
    beside = [
        made.record("bag", 6, "no", [kept()], **{"verdicts/FLORES": other, "size/50": other}),
        made.record("bag", 7, "no", [made.verdict("language", "P1", "too few")]),
        made.record("hub", 0, "yes", [kept("null")], rivals={"loud": False}),
    ]
    row = only(make([*records, *beside]).nearest)
    assert (row["models"], row["claimed"], row["fewest"], row["by_one"]) == (7, 1, 0, 4)


def test_the_page_says_which_negatives_are_zero_by_construction() -> None:
    sizes = {"apart": 0.0, "bag": 0.3, "turned": -0.03}
    records = [made.record(name, 0, "no", [kept("null", effect=effect)]) for name, effect in sizes.items()]
    records[0]["parts"]["verdicts/micro-world"]["verdicts"].append(
        made.verdict("language", "P2", NO, effect=2.0)
    )
    shown = page(make(records), None, (), {})
    assert "In `apart` the centred similarity of micro-world sentences is zero by the weights" in shown
    assert "alarm in `bag`, `turned`." in shown.replace("\n", " ")
    assert "zero by the weights" not in page(make(records[1:]), None, (), {})


def test_a_rival_is_also_shown_with_one_of_semhubs_conditions() -> None:
    """The smallest effect for cosines, the reversal in every deciding set for the lens; none without semhub's P2."""
    records = []
    for seed, (effect, reversals) in enumerate(((0.04, [True, True]), (0.06, [True, False]), (0.0, []))):
        claim = {"claimed": True, "p": 0.01, "effect": effect, "layer": 2}
        parts = {
            "rival/micro-world/paper's score": {"language": {"prediction": "P1", **claim}},
            "rival/micro-world/lens contrast": {"language": {"prediction": "P2", **claim}},
        }
        checks = [
            made.check(f"set {i}: the order is reversed at the last layer", passed=one)
            for i, one in enumerate(reversals)
        ]
        reading = made.verdict("language", "P2", NO, checks=checks)
        records.append(made.record("dull", seed, "no", [reading], **parts))
    totals = make(records).totals
    claimed = {
        one: only(totals, method=one)["claimed"] for one in set(totals["method"]) if "semhub" not in one
    }
    assert claimed == {
        "paper's score": 3,
        "paper's score, over 0.05": 1,
        "lens contrast": 3,
        "lens contrast, reversed": 1,
    }


def test_bands_are_compared_with_the_planted_layers() -> None:
    bands = proof().bands
    exact = only(bands, recipe="hub", prediction="P1")
    assert (exact["whole"], exact["exact"], exact["usual_band"], exact["planted"]) == (5, 5, "2-3", "2-3")
    beside = only(bands, recipe="hub", prediction="P2", spoke="language")
    assert (beside["whole"], beside["exact"]) == (0, 0)
    assert set(bands["recipe"]) == {"hub"}


def test_dominant_language_and_models() -> None:
    found = proof()
    assert only(found.dominant, recipe="hub")["answer"] == "en"
    assert (
        only(found.dominant, recipe="dull")["planted"],
        only(found.dominant, recipe="dull")["answer"],
    ) == ("", "none")
    assert only(found.models, recipe="hub")["models"] == 5


def test_on_foreign_text_only_what_is_absent_is_known() -> None:
    cell = {"verdicts": [made.verdict("language", "P1", YES)], "dominant": {}}
    records = [
        made.record(name, 0, truth, **{"verdicts/FLORES": cell})
        for name, truth in (("a", "no"), ("b", "yes"))
    ]
    found = make(records)
    assert dict(zip(found.rates["recipe"], found.rates["truth"], strict=True)) == {
        "a": "no",
        "b": "outside its world",
    }
    assert found.totals["truth"].tolist() == ["no"]


def test_transfer_is_averaged_over_models() -> None:
    rows = [[{"type": "zh", "told": "dominant", "asked": 10, "answered": k}] for k in (2, 8)]
    found = make([made.record("hub", i, transfer=row) for i, row in enumerate(rows)]).transfer
    row = only(found, recipe="hub")
    assert (row["models"], row["mean"], row["lowest"], row["highest"]) == (2, 0.5, 0.2, 0.8)


def graded() -> Proof:
    """Found to 30 degrees, by chance again at 90; with 50 cases at 0 degrees only."""
    records = []
    for angle in (0, 30, 60, 90):
        for seed in range(5):
            word = YES if angle <= 30 or (angle == 90) else NO
            few = {"verdicts": [made.verdict("language", "P1", YES if angle == 0 else NO)], "dominant": {}}
            records.append(
                made.record(
                    f"graded-{angle}", seed, "measured", [made.verdict("language", "P1", word)], angle=float(angle),
                    **{"size/50": few},
                )
            )  # fmt: skip
    return make(records)


def test_power_is_a_curve_over_angle_and_n() -> None:
    found = graded()
    assert only(found.power, angle=30, n=300)["share"] == 1
    assert only(found.power, angle=30, n=50)["share"] == 0
    assert set(found.claims["n"]) == {300}
    assert found.totals.empty


def test_the_smallest_hub_is_the_last_before_the_first_miss() -> None:
    found = graded().smallest
    usual = only(found, n=300)
    assert (usual["angle"], usual["shared"]) == (30, pytest.approx(math.cos(math.pi / 6)))
    assert only(found, n=50)["angle"] == 0


def dosed() -> Proof:
    """Nothing at a weight of 0; found in 3 of 5 at 0.05, in 4 at 0.1, in all at 0.5, beside `hub` itself."""
    records = []
    for dose, found in ((0.0, 0), (0.05, 3), (0.1, 4), (0.5, 5)):
        for seed in range(5):
            cells = [made.verdict("language", "P2", YES if seed < found else NO)]
            name, layers = f"hub-dose-{dose:g}", (2, 3)
            records.append(
                made.record(name, seed, "measured", cells, planted_layers=layers, planted_weight=dose)
            )
    records.append(made.record("hub", 0, "yes", [made.verdict("language", "P2", NO)], planted_layers=(2, 3)))
    return make(records)


def test_power_is_a_curve_over_the_planted_weight() -> None:
    found = dosed()
    curve = found.doses[found.doses["prediction"] == "P2"]
    assert [(row.dose, row.claimed, row.models) for row in curve.itertuples()] == [
        (0, 0, 5),
        (0.05, 3, 5),
        (0.1, 4, 5),
        (0.5, 5, 5),
    ]
    assert only(found.smallest_dose, prediction="P2")["dose"] == 0.1
    assert only(found.smallest_dose, prediction="P2")["models"] == 5
    assert found.power.empty
    assert only(found.dominant, recipe="hub-dose-0")["planted"] == ""
    assert only(found.dominant, recipe="hub-dose-0.1")["planted"] == "en"
    assert only(found.totals, method="semhub", truth="yes", prediction="P2")["models"] == 1


def test_a_strength_that_was_not_judged_ends_what_is_found() -> None:
    """P1 at every angle, P2 at 60 degrees alone: found there, but nothing is known of the stronger 0."""

    def cells(angle: float) -> list[dict[str, object]]:
        read = [made.verdict("language", "P2", YES)] if angle == 60 else []
        return [made.verdict("language", "P1", YES), *read]

    found = make(
        [made.record(f"bent-{a}", 0, "measured", cells(a), angle=float(a)) for a in (0, 60)]
    ).smallest
    assert only(found, prediction="P1")["angle"] == 60
    assert only(found, prediction="P2")["models"] == 0


def test_records_are_read_from_the_folder(tmp_path: Path) -> None:
    folder = made.write(tmp_path, [made.record("b", 0), made.record("a", 1), made.record("a", 0)])
    assert [(one["recipe"]["name"], one["seed"]) for one in read_records(folder)] == [
        ("a", 0),
        ("a", 1),
        ("b", 0),
    ]


def test_an_empty_folder_and_a_damaged_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match="no finished job"):
        read_records(tmp_path)
    made.write(tmp_path, [made.record("a", 0)])
    (tmp_path / "jobs" / "a-0.json").write_text('{"recipe": ', encoding="utf-8")
    with pytest.raises(RunFolderError, match="cannot be read"):
        read_records(tmp_path)
    (tmp_path / "jobs" / "a-0.json").write_text(json.dumps([1]), encoding="utf-8")
    with pytest.raises(RunFolderError, match="no record"):
        read_records(tmp_path)


def test_steering_is_a_part_of_its_own() -> None:
    """P3 of some models beside P1 of more: each is counted among those that were asked."""
    records = []
    for seed in range(4):
        parts = {}
        if seed < 3:
            steered = [made.verdict("language", "P3", YES if seed == 1 else NO)]
            parts["steering/micro-world"] = {"verdicts": steered, "dominant": {}}
        cells = [made.verdict("language", "P1", NO), made.verdict("language", "P3", "not run")]
        records.append(made.record("dull", seed, "no", cells, **parts))
    found = only(make(records).totals, method="semhub", prediction="P3", truth="no")
    assert (found["claimed"], found["models"]) == (1, 3)
    assert only(make(records).totals, method="semhub", prediction="P1", truth="no")["models"] == 4
