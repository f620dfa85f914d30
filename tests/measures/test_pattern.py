"""What is left beyond one pattern of words: against a plain fit, its laws, and which words are kept."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import least_squares
from tests.measures import plain

from semhub.measures import pattern
from semhub.measures.pattern import KeptScores, beyond_one_pattern
from semhub.stats.permutation import permutations


def sharp_before_frequent_words(
    rng: np.random.Generator, n: int = 400, n_words: int = 100, fixed: float = 0.0, sharpest: float = 1.75
) -> tuple[np.ndarray, np.ndarray]:
    """M = s_i p_j + b_j + a_i with s_i large where the case's word is frequent, and the words."""
    own = rng.integers(n_words, size=n)
    prior = np.sort(rng.normal(size=n_words))
    sharp = np.where(prior[own] > 0.5, sharpest, 1.0) + 0.2 * rng.normal(size=n)
    return np.outer(sharp, prior) + fixed * rng.normal(size=n_words) + rng.normal(size=(n, 1)), own


@pytest.mark.parametrize("fixed", [0.0, 1.0])
@pytest.mark.parametrize("sharpest", [1.75, 10.0, -1.0])
def test_a_prior_that_is_sharper_before_frequent_words_leaves_nothing(fixed: float, sharpest: float) -> None:
    """Whatever part of it is the same everywhere, as an unembedding bias, and however sharp it becomes."""
    m, own = sharp_before_frequent_words(np.random.default_rng(0), fixed=fixed, sharpest=sharpest)
    cases = np.arange(len(own))
    assert abs(plain.double_centred(m)[cases, own].mean()) > 0.1
    np.testing.assert_allclose(beyond_one_pattern(m, own), 0, atol=1e-4)


def test_a_prior_of_few_words_that_is_hardly_sharper_anywhere_leaves_nothing() -> None:
    """The first fill of the own cells is off by far more than the pattern is strong."""
    rng = np.random.default_rng(6)
    own = rng.integers(9, size=150)
    m = np.outer(1 + 1e-3 * rng.normal(size=150), 3 * rng.normal(size=9)) + rng.normal(size=(150, 1))
    np.testing.assert_allclose(beyond_one_pattern(m, own), 0, atol=1e-5)


def test_what_is_read_of_the_own_word_is_left_whole() -> None:
    """Its cells enter no fit: the more is read there, the more is left, by exactly as much."""
    rng = np.random.default_rng(1)
    m, own = sharp_before_frequent_words(rng, n=80, n_words=12)
    m += 0.3 * rng.normal(size=m.shape)
    cases = np.arange(len(own))
    read = m.copy()
    read[cases, own] += 5.0
    before, after = (beyond_one_pattern(one, own) for one in (m, read))
    np.testing.assert_allclose(after[cases, own] - before[cases, own], 5.0, atol=2e-3)
    others = np.ones(m.shape, dtype=bool)
    others[cases, own] = False
    np.testing.assert_allclose(after[others], before[others], atol=2e-3)


def test_it_is_the_least_squares_fit_of_the_other_cells() -> None:
    rng = np.random.default_rng(2)
    m, own = rng.normal(size=(14, 7)) * 2, rng.integers(7, size=14)
    others = np.ones(m.shape, dtype=bool)
    others[np.arange(14), own] = False
    found = beyond_one_pattern(m, own)
    np.testing.assert_allclose(found, plain.beyond_one_pattern(m, own.tolist()), atol=1e-3)

    def misfit(x: np.ndarray) -> np.ndarray:
        a, b, s, p = np.split(x, np.cumsum([14, 7, 14]))
        return (m - a[:, None] - b - np.outer(s, p))[others]

    best = min(least_squares(misfit, rng.normal(size=42)).cost for _ in range(8))
    assert (found[others] ** 2).sum() / 2 == pytest.approx(best, rel=1e-3)


def test_where_a_fit_says_nothing_nothing_is_left() -> None:
    rng = np.random.default_rng(3)
    m = rng.normal(size=(5, 4))
    assert not beyond_one_pattern(m[:2], np.array([0, 1])).any()
    alone = beyond_one_pattern(m, np.zeros(5, dtype=int))
    assert not alone[:, 0].any()
    assert not beyond_one_pattern(np.full((5, 4), -1.5), np.array([0, 1, 2, 3, 0])).any()
    m[0, 0] = -np.inf
    assert np.isnan(beyond_one_pattern(m, np.array([1, 2, 3, 0, 1]))).all()


def test_of_many_words_a_spread_is_kept_with_the_cases_of_these(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(4)
    word_of = rng.integers(500, size=3000)
    m = torch.from_numpy(rng.normal(size=(2, 3000, 500)))
    assert len(KeptScores(word_of, 500, 2).words) == 500
    monkeypatch.setattr(pattern, "CELLS", 10**6)
    kept = KeptScores(word_of, 500, 2)
    assert len(kept.words) == 288  # the square root of 10**6 * 500 / (2 * 3000)
    assert kept.values.size <= 1.1 * 10**6
    assert kept.words[0] == 0
    assert kept.words[-1] == 499
    assert np.diff(kept.words).max() <= 2
    for at in np.array_split(rng.permutation(3000), 7):
        kept.add(slice(0, 1), at, m[:1, at])
        kept.add(slice(1, 2), at, m[1:, at])
    scored = np.flatnonzero(np.isin(word_of, kept.words))
    np.testing.assert_array_equal(np.flatnonzero(kept.scored), scored)
    np.testing.assert_array_equal(kept.words[kept.own], word_of[scored])
    np.testing.assert_array_equal(kept.values, m.numpy()[:, scored][:, :, kept.words].astype(np.float32))
    some = rng.random(3000) < 0.3
    np.testing.assert_array_equal(kept.rows(some), some[scored])


def test_permutations_of_kept_words_stay_within_their_strata(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pattern, "FEWEST_WORDS", 40)
    monkeypatch.setattr(pattern, "CELLS", 1)
    strata = np.arange(100) % 3
    draws = permutations(100, 200, np.random.default_rng(5), strata)
    kept = KeptScores(np.arange(100), 100, 1)
    taken = kept.permuted(draws)
    assert taken.shape == (200, 40)
    np.testing.assert_array_equal(np.sort(taken, axis=1), np.tile(np.arange(40), (200, 1)))
    assert (strata[kept.words][taken] == strata[kept.words]).all()
    same = (taken == np.arange(40)).mean()
    assert 0.05 < same < 0.1, "each of 13 or 14 words of a stratum stays in one of as many draws"
    everything = KeptScores(np.arange(100), 100, 1)
    everything.words = np.arange(100)
    np.testing.assert_array_equal(everything.permuted(draws), draws)
