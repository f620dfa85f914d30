"""The sounds that a model that hears is trained on: drawn once, and kept as what its ear makes of them."""

from __future__ import annotations

import random
from collections.abc import Sequence

import torch
from torch import Tensor

from semhub.lab.world.sounds import is_mammal, scene
from semhub.models.salmonn_ear import SalmonnEar

Features = dict[str, Tensor]
HALVED = ("input_features", "filter_banks")  # kept as float16


class Heard:
    """`n` sounds of the training split, a function of `n`, the seed and the ear.

    events, spans: of each sound, the animals and from when to when each is heard, in seconds. features: as the model
    takes them, one row for each sound.
    """

    def __init__(self, n: int, ear: SalmonnEar, seed: int) -> None:
        rng = random.Random(f"sounds:{seed}")
        self.events, self.spans = list[tuple[str, ...]](), list[tuple[tuple[float, float], ...]]()
        made: dict[str, list[Tensor]] = {}
        for _ in range(n):
            one = scene(rng, "train")
            self.events.append(one.events)
            self.spans.append(one.spans)
            for name, value in ear.features(one.samples).items():
                made.setdefault(name, []).append(value.half() if name in HALVED else value)
        self.features = {name: torch.cat(values) for name, values in made.items()}
        alone = [at for at, events in enumerate(self.events) if len(events) == 1]
        self._alone = {
            mammal: [at for at in alone if is_mammal(self.events[at][0]) == mammal]
            for mammal in (True, False)
        }
        if not all(self._alone.values()):
            raise ValueError(f"{n} sounds are too few: they hold no mammal alone, or nothing but mammals")

    def any(self, rng: random.Random) -> int:
        return rng.randrange(len(self.events))

    def alone(self, rng: random.Random, mammal: bool | None = None) -> int:
        """A sound of one animal; as often a mammal as not, or as is asked for."""
        return rng.choice(self._alone[rng.random() < 0.5 if mammal is None else mammal])

    def taken(self, sounds: Sequence[int] | Tensor) -> Features:
        """The features of some sounds."""
        return {
            name: rows[sounds].float() if name in HALVED else rows[sounds]
            for name, rows in self.features.items()
        }
