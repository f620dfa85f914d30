"""The lens on words: a word's score over its single-token forms, a group's over its words, means over positions."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from semhub.lens import LensMode, lens_input, read
from semhub.measures.words import Ready
from semhub.models.base import Adapter


class WordLens:
    """Reads states as scores of a set's words.

    forms [word, form] on the device. width: how many numbers are held for one state, `n_draws` of a null included.
    """

    def __init__(self, adapter: Adapter, ready: Ready, mode: LensMode, n_draws: int) -> None:
        self._adapter, self._mode, self._targets = adapter, mode, ready.targets
        self.forms = ready.forms.to(adapter.device)
        self.width = max(1, len(ready.targets), len(ready.forms), n_draws)

    def scores(self, states: Tensor, layers: Sequence[int]) -> Tensor:
        """states [layer, row, d_model] -> log-probability summed over each word's forms [layer, row, word]."""
        return self._read(states, layers, 0)[0]

    def scores_and_top(self, states: Tensor, layers: Sequence[int]) -> tuple[Tensor, Tensor]:
        """The scores, and the most probable token that can be read [layer, row]."""
        return self._read(states, layers, 1)

    def _read(self, states: Tensor, layers: Sequence[int], top_k: int) -> tuple[Tensor, Tensor]:
        adapter, shape = self._adapter, states.shape[:2]
        rows = lens_input(adapter, states, layers, self._mode).flatten(0, 1)
        readable = adapter.n_tokens if top_k else None
        found = read(adapter.unembedding, rows, targets=self._targets, top_k=top_k, readable=readable)
        scores = torch.full((len(rows), len(self.forms)), -torch.inf, device=found.logprob.device)
        for column in self.forms.T:
            scored = found.logprob[:, column.clamp_min(0)].masked_fill_(column < 0, -torch.inf)
            scores = torch.logaddexp(scores, scored)
        return scores.view(*shape, -1), found.top_ids.view(*shape, -1)[:, :, :top_k].flatten(1)


def padded(groups: Sequence[Sequence[int]]) -> Tensor:
    """Words of each case [case, word of the group], -1 where a group is shorter than the longest."""
    width = max((len(group) for group in groups), default=0) or 1
    return (
        torch.tensor([list(group) + [-1] * (width - len(group)) for group in groups])
        .reshape(-1, width)
        .long()
    )


def best_word(scores: Tensor, columns: Tensor) -> Tensor:
    """Each case's best word: scores [layer, case, word], columns [case, word of the group] -> [layer, case]."""
    index = columns.clamp_min(0).expand(scores.shape[0], -1, -1)
    picked = scores.gather(2, index).masked_fill(columns < 0, -torch.inf).amax(dim=2)
    return picked.masked_fill((columns < 0).all(dim=1), torch.nan)


def mean_matrix(members: Sequence[Sequence[int]], n_rows: int, device: torch.device) -> Tensor:
    """[group, row], whose product with rows is each group's mean over its rows.

    A product gives the same sums every time, which adding by index on a GPU does not.
    """
    weight = torch.zeros(len(members), n_rows)
    for group, rows in enumerate(members):
        weight[group, list(rows)] = 1 / len(rows)
    return weight.to(device)
