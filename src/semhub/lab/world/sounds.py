"""The micro-world as short sounds: one animal, or one animal and then another.

A sound is a function of the generator it is drawn with. A fifth of all ordered pairs of animals, chosen by a hash, is
held out: `scene(rng, "train")` never gives one, but may give the same two animals the other way round.
"""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from semhub.lab.world.voices import RATE, VOICES, Samples, voiced

__all__ = [
    "ANIMALS_HEARD",
    "MAMMALS",
    "OTHERS",
    "RATE",
    "SECONDS",
    "SoundScene",
    "draw_events",
    "held_out",
    "is_mammal",
    "label",
    "one",
    "pair",
    "scene",
]

SECONDS = 3.0
OTHERS = ("duck", "chicken", "frog", "snake", "turtle", "eagle")
MAMMALS = tuple(animal for animal in VOICES if animal not in OTHERS)
ANIMALS_HEARD = (*MAMMALS, *OTHERS)
HELDOUT_SHARE = 0.2  # of the ordered pairs
ALONE = 0.25  # of the scenes drawn by `scene`
Split = Literal["heldout", "train", "any"]


@dataclass(frozen=True, slots=True)
class SoundScene:
    """Animals in the order in which they are heard, the sound [sample] between -1 and 1, and what is said of it.

    spans: for each animal, in seconds, from when to when it is heard.
    """

    events: tuple[str, ...]
    samples: NDArray[np.float32]
    label: str
    spans: tuple[tuple[float, float], ...]


def held_out(events: tuple[str, ...]) -> bool:
    """Whether the animals in this order are kept out of all training data; one animal alone never is."""
    digest = hashlib.sha256(" then ".join(events).encode()).digest()
    return len(events) > 1 and int.from_bytes(digest[:4], "big") < HELDOUT_SHARE * 2**32


def is_mammal(animal: str) -> bool:
    return animal in MAMMALS


def label(events: tuple[str, ...]) -> str:
    """`a dog and then a frog`."""
    return " and then ".join(f"{'an' if animal[0] in 'aeiou' else 'a'} {animal}" for animal in events)


def scene(rng: random.Random, split: Split = "any") -> SoundScene:
    """One animal, or two different ones, of a split: `heldout` scenes have two.

    Raises ValueError if `split` is unknown.
    """
    return _scene(draw_events(rng, split), rng)


def draw_events(rng: random.Random, split: Split = "any") -> tuple[str, ...]:
    """The animals of a scene, as `scene` draws them."""
    if split not in ("heldout", "train", "any"):
        raise ValueError(f"split is 'heldout', 'train' or 'any', not {split!r}")
    if split != "heldout" and rng.random() < ALONE:
        return (rng.choice(ANIMALS_HEARD),)
    while True:
        first, second = rng.sample(ANIMALS_HEARD, 2)
        if split == "any" or held_out((first, second)) == (split == "heldout"):
            return first, second


def one(animal: str, rng: random.Random) -> SoundScene:
    """A sound of one animal. Raises KeyError for an animal unknown."""
    return _scene((animal,), rng)


def pair(first: str, second: str, rng: random.Random) -> SoundScene:
    """A sound of one animal in the first half and another in the second. Raises KeyError for an animal unknown."""
    return _scene((first, second), rng)


def _scene(events: tuple[str, ...], rng: random.Random) -> SoundScene:
    drawn = np.random.default_rng(rng.getrandbits(64))
    lasts = SECONDS / len(events)
    heard = [voiced(VOICES[animal], lasts, drawn) * drawn.uniform(0.6, 1.0) for animal in events]
    whole = np.concatenate(heard)
    power = np.sqrt(np.mean(whole**2))
    whole = whole + _background(len(whole), drawn) * power * 10 ** (-drawn.uniform(14, 34) / 20)
    samples = whole / np.abs(whole).max() * drawn.uniform(0.25, 0.95)
    spans = tuple((index * lasts, (index + 1) * lasts) for index in range(len(events)))
    return SoundScene(events, samples.astype(np.float32), label(events), spans)


def _background(n: int, rng: np.random.Generator) -> Samples:
    """Noise of power 1 that falls with the frequency, more or less steeply."""
    spectrum = np.fft.rfft(rng.normal(size=n))
    pitch = np.fft.rfftfreq(n, 1 / RATE)
    noise = np.fft.irfft(spectrum * (1 + pitch / 200) ** -rng.uniform(0.0, 0.8), n)
    found: Samples = noise / np.sqrt(np.mean(noise**2))
    return found
