"""Prompts of the same tokens with different sounds are different inputs."""

from __future__ import annotations

from tests.models.soundmodels import cached_sound_checkpoint, sound

from semhub.measures.steercases import _Spot
from semhub.models import load
from semhub.types import Content


def test_prompts_with_other_sounds_are_other_inputs() -> None:
    adapter = load(str(cached_sound_checkpoint("voxtral")), check=False)
    one, other, again = adapter.encode([Content.of("a", sound(0.5, seed)) for seed in (0, 1, 0)])
    assert one.ids == other.ids
    inputs = [_Spot(each, (3,)).input for each in (one, other, again)]
    assert inputs[0] == inputs[2] != inputs[1]
