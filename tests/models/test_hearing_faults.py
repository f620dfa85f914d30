"""Every self-check of sounds sees the fault it is there for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from tests.models.soundmodels import HEARING, cached_sound_checkpoint

from semhub.models import load, selfcheck
from semhub.models.base import Inputs
from semhub.models.decoder import DecoderAdapter
from semhub.models.hearing import Hearing
from semhub.steer import write

CHECKS = {
    "sound_span",
    "sound_heard",
    "sound_states",
    "sound_lens",
    "sound_zero_edit",
    "sound_right",
    "sound_left",
}


def failed(family: str) -> set[str]:
    adapter = load(str(cached_sound_checkpoint(family)), check=False)
    assert isinstance(adapter, DecoderAdapter)
    return {check.name for check in selfcheck.run(adapter) if not check.passed}


@pytest.mark.parametrize("family", HEARING)
def test_a_span_that_is_one_off(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    right = Hearing.encode

    def shifted(self: Hearing, *given: Any) -> Any:
        return [
            replace(
                one, sounds=tuple(replace(s, positions=tuple(p + 1 for p in s.positions)) for s in one.sounds)
            )
            for one in right(self, *given)
        ]

    monkeypatch.setattr(Hearing, "encode", shifted)
    assert failed(family) == {"sound_span"}


@pytest.mark.parametrize("family", HEARING)
def test_sounds_that_do_not_reach_the_model(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Hearing, "arguments", lambda *_: {})
    assert failed(family) == {"sound_span", "sound_heard"}


@pytest.mark.parametrize("family", ["voxtral", "qwen2_5_omni", "salmonn"])
def test_sounds_of_a_batch_in_another_order(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    right = Hearing.arguments

    def wrong(self: Hearing, inputs: Inputs, dtype: torch.dtype) -> Any:
        return right(self, replace(inputs, sounds=inputs.sounds[::-1]), dtype)

    monkeypatch.setattr(Hearing, "arguments", wrong)
    assert failed(family) == {"sound_right", "sound_left"}


@pytest.mark.parametrize("family", ["audioflamingo3", "qwen2_audio"])
def test_what_fills_up_short_clips_read_as_sound(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The longest clip's mask for all of them."""
    right = Hearing.arguments

    def wrong(self: Hearing, inputs: Inputs, dtype: torch.dtype) -> Any:
        found = right(self, inputs, dtype)
        masks = {name: value.amax(0).expand_as(value) for name, value in found.items() if "mask" in name}
        return found if len(inputs.lengths) == 1 else {**found, **masks}

    monkeypatch.setattr(Hearing, "arguments", wrong)
    assert failed(family) >= {"sound_right", "sound_left"}


def test_an_edit_that_moves_sounds(monkeypatch: pytest.MonkeyPatch) -> None:
    def moved(adapter: Any, edits: Any) -> Any:
        def edit(states: torch.Tensor, inputs: Inputs) -> Any:
            return states + 0.01 * bool(inputs.sounds)

        return write(adapter, {layer: edit if len(edits) > 1 else one for layer, one in edits.items()})

    monkeypatch.setattr(selfcheck, "write", moved)
    assert failed("voxtral") == {"sound_zero_edit"}


@pytest.mark.parametrize(
    ("name", "seen"),
    [("hidden_states", {"sound_states"}), ("logits", {"sound_lens", "sound_heard"})],
)
def test_a_pass_without_sounds(name: str, seen: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    right = getattr(DecoderAdapter, name)
    monkeypatch.setattr(DecoderAdapter, name, lambda self, inputs: right(self, replace(inputs, sounds=())))
    assert failed("qwen2_audio") == seen


def test_sounds_that_cannot_be_encoded_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Any:
        raise ValueError("the processor\nfell over")

    adapter = load(str(cached_sound_checkpoint("voxtral")), check=False)
    monkeypatch.setattr(Hearing, "_layout", broken)
    checks = [check for check in selfcheck.run(adapter) if not check.passed]
    assert {check.name for check in checks} == CHECKS
    assert all("raised ValueError: the processor" in check.detail for check in checks)
