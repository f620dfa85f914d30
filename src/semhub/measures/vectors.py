"""The vectors of a steering experiment: the hypothesised direction of each case and its controls, at one layer.

Controls are as long as the hypothesised vector of their case and layer. Differences of real states are drawn from the
states that the directions are made of (of the inputs themselves where a direction is made of unembedding rows); those
of areas are mean states, and of different pictures. What replaces a state is as long as states are there.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from semhub.measures.steercases import HYPOTHESIS, Ready
from semhub.models.base import Adapter
from semhub.types import Direction, RowDifference, StateDifference, SteerCase

WRONG, NATIVE, SHUFFLED = "wrong_concept", "native", "shuffled"
OTHER_LAYER, RANDOM, REAL, INTERCHANGE = "wrong_layer", "random", "real_difference", "interchange"
Rng = Callable[[str], np.random.Generator]


class Vectors:
    """vectors(condition, layer) -> [case, d_model]; cases of a condition that has none for them are NaN.

    rng: a generator for a name; the same name gives the same draws, whatever else is asked.
    earlier: how many layers below the one that is written the states of a direction are read (layer 1 at the lowest).
    """

    def __init__(self, adapter: Adapter, ready: Ready, rng: Rng, earlier: int = 0) -> None:
        self.adapter, self.ready, self.rng, self.earlier = adapter, ready, rng, earlier
        self.n = len(ready.cases)
        self.partners = self._shuffled(rng(SHUFFLED))
        self._made: dict[tuple[str, int], Tensor] = {}

    @property
    def conditions(self) -> list[str]:
        """What can be asked for: the hypothesis and every control and reference that these cases allow."""
        has = {name for case in self.ready.cases for name in case.directions}
        found = [HYPOTHESIS, *(name for name in (WRONG, NATIVE) if name in has)]
        found += [SHUFFLED] if self.partners is not None else []
        found += [OTHER_LAYER] if self._by_state() and len(self.ready.own) > 1 else []
        found += [INTERCHANGE] if self._interchangeable() else []
        found += [REAL] if self._pool_size() > 1 else []
        return [*found, RANDOM]

    def has(self, condition: str) -> np.ndarray:
        """Which cases have a vector of this condition [case]."""
        named = condition in (HYPOTHESIS, WRONG, NATIVE)
        return np.array([not named or condition in case.directions for case in self.ready.cases])

    def of(self, condition: str, layer: int, draw: int = 0) -> Tensor:
        """layer: 1..L-1. draw: which of the differences of real states, or of the random vectors.

        Of `interchange` it is no difference: the state of the dominant run itself, to be put in the input's place.
        """
        if condition == INTERCHANGE:
            return self._state(layer)
        hypothesis = self._given(HYPOTHESIS, layer)
        if condition in (HYPOTHESIS, NATIVE):
            return hypothesis if condition == HYPOTHESIS else self._given(NATIVE, layer)
        length = hypothesis.norm(dim=-1, keepdim=True)
        if condition == WRONG:
            found = self._given(WRONG, layer)
        elif condition == SHUFFLED:
            assert self.partners is not None
            found = hypothesis[torch.from_numpy(self.partners)]
        elif condition == OTHER_LAYER:
            n_layers = len(self.ready.own)
            found = self._given(HYPOTHESIS, 1 + (layer - 1 + max(1, n_layers // 2)) % n_layers)
        elif condition == REAL:
            found = self._real(layer, draw)
        else:
            found = torch.from_numpy(
                self.rng(f"{RANDOM}:{draw}").normal(size=tuple(hypothesis.shape))
            ).float()
        sized: Tensor = found / found.norm(dim=-1, keepdim=True).clamp_min(1e-12) * length
        return sized

    def _by_state(self) -> bool:
        return all(isinstance(case.directions[HYPOTHESIS], StateDifference) for case in self.ready.cases)

    def _interchangeable(self) -> bool:
        """Whether the dominant run's states are of the kind that they take the place of."""
        for case in self.ready.cases:
            direction = case.directions[HYPOTHESIS]
            if isinstance(direction, RowDifference):
                return False
            if any((place.area is None) != (case.area is None) for place in direction.plus):
                return False
        return True

    def _given(self, condition: str, layer: int) -> Tensor:
        if (condition, layer) not in self._made:
            self._made[condition, layer] = self._make(condition, layer)
        return self._made[condition, layer]

    def _make(self, condition: str, layer: int) -> Tensor:
        out = torch.full((self.n, self.adapter.d_model), torch.nan)
        for i, case in enumerate(self.ready.cases):
            direction = case.directions.get(condition)
            if direction is not None:
                out[i] = self._direction(direction, layer)
        return out

    def _direction(self, direction: Direction, layer: int) -> Tensor:
        if isinstance(direction, RowDifference):
            difference = self._row(direction.plus) - self._row(direction.minus)
        else:
            states, place = self.ready.states[max(0, layer - 1 - self.earlier)], self.ready.place
            plus, minus = (
                states[[place[one] for one in some]].mean(dim=0) for some in (direction.plus, direction.minus)
            )
            difference = plus - minus
            if self.ready.how == "add":
                return difference
        sized: Tensor = difference / difference.norm().clamp_min(1e-12) * self.ready.length[layer - 1].mean()
        return sized

    def _state(self, layer: int) -> Tensor:
        """The mean state at the places `plus` of the hypothesis [case, d_model]."""
        states, place = self.ready.states[layer - 1], self.ready.place
        found = []
        for case in self.ready.cases:
            direction = case.directions[HYPOTHESIS]
            assert isinstance(direction, StateDifference)
            found.append(states[[place[one] for one in direction.plus]].mean(dim=0))
        return torch.stack(found)

    def _row(self, word: str) -> Tensor:
        weight = self.adapter.unembedding.weight
        return weight[list(self.adapter.word_forms(word))].float().mean(dim=0).cpu()

    def _shuffled(self, rng: np.random.Generator) -> np.ndarray | None:
        """For each case another one whose direction means something else; None where all mean the same."""
        meant = [_meant(case) for case in self.ready.cases]
        code = {one: i for i, one in enumerate(dict.fromkeys(meant))}
        codes = np.array([code[one] for one in meant], dtype=np.int64)
        if len(code) < 2:
            return None
        partners = np.empty(self.n, dtype=np.int64)
        for i in range(self.n):
            partners[i] = rng.choice(np.flatnonzero(codes != codes[i]))
        return partners

    def _pool_size(self) -> int:
        return len(np.unique(self.ready.sources if self._by_state() else self.ready.shown))

    def _real(self, layer: int, draw: int) -> Tensor:
        """For each case the difference of two states of different contents, or pictures."""
        by_state = self._by_state()
        pool = self.ready.states[layer - 1] if by_state else self.ready.own[layer - 1]
        sources = self.ready.sources if by_state else self.ready.shown
        rng = self.rng(f"{REAL}:{draw}")
        first = rng.integers(len(pool), size=self.n)
        second = rng.integers(len(pool), size=self.n)
        same = sources[first] == sources[second]
        while same.any():
            second[same] = rng.integers(len(pool), size=int(same.sum()))
            same = sources[first] == sources[second]
        return pool[torch.from_numpy(first)] - pool[torch.from_numpy(second)]


def _meant(case: SteerCase) -> object:
    """What tells a case's direction from those of others: its words, or what it should do to the output."""
    direction = case.directions[HYPOTHESIS]
    return direction if isinstance(direction, RowDifference) else (case.new, case.old)
