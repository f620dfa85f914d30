"""Permutation tests by brute force, their false alarms on null data, and the correction over layers."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semhub.stats.permutation import band_p, p_values, pairings, permutations, sign_flips


def test_permutations_stay_within_strata_and_reach_every_order() -> None:
    strata = np.array([0, 1, 0, 1, 0, 2])
    drawn = permutations(6, 600, np.random.default_rng(0), strata)
    assert (np.sort(drawn, axis=1) == np.arange(6)).all()
    assert (strata[drawn] == strata).all()
    seen, counts = np.unique(drawn, axis=0, return_counts=True)
    assert len(seen) == 6 * 2
    assert counts.min() > 25, "each of the 12 orders is drawn about 50 times"


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), n_clusters=st.integers(1, 8), n_strata=st.integers(1, 3))
def test_pairings_exchange_whole_clusters_within_strata(seed: int, n_clusters: int, n_strata: int) -> None:
    rng = np.random.default_rng(seed)
    codes = np.concatenate([np.arange(n_clusters), rng.integers(0, n_clusters, 12)])
    strata = rng.integers(0, n_strata, len(codes))
    drawn = pairings(codes, strata, 5, rng)
    assert (strata[drawn] == strata).all()
    for draw in drawn:
        for stratum in np.unique(strata):
            here = np.flatnonzero(strata == stratum)
            for cluster in np.unique(codes[here]):
                partners = codes[draw[here[codes[here] == cluster]]]
                assert len(set(partners)) == 1, "cases of one cluster get partners of one cluster"
                alone = len(np.unique(codes[here])) == 1
                assert alone or partners[0] != cluster


def test_pairings_of_equal_clusters_use_every_partner_once() -> None:
    codes = np.repeat(np.arange(7), 3)
    drawn = pairings(codes, np.zeros(21, dtype=np.int64), 50, np.random.default_rng(0))
    assert (np.sort(drawn, axis=1) == np.arange(21)).all()
    partner = codes[drawn[:, ::3]]
    assert (np.bincount(partner[:, 0], minlength=7)[1:] > 2).all(), (
        "every other cluster comes up as a partner"
    )


def test_pairings_keep_the_level_when_cases_share_a_cluster() -> None:
    """Each side has its own cluster vectors, the sides share nothing. Free permutations alarm about 19% of the time."""
    rng = np.random.default_rng(1)
    codes, n, n_draws = np.repeat(np.arange(40), 5), 200, 99
    alarms = {"clusters": 0, "free": 0}
    for _ in range(150):
        sides = [rng.normal(size=(40, 64))[codes] + 0.5 * rng.normal(size=(n, 64)) for _ in range(2)]
        a, b = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in sides)
        cosines = a @ b.T
        drawn = {
            "clusters": pairings(codes, np.zeros(n, dtype=np.int64), n_draws, rng),
            "free": permutations(n, n_draws, rng),
        }
        for name, order in drawn.items():
            null = cosines[np.arange(n), order].mean(axis=1)
            alarms[name] += (1 + (null >= np.diag(cosines).mean()).sum()) / (n_draws + 1) <= 0.05
    assert alarms["clusters"] <= 0.10 * 150
    assert alarms["free"] >= 0.11 * 150, "the simulation must be able to show the fault"


def plain_p(observed: float, null: list[float]) -> float:
    return (1 + sum(draw >= observed for draw in null)) / (len(null) + 1)


def test_p_values_by_hand() -> None:
    """Two layers of unlike spread; the corrected p compares each with the largest standardised value of a draw."""
    null = np.array([[0.0, 10.0], [1.0, 30.0], [2.0, 20.0], [-1.0, 0.0], [3.0, 40.0]])
    observed = np.array([1.0, 45.0])
    p, adjusted = p_values(observed, null)
    assert (
        p.tolist() == [plain_p(1.0, [0, 1, 2, -1, 3]), plain_p(45.0, [10, 30, 20, 0, 40])] == [4 / 6, 1 / 6]
    )
    spread = [np.std([0, 1, 2, -1, 3]), np.std([10, 30, 20, 0, 40])]
    highest = [max((a - 1) / spread[0], (b - 20) / spread[1]) for a, b in null]
    assert adjusted[0] == pytest.approx(plain_p(0.0, highest))
    assert adjusted[1] == pytest.approx(plain_p(25 / spread[1], highest))


def test_the_band_is_compared_with_the_best_band_of_each_draw() -> None:
    rng = np.random.default_rng(0)
    null, observed = rng.normal(size=(60, 6)) * np.arange(1, 7) + 5, rng.normal(size=6) * 3 + 8
    spread, centre = null.std(axis=0), null.mean(axis=0)
    z, draws = (observed - centre) / spread, (null - centre) / spread
    for band in ((1, 2), (2, 4), (1, 4)):
        width = band[1] - band[0] + 1
        windows = [range(s, s + width) for s in range(1, 6) if s + width - 1 <= 4]
        highest = [max(np.mean([draw[k] for k in window]) for window in windows) for draw in draws]
        want = plain_p(np.mean(z[band[0] : band[1] + 1]), highest)
        assert band_p(observed, null, band, (1, 4)) == pytest.approx(want)


def test_a_layer_without_variation_is_never_evidence_by_rounding() -> None:
    null = np.full((99, 3), 0.25)
    p, adjusted = p_values(np.array([0.25, 0.25 + 1e-9, 0.9]), null)
    assert p.tolist() == adjusted.tolist() == [1, 1, 0.01]
    assert band_p(np.array([0.25, 0.25 + 1e-9, 0.25]), null, (0, 1), (0, 2)) == 1
    mixed = null + np.array([0, 1, 1]) * np.random.default_rng(0).normal(size=(99, 3))
    assert band_p(np.array([0.25, 0.25, 0.25]), mixed, (0, 1), (0, 2)) == 1


def test_nothing_known_is_never_significant() -> None:
    null = np.random.default_rng(0).normal(size=(99, 3))
    for observed, draws in ((np.array([np.nan, 9, 9]), null), (np.array([9.0, 9, 9]), null * [np.nan, 1, 1])):
        p, adjusted = p_values(observed, draws)
        assert np.isnan([p[0], adjusted[0]]).all()
        assert p[1] == adjusted[1] == 0.01
        assert band_p(observed, draws, (0, 1), (0, 2)) == 1
        assert band_p(observed, draws, (1, 2), (0, 2)) == 0.01, "a band elsewhere is tested"
        assert band_p(observed * [1, 0, 0], draws, (1, 2), (0, 2)) > 0.3, (
            "and not made significant by the NaN"
        )


def test_sign_flips_flip_whole_clusters() -> None:
    values = np.array([[1.0, 2.0, 4.0, 8.0], [3.0, 5.0, 7.0, 11.0]])
    clusters = ["a", "b", "a", "c"]
    got = sign_flips(values, clusters, 400, np.random.default_rng(0))
    possible = {
        tuple((s * np.array([x, y, x, z]) * 1.0 @ values.T / 4).tolist())
        for s in (1,)
        for x in (-1, 1)
        for y in (-1, 1)
        for z in (-1, 1)
    }
    assert {tuple(row) for row in got.tolist()} == possible


def test_permutation_p_values_are_uniform_on_null_data() -> None:
    """The pairing of two unrelated sides: P(p <= u) must be about u."""
    rng = np.random.default_rng(2)
    found = []
    for _ in range(400):
        table = rng.normal(size=(15, 15))
        order = permutations(15, 99, rng)
        null = table[np.arange(15), order].mean(axis=1)
        found.append(p_values(np.array([np.diag(table).mean()]), null[:, None])[0][0])
    for level in (0.05, 0.2, 0.5, 0.8):
        noise = 4 * np.sqrt(level * (1 - level) / 400)
        assert abs(np.mean(np.array(found) <= level) - level) <= noise


def test_correlated_layers_are_searched_at_five_percent() -> None:
    """12 correlated layers: the best corrected p, and the best band's p, alarm in at most 5% of null sets."""
    rng = np.random.default_rng(3)
    walk = np.tril(np.ones((12, 12)))
    corrected, banded, raw = [], [], []
    for _ in range(400):
        draws = rng.normal(size=(100, 12)) @ walk.T
        observed, null = draws[0], draws[1:]
        p, adjusted = p_values(observed, null)
        z = (observed - null.mean(axis=0)) / null.std(axis=0)
        best = max(range(11), key=lambda s: z[s : s + 2].mean())
        corrected.append(adjusted.min())
        banded.append(band_p(observed, null, (best, best + 1), (0, 11)))
        raw.append(p.min())
    bound = 0.05 + 3.5 * np.sqrt(0.05 * 0.95 / 400)
    assert np.mean(np.array(corrected) <= 0.05) <= bound
    assert np.mean(np.array(banded) <= 0.05) <= bound
    assert np.mean(np.array(raw) <= 0.05) > bound, "without the correction the search must show"


@pytest.mark.parametrize("skewed", [False, True])
def test_sign_flips_keep_the_level_with_clusters(skewed: bool) -> None:
    """30 clusters of 1 to 8 cases with effects of their own and mean zero; symmetric as assumed, or long-tailed."""
    rng = np.random.default_rng(4)
    alarms = []
    for _ in range(600):
        codes = np.repeat(np.arange(30), rng.integers(1, 9, 30))
        effect = rng.exponential(size=30) - 1 if skewed else rng.normal(size=30)
        values = (effect[codes] + rng.normal(size=len(codes)))[None]
        null = sign_flips(values, codes.astype(str), 199, rng)
        alarms.append(p_values(values.mean(axis=1), null)[0][0] <= 0.05)
    assert np.mean(alarms) <= 0.05 + 3.5 * np.sqrt(0.05 * 0.95 / 600)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), scale=st.floats(0.01, 100), shift=st.floats(-10, 10))
def test_p_values_ignore_the_units_of_a_layer(seed: int, scale: float, shift: float) -> None:
    rng = np.random.default_rng(seed)
    null, observed = rng.normal(size=(40, 4)), rng.normal(size=4)
    units = np.array([1, scale, 1, 3])
    got = p_values(observed * units + shift, null * units + shift)
    want = p_values(observed, null)
    np.testing.assert_allclose(got, want, atol=1 / 41 + 1e-9)
    ordered = [p_values(observed + step, null)[1] for step in (0.0, 0.5, 1.0)]
    assert all((later <= earlier).all() for earlier, later in pairwise(ordered))
    assert (want[1] >= want[0]).all()


def test_a_band_above_one_flat_null_and_below_another_shows_nothing() -> None:
    null = np.zeros((99, 4))
    assert band_p(np.array([0.0, 1.0, -1.0, 0.0]), null, (1, 2), (1, 2)) == 1.0
    assert band_p(np.array([0.0, 1.0, 1.0, 0.0]), null, (1, 2), (1, 2)) == 0.01
