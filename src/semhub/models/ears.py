"""What every family that hears says of itself: the tokens that stand for a sound, and the features behind them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

Samples = NDArray[np.float32]  # [sample], mono, between -1 and 1


@dataclass(frozen=True, slots=True)
class Layout:
    """What is written for a sound of one length.

    before, after: text around it, as markers of its beginning and end. count: how many tokens carry its features.
    seconds: of the sound, the window (start, end) that each of them carries; empty where that is not known.
    """

    before: str
    count: int
    after: str
    seconds: tuple[tuple[float, float], ...] = ()


class Ear(ABC):
    """How one family hears.

    rate: samples in a second that `features` wants. longest: in seconds, what is heard of a sound; the rest is cut.
    feature_id: the id that stands for one feature. by_pieces: the text before a sound and the text after it are
    tokenized each by itself, without special tokens but one at the very start.
    """

    rate: int
    longest: float
    feature_id: int
    by_pieces: bool = False

    @abstractmethod
    def layout(self, n_samples: int) -> Layout:
        """Of a sound of that many samples, at `rate`, already cut to `longest`."""

    @abstractmethod
    def features(self, samples: Samples) -> Mapping[str, Tensor]:
        """What the model takes of one sound, by the name of its argument; the first axis is what sounds of a batch
        are joined along, other axes are filled up with zeros."""
