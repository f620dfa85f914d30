"""Records from before a condition was there: what is still said of them, and under which name."""

from __future__ import annotations

import math
from typing import Any

import pytest
from tests.lab.prove import made_records as made
from tests.lab.prove.test_prove_tables import NO, YES, only

from semhub.lab.prove.older import large_enough
from semhub.lab.prove.page import page
from semhub.lab.prove.tables import Proof, make
from semhub.stats.verdict import NO_DOMINANT


def p2(
    p: float, *checks: made.Check, word: str = NO, spoke: str = "language", reason: str = ""
) -> dict[str, Any]:
    return {**made.verdict(spoke, "P2", word, checks=checks, reason=reason), "p": p, "p_adjusted": p}


def prior(passed: bool = False, value: float | None = 0.0, p: float | None = 0.6) -> made.Check:
    return {**made.check("es: read beyond a sharper or flatter prior", value, passed=passed), "p": p}


def chance(passed: bool = True, p: float = 0.01) -> made.Check:
    return {**made.check("zh: the dominant word is read beyond chance", passed=passed), "p": p}


CELLS = {
    "kept by the prior alone": [p2(0.6, prior(), chance())],
    "kept by chance too": [p2(0.6, prior(), chance(passed=False))],
    "before, not claimed": [p2(0.01, chance(passed=False))],
    "no words to judge by": [p2(0.01, prior(passed=True, value=None, p=None), chance(), word=YES)],
    "kept by Holm too": [p2(0.6, prior(), chance(p=0.04)), p2(0.04, chance(p=0.04), spoke="arithmetic")],
    "claimed": [p2(0.01, prior(passed=True, p=0.01), chance(), word=YES)],
    "before, claimed": [p2(0.01, chance(), word=YES)],
    "no dominant language": [p2(0.6, prior(), chance(), reason=NO_DOMINANT)],
    "too few": [p2(0.6, prior(), chance(), word="too few")],
    "before, one cell without checks": [
        p2(0.01, chance(), word=YES),
        p2(0.01, word="too few", spoke="arithmetic"),
    ],
    "no other p": [p2(0.6, prior(), made.check("zh: something"))],
}
CLAIMED = {"no words to judge by", "claimed"}
BEFORE = {"before, not claimed", "before, claimed", "before, one cell without checks"}
ALLOWED = {*CLAIMED, "kept by the prior alone", "before, claimed", "before, one cell without checks"}


def claims(truth: str) -> tuple[Proof, dict[str, bool], dict[str, bool]]:
    """The proof, and what is claimed of languages by semhub and without its condition on priors."""
    found = make([made.record(name, 0, truth, verdicts=some) for name, some in CELLS.items()])
    ours, allowed = (
        found.claims[(found.claims["method"] == method) & (found.claims["spoke"] == "language")]
        .set_index("recipe")["claimed"]
        .to_dict()
        for method in ("semhub", "semhub, priors allowed")
    )
    return found, ours, allowed


def test_where_there_is_no_hub_every_p2_counts_and_is_shown_without_its_condition_too() -> None:
    found, ours, allowed = claims("no")
    assert ours == {
        name: name in CLAIMED or (name.startswith("before") and name in ALLOWED) for name in CELLS
    }
    assert allowed == {name: name in ALLOWED for name in CELLS}
    kept = only(found.claims, recipe="kept by the prior alone", method="semhub, priors allowed")
    assert (kept["p"], kept["failed"]) == (0.01, "")
    assert (
        only(found.claims, recipe="kept by Holm too", method="semhub, priors allowed", spoke="language")["p"]
        == 0.08
    )
    old = only(found.nearest, recipe="before, not claimed")
    assert (old["fewest"], old["by_one"]) == (1, 0)
    assert "0 models whose answer is yes or measured were judged before, and 3 where it is no" in words(found)


def test_finds_are_of_models_that_were_judged_by_the_whole_rule() -> None:
    """Whatever the older ones claimed, also where one of their cells could not be tested."""
    found, ours, allowed = claims("yes")
    assert set(ours) == CELLS.keys() - BEFORE
    assert {name for name, one in ours.items() if one} == CLAIMED
    assert allowed == {name: name in ALLOWED for name in CELLS}
    assert only(found.totals, method="semhub")["models"] == len(CELLS) - len(BEFORE)
    assert only(found.totals, method="semhub, priors allowed")["models"] == len(CELLS)
    assert "3 models whose answer is yes or measured were judged before, and 0 where it is no" in words(found)


def test_the_page_says_nothing_of_it_where_all_were_judged_by_the_whole_rule() -> None:
    found = make(
        [made.record(name, 0, "no", verdicts=some) for name, some in CELLS.items() if name not in BEFORE]
    )
    assert "judged before, and" not in words(found)


def words(found: Proof) -> str:
    return page(found, None, [], {}).replace("\n", " ")


def test_p2_without_its_condition_has_a_power_curve_of_its_own() -> None:
    cells = CELLS["before, claimed"]
    found = make([made.record("bent", seed, "measured", cells, angle=30.0) for seed in range(3)]).power
    assert found[["prediction", "claimed", "models"]].to_numpy().tolist() == [["P2, priors allowed", 3, 3]]


@pytest.mark.parametrize(("low", "claimed"), [(0.009, False), (0.011, True), (math.nan, False)])
def test_p3s_smallest_effect_is_asked_of_older_records(low: float, claimed: bool) -> None:
    checks = [made.check("moves the output beyond zero")]
    one = {**made.verdict("language", "P3", YES, checks=checks), "ci_low": low}
    row = only(make([made.record("old", 0, "no", [one])]).claims)
    assert row["claimed"] == claimed
    assert row["failed"] == ("" if claimed else "moves it by more than the smallest effect of interest")
    judged = {**one, "checks": large_enough(one)["checks"], "ci_low": 5.0}
    assert large_enough(judged) is judged
    shared = {**one, "prediction": "P1"}
    assert large_enough(shared) is shared
