"""Splitting clusters, choosing a band, and Holm's correction."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semhub.stats.multiplicity import holm
from semhub.stats.split import band_width, choose_band, confirming


@settings(max_examples=50, deadline=None)
@given(labels=st.lists(st.integers(0, 40), min_size=2), seed=st.integers(0, 1000))
def test_whole_clusters_go_to_one_half(labels: list[int], seed: int) -> None:
    clusters = [f"c{label}" for label in labels]
    side = confirming(clusters, seed)
    for cluster in set(clusters):
        assert len({bool(s) for s, c in zip(side, clusters, strict=True) if c == cluster}) == 1
    confirmed = len({c for s, c in zip(side, clusters, strict=True) if s})
    assert confirmed == len(set(clusters)) // 2
    again = confirming(clusters[::-1], seed)[::-1]
    assert (side == again).all(), "the split depends on the labels and the seed alone"


def test_the_split_depends_on_the_seed() -> None:
    clusters = [str(i) for i in range(40)]
    assert (confirming(clusters, 0) != confirming(clusters, 1)).any()


@pytest.mark.parametrize(("n_layers", "width"), [(3, 2), (8, 2), (20, 2), (21, 3), (32, 4), (80, 8)])
def test_a_band_is_two_layers_and_a_tenth_of_the_depth(n_layers: int, width: int) -> None:
    assert band_width(n_layers) == width


def chosen(passes: str, score: list[float] | None = None) -> tuple[int, int] | None:
    flags = np.array([c == "x" for c in passes])
    return choose_band(flags, np.array(score or [0.0] * len(flags)), len(flags) - 1)


def test_the_longest_run_of_intermediate_layers_is_chosen() -> None:
    assert chosen("..xx.xxx.") == (5, 7)
    assert chosen("xxx.xx.xx") == (4, 5) or chosen("xxx.xx.xx") == (1, 2), "layers 0 and L never belong"
    assert chosen("xxxxxxxxx") == (1, 7)
    assert chosen("..xx..xx.", [0, 0, 1, 1, 0, 0, 2, 2, 0]) == (6, 7)
    assert chosen("x.......x", [9, 1, 1, 5, 4, 1, 1, 1, 9]) == (3, 4), (
        "no run: the best window of the least width"
    )
    assert chosen("..x.x....", [9, 1, 1, 1, 1, 3, 4, 1, 9]) == (5, 6), "runs of one layer are no band"


def test_too_few_layers_leave_no_band() -> None:
    assert chosen("xx") is None
    assert chosen("xxx") is None
    assert chosen("xxxx") == (1, 2)


def test_holm_by_hand() -> None:
    got = holm(np.array([0.01, 0.04, 0.03, np.nan, 0.005]))
    np.testing.assert_allclose(got, [0.03, 0.06, 0.06, np.nan, 0.02])
    assert holm(np.array([0.9, 0.8])).tolist() == [1, 1]
    assert holm(np.array([])).size == 0
    assert np.isnan(holm(np.array([np.nan]))).all()


@settings(max_examples=50, deadline=None)
@given(p=st.lists(st.floats(0, 1), min_size=1, max_size=8), seed=st.integers(0, 99))
def test_holm_rejects_what_the_step_down_procedure_rejects(p: list[float], seed: int) -> None:
    values = np.array(p)
    adjusted = holm(values)
    for level in (0.01, 0.05, 0.3):
        rejected, left = set(), sorted(range(len(p)), key=lambda i: p[i])
        while left and p[left[0]] <= level / len(left):
            rejected.add(left.pop(0))
        clear = [i for i in range(len(p)) if abs(adjusted[i] - level) > 1e-9]
        assert {i for i in clear if adjusted[i] <= level} == rejected & set(clear)
    order = np.random.default_rng(seed).permutation(len(p))
    np.testing.assert_allclose(holm(values[order]), adjusted[order])
