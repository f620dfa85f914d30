"""What a model remembers of the columns of a batch that it has read: the keys and values of every block."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from transformers import DynamicCache


@dataclass(frozen=True, slots=True, eq=False)
class Past:
    """Keys and values of the columns read so far; a forward pass that is given it adds its own columns."""

    cache: Any

    @classmethod
    def empty(cls, model: Any) -> Past:
        """Of no column yet; sliding windows as the model's configuration has them."""
        return cls(DynamicCache(config=model.config))

    def rows(self, chosen: Tensor) -> Past:
        """The past of other rows: row i of the result is row chosen[i] of this one, which stays as it is."""
        cache = copy.copy(self.cache)
        cache.layers = [copy.copy(layer) for layer in self.cache.layers]
        cache.batch_select_indices(chosen)
        return Past(cache)
