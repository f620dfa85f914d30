"""How sharply each case repeats the mean reading: what a prior over words, made sharper or flatter, brings along.

A model whose middle layers say frequent words whatever the input still says them more sharply at some positions than
at others, if only because a norm divides by the length of what else is there: M[i, j] = s_i b_j + a_i. Where sharp
positions stand before frequent words, the double-centred score of the right word is then above zero, though nothing
of the word is in the state. Here s_i is the least-squares slope of a case's scores against the mean scores of all
cases, over words; the score without it, c_i - (s_i - s.) (b_i - b.), is exactly zero in such a model. A slope below 0
or above MOST is no sharpness: what is read there turns the prior round or has little to do with it.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

MOST = 3.0
MOST_WORDS = 64  # what is kept of a case's scores is a spread of so many words


class Sharpness:
    """Keeps the scores of a spread of the words, case by case, until their means are known."""

    def __init__(self, n_words: int, n_layers: int, n_cases: int) -> None:
        spread = np.linspace(0, n_words - 1, min(n_words, MOST_WORDS)).round().astype(np.int64)
        self.words = np.unique(spread)
        self._scores = np.zeros((n_layers, n_cases, len(self.words)), dtype=np.float32)

    def add(self, layers: slice, cases: np.ndarray, m: Tensor) -> None:
        """m [layer, case, word]: log-probabilities of all words at these layers and cases."""
        columns = torch.from_numpy(self.words).to(m.device)
        self._scores[layers, cases] = m[:, :, columns].float().cpu().numpy()

    def slopes(self, keep: np.ndarray, column_mean: np.ndarray) -> np.ndarray:
        """s_i [layer, kept case] within 0 and MOST; keep [case] bool, column_mean [layer, word] over the kept cases.

        1 where all words are read alike on average: then there is no prior.
        """
        prior = column_mean[:, self.words]
        prior = prior - prior.mean(axis=1, keepdims=True)
        length = (prior**2).sum(axis=1)
        found = [scores[keep].astype(np.float64) @ b for scores, b in zip(self._scores, prior, strict=True)]
        flat = (length <= 1e-12)[:, None]
        return np.where(flat, 1.0, np.stack(found) / np.where(flat, 1.0, length[:, None])).clip(0.0, MOST)
