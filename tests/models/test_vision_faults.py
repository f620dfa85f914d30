"""Every self-check of pictures sees the fault it is there for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from tests.models.visionmodels import cached_vision_checkpoint

from semhub.models import load, selfcheck
from semhub.models.decoder import DecoderAdapter
from semhub.models.sight import Sight
from semhub.models.viewing import Viewing


def failed(family: str) -> set[str]:
    adapter = load(str(cached_vision_checkpoint(family)), check=False)
    assert isinstance(adapter, DecoderAdapter)
    return {check.name for check in selfcheck.run(adapter) if not check.passed}


@pytest.mark.parametrize("family", ["llava", "llava_next", "chameleon", "gemma3"])
def test_a_span_that_is_one_off(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    right = Sight.encode

    def shifted(self: Sight, *given: Any) -> Any:
        found = right(self, *given)
        return [
            replace(
                one,
                pictures=tuple(replace(s, positions=tuple(p + 1 for p in s.positions)) for s in one.pictures),
            )
            for one in found
        ]

    monkeypatch.setattr(Sight, "encode", shifted)
    assert failed(family) == {"picture_span"}


def test_marks_that_are_taken_for_features(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("semhub.models.sight.find_marks", lambda *_: frozenset())
    assert failed("llava_next") == {"picture_span"}


@pytest.mark.parametrize("padding", ["left", "right"])
def test_positions_that_depend_on_the_batch(padding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    right = Viewing.show

    def wrong(self: Viewing, inputs: Any, encoded: Any) -> Any:
        found = right(self, inputs, encoded)
        if len(found.lengths) == 1 or padding != inputs.padding or found.position_ids.ndim == 2:
            return found
        return replace(found, position_ids=torch.zeros_like(found.position_ids))

    monkeypatch.setattr(Viewing, "show", wrong)
    assert failed("qwen2_vl") == {f"picture_{padding}"}


@pytest.mark.parametrize("family", ["gemma3", "paligemma"])
def test_pictures_read_in_order_in_batches_alone(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    right = Viewing.arguments

    def wrong(self: Viewing, inputs: Any, dtype: torch.dtype) -> Any:
        alone = len(inputs.lengths) == 1
        return right(self, inputs if alone else replace(inputs, kinds=None), dtype)

    monkeypatch.setattr(Viewing, "arguments", wrong)
    assert failed(family) == {"picture_right", "picture_left"}


def test_tokens_that_the_lens_does_not_mask(monkeypatch: pytest.MonkeyPatch) -> None:
    adapter = load(str(cached_vision_checkpoint("chameleon")), check=False)
    adapter.unembedding = replace(adapter.unembedding, masked=None)
    names = {check.name for check in selfcheck.run(adapter) if not check.passed}
    assert names >= {"head", "lens", "picture_lens"}


def test_pictures_that_cannot_be_encoded_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Any:
        raise ValueError("the processor\nfell over")

    adapter = load(str(cached_vision_checkpoint("llava")), check=False)
    monkeypatch.setattr(Sight, "_pieces", broken)
    checks = [check for check in selfcheck.run(adapter) if not check.passed]
    assert {check.name for check in checks} == {
        f"picture_{name}" for name in ("span", "states", "lens", "right", "left")
    }
    assert all("raised ValueError: the processor" in check.detail for check in checks)
