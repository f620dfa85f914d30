"""A write at layer l is what everything after l reads, and nothing before it."""

from __future__ import annotations

import pytest
import torch
from tests.tiny import cached_checkpoint
from torch import Tensor

from semhub.capture import capture_all
from semhub.errors import UsageError
from semhub.models import load
from semhub.models.base import Encoded, Inputs
from semhub.models.decoder import DecoderAdapter
from semhub.steer import write
from semhub.types import Content


@pytest.fixture(params=["llama", "gpt2", "bloom"])
def adapter(request: pytest.FixtureRequest) -> DecoderAdapter:
    loaded = load(str(cached_checkpoint(request.param)), check=False)
    assert isinstance(loaded, DecoderAdapter)
    return loaded


@pytest.fixture
def encoded(adapter: DecoderAdapter) -> list[Encoded]:
    return adapter.encode([Content.of("three plus five"), Content.of("河水")])


@pytest.mark.parametrize("layer", [0, 1, 3, 4])
def test_write_reaches_its_layer_and_those_above(
    adapter: DecoderAdapter, encoded: list[Encoded], layer: int
) -> None:
    before = capture_all(adapter, encoded, "all").values
    with write(adapter, {layer: lambda states, _: states + 1}):
        after = capture_all(adapter, encoded, "all").values
    assert torch.equal(after[:layer], before[:layer])
    torch.testing.assert_close(after[layer], before[layer] + 1)
    changed = (after - before).abs().amax(dim=-1)[layer:]
    assert bool((changed > 0).all())
    assert torch.equal(capture_all(adapter, encoded, "all").values, before)


def test_replacing_the_stream_carries_one_content_into_another(
    adapter: DecoderAdapter, encoded: list[Encoded]
) -> None:
    """Interchange: with all states of a layer replaced, the output is that of the other content."""
    source = Encoded(encoded[0].ids[:2], ())
    target = Encoded(encoded[1].ids[:2], ())
    states = capture_all(adapter, [source], "all", layers=[2]).values[0]
    with write(adapter, {2: lambda _, __: states[None]}):
        found = adapter.logits(adapter.collate([target]))
    torch.testing.assert_close(found, adapter.logits(adapter.collate([source])), rtol=1e-4, atol=1e-4)


def test_one_position_leaves_earlier_ones_alone(adapter: DecoderAdapter, encoded: list[Encoded]) -> None:
    def edit(states: Tensor, inputs: Inputs) -> Tensor:
        changed = states.clone()
        rows = torch.arange(len(inputs.lengths))
        changed[rows, torch.tensor(inputs.lengths) - 1] += 1
        return changed

    before = capture_all(adapter, encoded, "all")
    with write(adapter, {1: edit}):
        after = capture_all(adapter, encoded, "all")
    last = torch.tensor([len(encoded[i].ids) - 1 for i in before.content.tolist()]) == before.position
    assert torch.equal(after.values[:, ~last], before.values[:, ~last])
    assert bool((after.values[1:, last] != before.values[1:, last]).any(dim=-1).all())


def test_edits_of_one_layer_compose_in_order(adapter: DecoderAdapter, encoded: list[Encoded]) -> None:
    before = capture_all(adapter, encoded, layers=[1]).values
    with write(adapter, {1: lambda s, _: s + 1}), write(adapter, {1: lambda s, _: s * 2}):
        found = capture_all(adapter, encoded, layers=[1]).values
    torch.testing.assert_close(found, (before + 1) * 2)


@pytest.mark.parametrize("layer", [-1, 5])
def test_layer_out_of_range(adapter: DecoderAdapter, layer: int) -> None:
    with (
        pytest.raises(UsageError, match="out of range"),
        write(adapter, {0: lambda s, _: s, layer: lambda s, _: s}),
    ):
        pass
    assert not any(block._forward_hooks or block._forward_pre_hooks for block in adapter.blocks)


def test_wrong_shape_is_refused_and_the_hook_removed(adapter: DecoderAdapter, encoded: list[Encoded]) -> None:
    with pytest.raises(UsageError, match="returned"), write(adapter, {1: lambda s, _: s[:, :1]}):
        capture_all(adapter, encoded)
    assert not any(block._forward_hooks for block in adapter.blocks)
