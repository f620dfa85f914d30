"""The rivals: found by file name or path; they detect what is there and nothing in independent states."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch

import semhub
from semhub.errors import UsageError
from semhub.lab.prove.cases import SpokeCases, spoke_cases
from semhub.lab.prove.rivals import Claim, claims_by_spoke, rivals
from semhub.lab.prove.rivals._tests import highest_layer, mean_above_zero
from semhub.measures.similarity import PairStates
from semhub.models.base import Adapter
from semhub.types import Content, Kept, Pair, PairSet

SHIPPED = {"paper's score", "raw cosine", "CKA", "mutual k-NN", "lens contrast", "steering against noise"}
NO_MODEL = cast(Adapter, None)
MINE = """
from semhub.lab.prove.rivals import Claim
NAME, PREDICTION, SOURCE = "mine", "P1", "here"
def claims(model, cases):
    return Claim(cases.type == "zh", 0.03 if cases.type == "zh" else 0.4, 0.5, 3)
"""


def method(name: str) -> Any:
    return next(one for one in rivals() if one.name == name).claims


def pair_cases(shared: float, seed: int, n: int = 120, type_: str = "zh") -> SpokeCases:
    """Two intermediate layers; in the second, the fraction `shared` of the variance is common to both sides."""
    rng = np.random.default_rng(seed)
    meaning, *forms = (rng.normal(size=(n, 16)) for _ in range(5))
    mixed = [np.sqrt(shared) * meaning + np.sqrt(1 - shared) * form for form in forms[2:]]
    states = np.stack([np.concatenate(forms[:2]), np.concatenate(mixed)]) + 2.0
    blank = Content.of("x")
    pairs = [Pair(str(i), str(i), blank, blank) for i in range(n)]
    found = PairStates(
        pairs=pairs,
        states=torch.from_numpy(states).float(),
        a_index=torch.arange(n),
        b_index=torch.arange(n, 2 * n),
        negative_index=torch.empty(0, dtype=torch.long),
        negative_of=torch.empty(0, dtype=torch.long),
    )
    cases = SpokeCases("language", type_, seed, pairs=PairSet("e", "v", pairs, Kept(n), "made"))
    cases.once("states", lambda: found)
    return cases


def test_every_file_is_a_rival() -> None:
    found = rivals()
    assert {one.name for one in found} == SHIPPED
    assert all(one.source for one in found)


@pytest.mark.parametrize("name", ["paper's score", "raw cosine", "CKA", "mutual k-NN"])
def test_a_similarity_detects_a_shared_space_and_where(name: str) -> None:
    found = method(name)(NO_MODEL, pair_cases(0.5, 0))
    assert found.claimed
    assert found.p <= 0.01
    assert found.effect > 0
    assert found.layer == 2


@pytest.mark.parametrize("name", ["paper's score", "raw cosine", "CKA", "mutual k-NN"])
def test_a_similarity_claims_independent_states_rarely(name: str) -> None:
    claimed = sum(method(name)(NO_MODEL, pair_cases(0.0, seed)).claimed for seed in range(20))
    assert claimed <= 4  # P(more) = 0.3% at a level of 5%


@pytest.fixture(scope="module")
def mini() -> Adapter:
    return semhub.load("mini", device="cpu", check=False)


LENSES = ("language.lens", "arithmetic.lens")


@pytest.mark.slow
def test_the_lens_contrast_finds_the_planted_layers(mini: Adapter) -> None:
    for cases in spoke_cases(mini, LENSES, n=60, seed=0, dominant="en"):
        found = method("lens contrast")(mini, cases)
        assert found.claimed, cases.type
        assert found.layer in (3, 4)


def test_a_contrast_is_claimed_at_its_layer_and_rarely_by_chance() -> None:
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(200, 4, 60))
    assert np.mean([mean_above_zero(values).claimed for values in noise]) <= 0.1
    found = mean_above_zero(noise[0] + np.array([-1.0, 0.0, 1.0, 0.0])[:, None])
    assert (found.claimed, found.layer) == (True, 3)


@pytest.mark.slow
def test_steering_moves_a_planted_model_and_hardly_its_twins(mini: Adapter) -> None:
    """Of a random model it may claim a small effect, now and then: Gaussian vectors are its weak control."""
    steer = method("steering against noise")

    def effects(model: Adapter) -> dict[str, Claim]:
        return {
            cases.type: steer(model, cases)
            for cases in spoke_cases(model, LENSES, n=60, seed=0, dominant="en")
        }

    planted = effects(mini)
    assert set(planted) == {"zh", "es", "arithmetic"}
    assert all(found.claimed and found.effect > 3 for found in planted.values()), planted
    for seed in range(3):
        found = effects(mini.twin(seed))
        assert all(abs(found[name].effect) < planted[name].effect / 10 for name in planted), found


@pytest.mark.slow
def test_cases_are_those_of_the_spokes(mini: Adapter) -> None:
    ids = ("language.similarity", "arithmetic.similarity", "language.lens", "arithmetic.lens")
    found = {(one.spoke, one.type): one for one in spoke_cases(mini, ids, n=40, seed=1, dominant="en")}
    assert set(found) == {("language", "zh"), ("language", "es"), ("arithmetic", "arithmetic")}
    chinese = found["language", "zh"]
    assert chinese.pairs is not None
    assert chinese.lens is not None
    assert chinese.pairs.variant == "zh/all/continued"
    assert chinese.lens.surface_language == "zh"
    assert chinese.states(mini).n_layers == mini.n_layers - 1


def test_a_spoke_is_claimed_if_each_of_its_types_is(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(MINE, encoding="utf-8")
    mine = rivals([str(file)])[-1]
    both = [pair_cases(0.5, 0, type_="zh"), pair_cases(0.5, 0, type_="es")]
    assert claims_by_spoke(NO_MODEL, [mine], both[:1])["mine"]["language"]["claimed"] is True
    together = claims_by_spoke(NO_MODEL, [mine], both)["mine"]["language"]
    assert together == {"prediction": "P1", "claimed": False, "p": 0.4, "effect": 0.5, "layer": 3}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import nowhere_to_be_found", "cannot be imported"),
        ('NAME, PREDICTION = "a", "P1"', "SOURCE, claims"),
        (MINE.replace('"P1"', '"P4"'), "PREDICTION"),
        (MINE.replace('"mine"', '"CKA"'), "two rivals"),
    ],
)
def test_a_file_that_is_no_rival_is_refused(text: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "wrong.py"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=message):
        rivals([str(file)])


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="give the file"):
        rivals([str(tmp_path / "absent.py")])


@pytest.mark.parametrize(
    ("body", "message"), [("1 / 0", "ZeroDivisionError"), ("return True", "not a Claim")]
)
def test_a_rivals_own_fault_names_its_file(body: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "faulty.py"
    text = MINE.split("def claims")[0] + f"def claims(model, cases):\n    {body}\n"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=message) as caught:
        rivals([str(file)])[-1].claims(NO_MODEL, pair_cases(0.5, 0))
    assert "faulty.py" in str(caught.value)


def test_states_without_a_number_are_no_claim() -> None:
    assert highest_layer(np.array([np.nan, np.nan]), np.zeros((9, 2))).claimed is False
    assert mean_above_zero(np.zeros((2, 1))) == Claim(False, 1.0, pytest.approx(np.nan, nan_ok=True))
    assert mean_above_zero(np.zeros((2, 5))).p == 1.0
