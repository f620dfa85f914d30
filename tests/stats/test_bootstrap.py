"""The cluster bootstrap: what it resamples, and how often its intervals hold the truth."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as distributions

from semhub.stats.bootstrap import (
    cluster_codes,
    draw_weights,
    effective_clusters,
    interval_of_draws,
    mean_interval,
    percentile_levels,
)


def test_codes_follow_the_sorted_labels() -> None:
    assert cluster_codes(["b", "a", "b", "10", "9"]).tolist() == [3, 2, 3, 0, 1]


def test_weights_draw_whole_clusters() -> None:
    codes = np.array([0, 0, 1, 2, 2, 2])
    weights = draw_weights(codes, 500, np.random.default_rng(0))
    per_cluster = np.stack([weights[:, codes == c][:, 0] for c in range(3)], axis=1)
    for c in range(3):
        assert (weights[:, codes == c] == per_cluster[:, [c]]).all()
    assert (per_cluster.sum(axis=1) == 3).all()
    np.testing.assert_allclose(per_cluster.mean(axis=0), 1, atol=0.15)


@pytest.mark.parametrize("n", [2, 15, 30, 1000])
def test_levels_are_hesterbergs(n: int) -> None:
    """A normal mean's bootstrap spread is sigma sqrt((n-1)/n): the widened quantile times it is Student's."""
    low, high = percentile_levels(n)
    assert low + high == pytest.approx(1)
    reach = -distributions.norm.ppf(low) * np.sqrt((n - 1) / n)
    assert reach == pytest.approx(distributions.t.ppf(0.975, n - 1), rel=1e-6)
    assert percentile_levels(10**7)[0] == pytest.approx(0.025, abs=1e-6)


def test_unequal_clusters_count_as_fewer() -> None:
    """By hand; and a mean of independent clusters of unequal weights varies as one of that many equal ones."""
    assert effective_clusters(np.array([7, 7, 7])) == pytest.approx(3)
    assert effective_clusters(np.array([1, 3])) == pytest.approx(1.6)
    sizes = np.array([1.0, 2, 4, 8])
    means = np.random.default_rng(0).normal(size=(100_000, 4)) @ sizes / sizes.sum()
    assert 1 / means.var() == pytest.approx(effective_clusters(sizes), rel=0.02)


def test_the_interval_is_that_of_lists_drawn_cluster_by_cluster() -> None:
    """Against a plain loop that concatenates the cases of the clusters drawn; quantiles of 4,000 draws each."""
    rng = np.random.default_rng(1)
    clusters = np.repeat([f"c{i}" for i in range(12)], [1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4])
    values = rng.normal(size=(2, len(clusters))) + (clusters == "c7") * 2.0
    got = mean_interval(values, clusters, np.random.default_rng(2), n_draws=4000)
    np.testing.assert_allclose(got.estimate, values.mean(axis=1))
    assert (got.n, got.n_clusters) == (len(clusters), 12)
    labels, draws = np.unique(clusters), []
    for _ in range(4000):
        drawn = np.concatenate([np.flatnonzero(clusters == c) for c in rng.choice(labels, 12)])
        draws.append(values[:, drawn].mean(axis=1))
    sizes = [1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4]
    effective = sum(sizes) ** 2 / sum(size**2 for size in sizes)
    low, high = np.quantile(draws, percentile_levels(effective), axis=0)
    np.testing.assert_allclose(got.low, low, atol=0.1)
    np.testing.assert_allclose(got.high, high, atol=0.1)


def test_weights_make_a_ratio_of_sums() -> None:
    """A text of w positions weighs like w rows of its mean."""
    rng = np.random.default_rng(3)
    weights = rng.integers(1, 6, 40)
    values = rng.normal(size=(1, 40))
    names = np.array([f"t{i}" for i in range(40)])
    short = mean_interval(values, names, np.random.default_rng(4), weights=weights.astype(float))
    long = mean_interval(
        np.repeat(values, weights, axis=1), np.repeat(names, weights), np.random.default_rng(4)
    )
    np.testing.assert_allclose([short.estimate, short.low, short.high], [long.estimate, long.low, long.high])


def coverage(n_clusters: int, informative: bool, n_sets: int = 1500) -> float:
    """Share of 95% intervals that hold the true mean: clusters of 1 to 8 cases, each with its own effect."""
    rng = np.random.default_rng(n_clusters)
    held, done = 0, 0
    while done < n_sets:
        sizes = rng.integers(1, 9, n_clusters)
        codes = np.repeat(np.arange(n_clusters), sizes)
        shift = (sizes - 4.5) / 4 if informative else np.zeros(n_clusters)
        truth = float((np.arange(1, 9) * (np.arange(1, 9) - 4.5) / 4).sum() / 36) if informative else 0.0
        effect = rng.normal(size=(100, n_clusters)) + shift
        values = effect[:, codes] + rng.normal(size=(100, len(codes)))
        found = mean_interval(values, codes.astype(str), rng, n_draws=500)
        held += int(((found.low <= truth) & (truth <= found.high)).sum())
        done += 100
    return held / done


@pytest.mark.parametrize("n_clusters", [15, 30, 100])
@pytest.mark.parametrize("informative", [False, True])
def test_intervals_hold_the_truth_about_as_often_as_they_say(n_clusters: int, informative: bool) -> None:
    assert 0.92 <= coverage(n_clusters, informative) <= 0.975


def test_a_constant_and_a_single_cluster() -> None:
    rng = np.random.default_rng(0)
    same = mean_interval(np.full((1, 20), 3.0), np.arange(20).astype(str), rng)
    assert same.low[0] == same.estimate[0] == same.high[0] == 3
    alone = mean_interval(np.ones((2, 5)), np.array(["x"] * 5), rng)
    assert alone.n_clusters == 1
    assert np.isnan([alone.low, alone.high]).all()


def test_samples_without_a_value_are_left_out() -> None:
    draws = np.concatenate([np.linspace(0, 1, 101)[:, None], [[np.nan]]])
    low, high = interval_of_draws(draws, np.ones(10**6))
    assert (low[0], high[0]) == (pytest.approx(0.025, abs=1e-3), pytest.approx(0.975, abs=1e-3))
    assert np.isnan(interval_of_draws(np.full((3, 2), np.nan), np.ones(10))).all()


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), shift=st.floats(-50, 50), scale=st.floats(0.01, 100))
def test_intervals_move_and_stretch_with_the_data(seed: int, shift: float, scale: float) -> None:
    rng = np.random.default_rng(seed)
    values, clusters = rng.normal(size=(1, 30)), rng.integers(0, 9, 30).astype(str)
    one = mean_interval(values, clusters, np.random.default_rng(seed), n_draws=200)
    other = mean_interval(scale * values + shift, clusters, np.random.default_rng(seed), n_draws=200)
    np.testing.assert_allclose(other.low, scale * one.low + shift, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(other.high, scale * one.high + shift, rtol=1e-6, atol=1e-6)
    order = rng.permutation(30)
    shuffled = mean_interval(values[:, order], clusters[order], np.random.default_rng(seed), n_draws=200)
    np.testing.assert_allclose([shuffled.low, shuffled.high], [one.low, one.high], rtol=1e-9, atol=1e-12)
