"""What is read of a word beyond one pattern of words that is stronger in some cases than in others.

A model whose middle layers say frequent words whatever the input still says them more sharply at some positions than
at others, if only because a norm divides by the length of what else is there. Where sharp positions stand before
frequent words, the double-centred score of the right word is then above zero, though nothing of the word is in the
state. Such scores are M[i, j] = a_i + b_j + s_i p_j: what the position says of any word, what is said of a word
anywhere (an unembedding bias is part of it), and a pattern of words p, stronger or weaker by case. That is fitted by
least squares to all cells but each case's own, so that nothing read of a case's own word enters its fit; what the own
cell has beyond it is zero in such a model, whatever p and s are.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

CELLS = 2**25  # numbers that are kept; with more words than that allows, a spread of them stands for all
FEWEST_WORDS, FEWEST_CASES = 64, 3
ROUNDS, TOLERANCE = 500, 1e-6


class KeptScores:
    """The scores of a spread of the words in the cases whose word is one of them, until all of them are there.

    words [kept word]: their indices. scored [case]: whether the case's word is among them. own [scored case]: its index
    in `words`. values [layer, scored case, kept word].
    """

    def __init__(self, word_of: np.ndarray, n_words: int, n_layers: int) -> None:
        affordable = math.isqrt(CELLS * n_words // max(1, n_layers * len(word_of)))
        kept = min(n_words, max(FEWEST_WORDS, affordable))
        self.words = np.unique(np.linspace(0, n_words - 1, kept).round().astype(np.int64))
        place = np.full(n_words, -1)
        place[self.words] = np.arange(len(self.words))
        self.scored = place[word_of] >= 0
        self.own = place[word_of[self.scored]]
        self._row = np.cumsum(self.scored) - 1
        self.values = np.zeros((n_layers, int(self.scored.sum()), len(self.words)), dtype=np.float32)

    def add(self, layers: slice, cases: np.ndarray, m: Tensor) -> None:
        """m [layer, case, word]: log-probabilities of all words at these layers and cases."""
        mine = np.flatnonzero(self.scored[cases])
        columns = torch.from_numpy(self.words).to(m.device)
        found = m[:, torch.from_numpy(mine).to(m.device)][:, :, columns]
        self.values[layers, self._row[cases[mine]]] = found.float().cpu().numpy()

    def rows(self, keep: np.ndarray) -> np.ndarray:
        """Which of the scored cases are among the kept ones: keep [case] -> [scored case]."""
        return np.asarray(keep[self.scored])

    def permuted(self, draws: np.ndarray) -> np.ndarray:
        """Permutations of all words [draw, word] as permutations of the kept ones [draw, kept word].

        Each goes on until it comes to a kept word again; so they stay within what the draws stay within.
        """
        place = np.full(draws.shape[1], -1)
        place[self.words] = np.arange(len(self.words))
        taken = draws[:, self.words]
        while (outside := place[taken] < 0).any():
            taken = np.where(outside, np.take_along_axis(draws, taken, axis=1), taken)
        return np.asarray(place[taken])


def beyond_one_pattern(m: np.ndarray, own: np.ndarray) -> np.ndarray:
    """m [case, word] less a_i + b_j + s_i p_j, fitted to all cells but (i, own[i]); 0 where that says nothing: in fewer
    than three cases, and for a word that is every case's own. NaN throughout if a number is not finite."""
    n, n_words = m.shape
    if n < FEWEST_CASES:
        return np.zeros_like(m)
    if not np.isfinite(m).all():
        return np.full_like(m, np.nan)
    cases, filled = np.arange(n), m.copy()
    others = np.ones_like(m)
    others[cases, own] = 0
    row = (m * others).sum(axis=1) / max(1, n_words - 1)
    column = (m * others).sum(axis=0) / np.maximum(1, others.sum(axis=0))
    filled[cases, own] = row + column[own] - row.mean()
    pattern, fitted = np.zeros(n_words), filled
    for with_pattern in (False, True):  # from a rough fill the pattern would take long to come away
        for round_ in range(ROUNDS):
            additive = filled.mean(axis=1, keepdims=True) + filled.mean(axis=0) - filled.mean()
            left = filled - additive
            if with_pattern:
                pattern = _leading(left, left[np.argmax((left**2).sum(axis=1))] if round_ == 0 else pattern)
            fitted = additive + np.outer(left @ pattern, pattern)
            change = np.abs(fitted[cases, own] - filled[cases, own]).max()
            filled[cases, own] = fitted[cases, own]
            if change < TOLERANCE:
                break
    residual = m - fitted
    residual[:, np.bincount(own, minlength=n_words) == n] = 0
    return np.asarray(residual)


def _leading(left: np.ndarray, pattern: np.ndarray, steps: int = 3) -> np.ndarray:
    """The first right singular vector of `left`, or zero, by power iteration from where the last round left it."""
    for _ in range(steps):
        pattern = left.T @ (left @ pattern)
        length = float(np.linalg.norm(pattern))
        pattern = pattern / length if length > 1e-18 else np.zeros_like(pattern)
    return pattern
