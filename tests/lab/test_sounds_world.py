"""Generated sounds: a function of their generator, told apart, some pairs held out."""

from __future__ import annotations

import random
from itertools import permutations

import numpy as np
import pytest
from numpy.typing import NDArray

from semhub.lab.world.lexicon import ANIMALS
from semhub.lab.world.sounds import (
    ANIMALS_HEARD,
    MAMMALS,
    OTHERS,
    RATE,
    SECONDS,
    SoundScene,
    draw_events,
    held_out,
    is_mammal,
    label,
    one,
    pair,
    scene,
)

PAIRS = list(permutations(ANIMALS_HEARD, 2))


def test_a_sound_is_a_function_of_its_generator() -> None:
    first, again, other = (scene(random.Random(seed)) for seed in (1, 1, 2))
    assert first.events == again.events
    assert np.array_equal(first.samples, again.samples)
    assert not np.array_equal(first.samples, other.samples)
    rng = random.Random(0)
    assert not np.array_equal(one("dog", rng).samples, one("dog", rng).samples)


@pytest.mark.parametrize("animal", ANIMALS_HEARD)
def test_every_animal_is_heard_in_its_time(animal: str) -> None:
    rng = random.Random(animal)
    other = "wolf" if animal != "wolf" else "frog"
    for made in [one(animal, rng) for _ in range(4)] + [pair(animal, other, rng) for _ in range(4)]:
        assert made.samples.shape == (int(SECONDS * RATE),)
        assert made.samples.dtype == np.float32
        assert np.isfinite(made.samples).all()
        assert 0.2 < np.abs(made.samples).max() < 1
        assert made.spans[0][0] == 0
        assert made.spans[-1][1] == SECONDS
        for start, end in made.spans:
            within = made.samples[round(start * RATE) : round(end * RATE)]
            assert (np.abs(within) > 0.1 * np.abs(made.samples).max()).sum() > 0.01 * RATE


def test_labels_are_told_in_order() -> None:
    assert label(("dog", "frog")) == "a dog and then a frog"
    assert label(("elephant",)) == "an elephant"
    assert scene(random.Random(3)).label == label(scene(random.Random(3)).events)


def test_mammals_and_others_are_animals_of_the_micro_world() -> None:
    assert set(MAMMALS) | set(OTHERS) == set(ANIMALS_HEARD) <= set(ANIMALS)
    assert not set(MAMMALS) & set(OTHERS)
    assert is_mammal("cow")
    assert not is_mammal("eagle")


def test_a_fifth_of_the_ordered_pairs_is_held_out() -> None:
    out = [events for events in PAIRS if held_out(events)]
    assert 0.15 < len(out) / len(PAIRS) < 0.25
    assert {animal for events in out for animal in events} == set(ANIMALS_HEARD)
    assert not any(held_out((animal,)) for animal in ANIMALS_HEARD)
    rng = random.Random(0)
    assert not any(held_out(draw_events(rng, "train")) for _ in range(500))
    assert all(held_out(draw_events(rng, "heldout")) for _ in range(200))
    assert {len(draw_events(rng)) for _ in range(100)} == {1, 2}
    with pytest.raises(ValueError, match="not 'test'"):
        scene(rng, "test")  # type: ignore[arg-type]


def test_animals_can_be_told_apart_by_their_spectra_alone() -> None:
    """Nearest mean over twelve sounds each; chance is one in eighteen."""
    rng = random.Random(5)
    made = {animal: np.stack([_spectrum(one(animal, rng)) for _ in range(18)]) for animal in ANIMALS_HEARD}
    spread = np.concatenate(list(made.values())).std(0)
    means = {animal: rows[:12].mean(0) for animal, rows in made.items()}
    right = [
        min(means, key=lambda name: float((((row - means[name]) / spread) ** 2).sum())) == animal
        for animal, rows in made.items()
        for row in rows[12:]
    ]
    assert np.mean(right) > 0.6


def _spectrum(made: SoundScene) -> NDArray[np.float64]:
    frames = made.samples.reshape(-1, 400) * np.hanning(400)
    loud = np.log(np.abs(np.fft.rfft(frames)) ** 2 + 1e-8)
    return np.concatenate([loud.mean(0), loud.std(0)])
