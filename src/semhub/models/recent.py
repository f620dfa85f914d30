"""What was last made of pictures and sounds, kept up to a number of bytes: they come again and again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from semhub.models.inputs import Features

Key = TypeVar("Key", bound=Hashable)


class Recent(Generic[Key]):
    """The features that were asked for last."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Key, Features] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: Key, make: Callable[[Key], Features], most: int) -> Features:
        """The features of `key`, made if they are not here; the oldest go where there are more than `most` bytes."""
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        found = make(key)
        self._kept[key] = found
        self._bytes += _bytes(found)
        while self._bytes > most and len(self._kept) > 1:
            self._bytes -= _bytes(self._kept.popitem(last=False)[1])
        return found


def _bytes(features: Features) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in features.values())
