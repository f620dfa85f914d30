"""Mutual k-NN and debiased CKA against their formulas, and what they say of unrelated or constant states."""

from __future__ import annotations

import numpy as np
import pytest
from tests.measures import plain

from semhub.measures import neighbourhood
from semhub.measures.neighbourhood import overlap_and_cka
from semhub.stats.permutation import permutations


@pytest.fixture
def three(monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(neighbourhood, "NEIGHBOURS", 3)
    return 3


@pytest.mark.parametrize("width", [4, 40])  # fewer and more dimensions than cases: two ways to the same trace
def test_both_equal_their_formulas_also_under_permutation(three: int, width: int) -> None:
    rng = np.random.default_rng(0)
    n = 14
    common = rng.normal(size=(2, n, width))
    a = common + rng.normal(size=common.shape) + 5
    b = 2 * common + rng.normal(size=common.shape)
    index = np.concatenate([np.arange(n)[None], permutations(n, 3, rng)])
    got = overlap_and_cka(plain.pair_states(a, b), index)
    for draw, order in enumerate(index):
        for layer in range(2):
            x, y = plain.centred(a[layer]), plain.centred(b[layer][order])
            assert got["mutual_knn"][draw, layer] == pytest.approx(plain.mutual_knn(x, y, three), abs=1e-12)
            assert got["cka"][draw, layer] == pytest.approx(plain.cka(x, y), abs=1e-6)


def test_neighbours_do_not_depend_on_the_block() -> None:
    import torch

    rows = torch.randn(23, 5, generator=torch.Generator().manual_seed(0))
    unit = rows / rows.norm(dim=1, keepdim=True)
    small, large = neighbourhood._neighbours(unit, 4, block=7), neighbourhood._neighbours(unit, 4)
    assert [set(x) for x in small.tolist()] == [set(x) for x in large.tolist()]
    assert all(i not in near for i, near in enumerate(small.tolist()))


def test_equal_sides_score_one_and_rotations_change_nothing() -> None:
    rng = np.random.default_rng(1)
    a = rng.normal(size=(1, 30, 8))
    rotation = np.linalg.qr(rng.normal(size=(8, 8)))[0]
    here = np.arange(30)[None]
    for other in (a, a @ rotation * 3 + 1):
        got = overlap_and_cka(plain.pair_states(a, other), here)
        assert got["mutual_knn"][0, 0] == pytest.approx(1)
        assert got["cka"][0, 0] == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(("n", "width"), [(12, 200), (60, 10)])
def test_cka_of_unrelated_states_is_zero_on_average(n: int, width: int) -> None:
    rng = np.random.default_rng(2)
    a, b = rng.normal(size=(60, n, width)), rng.normal(size=(60, n, width))
    got = overlap_and_cka(plain.pair_states(a, b), np.arange(n)[None])["cka"][0]
    assert abs(got.mean()) < 4 * got.std() / np.sqrt(60)


def test_states_that_do_not_vary_have_neither() -> None:
    """With nothing but ties every case would have the same neighbours, and the overlap would be one."""
    rng = np.random.default_rng(0)
    a = np.repeat(rng.normal(size=(1, 1, 64)), 40, axis=1)
    for b in (a, rng.normal(size=(1, 40, 64))):
        got = overlap_and_cka(plain.pair_states(a, b), np.arange(40)[None])
        assert np.isnan(got["mutual_knn"]).all()
        assert np.isnan(got["cka"]).all()
