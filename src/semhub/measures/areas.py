"""P2 over the areas of pictures: what the lens says of words, as means over an area's positions, in bounded memory.

The mean of a word's log-probabilities is what is scored. Beside it stand the mean of its probabilities (exp(mean
log p) and mean p are different numbers) and the share of positions where it is the most probable token.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from semhub.measures.groups import WordLens, best_word, mean_matrix, padded
from semhub.measures.words import Ready

NAMED = ("dominant", "control")  # the conditions whose probabilities are wanted
FLOOR = -1e30  # stands for minus infinity in a sum whose weights may be zero
HIDDEN = -1e20  # a mean below it holds a token that the model never says


class NamedWords:
    """`prob` and `top1` of the groups in NAMED: values (measure, condition) -> [layer, case], NaN without a word."""

    def __init__(self, ready: Ready, n_layers: int, device: torch.device) -> None:
        groups = {name: ready.groups[name] for name in NAMED if name in ready.groups}
        words = np.unique([word for some in groups.values() for group in some for word in group])
        self.words = torch.from_numpy(words.astype(np.int64)).to(device)
        place = {word: i for i, word in enumerate(words.tolist())}
        self.columns = {
            name: padded([[place[word] for word in group] for group in some]).to(device)
            for name, some in groups.items()
        }
        forms = ready.forms.to(device)[self.words]
        self.tokens = ready.targets.to(device)[forms.clamp_min(0)].masked_fill(forms < 0, -1)
        shape = (n_layers, len(ready.cases))
        self.values = {
            (measure, name): np.full(shape, np.nan) for measure in ("prob", "top1") for name in groups
        }

    def says(self, top: Tensor) -> Tensor:
        """top [layer, row] -> 1 where the token spells the word [layer, row, word]."""
        said = torch.zeros(*top.shape, len(self.words), dtype=torch.bool, device=top.device)
        for ids in self.tokens.T:
            said |= top[..., None] == ids
        return said.float()

    def add(self, layers: slice, cases: np.ndarray, prob: Tensor, top1: Tensor) -> None:
        """prob, top1 [layer, case of these, word]."""
        for measure, scores in (("prob", prob), ("top1", top1)):
            for name, columns in self.columns.items():
                found = best_word(scores, columns[torch.from_numpy(cases)])
                self.values[measure, name][layers][:, cases] = found.cpu().numpy()


def area_scores(
    lens: WordLens,
    named: NamedWords,
    states: Tensor,
    cases: np.ndarray,
    rows: Sequence[tuple[int, ...]],
    at_once: int,
) -> Iterator[tuple[slice, Tensor]]:
    """Yields (layer slice, mean log-probability [layer, case, word]); the rest goes into `named`.

    states [layer, row, d_model]: each row is read once, however many areas it lies in, in slices of about `at_once`
    numbers. cases, rows [case]: the cases that are read here, and the rows of each one's area.
    """
    place = {area: k for k, area in enumerate(dict.fromkeys(rows))}
    owner = torch.tensor([place[area] for area in rows], device=states.device)
    n_layers, n_rows = states.shape[:2]
    weight = mean_matrix(list(place), n_rows, states.device)
    rows_at_once = min(n_rows, max(1, at_once // lens.width))
    step = max(1, at_once // (max(rows_at_once, len(rows)) * lens.width))
    for start in range(0, n_layers, step):
        layers = list(range(start, min(start + step, n_layers)))
        logprob = torch.zeros(len(layers), len(place), len(lens.forms), device=states.device)
        prob = torch.zeros(len(layers), len(place), len(named.words), device=states.device)
        top1 = torch.zeros_like(prob)
        for first in range(0, n_rows, rows_at_once):
            some = slice(first, min(first + rows_at_once, n_rows))
            scores, top = lens.scores_and_top(states[start : layers[-1] + 1, some], layers)
            prob += weight[:, some] @ scores[:, :, named.words].exp()
            top1 += weight[:, some] @ named.says(top)
            logprob += weight[:, some] @ scores.clamp_min_(FLOOR)
        span = slice(layers[0], layers[-1] + 1)
        named.add(span, cases, prob[:, owner], top1[:, owner])
        yield span, logprob.masked_fill_(logprob < HIDDEN, -torch.inf)[:, owner]
