"""Known faults, seeded one at a time into a sound adapter: each is caught by the self-check named here."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
import torch
from tests.tiny import cached_checkpoint
from torch import Tensor

from semhub import capture
from semhub.errors import SelfCheckError
from semhub.models import load, selfcheck, sites
from semhub.models.base import Adapter, Encoded, Inputs
from semhub.models.decoder import DecoderAdapter
from semhub.models.loading import require
from semhub.steer import Edit
from semhub.types import Content

steer = importlib.import_module("semhub.steer")  # the name in the package is the function
Patch = pytest.MonkeyPatch
Seed = Callable[[DecoderAdapter, Patch], None]


def norm_twice(adapter: DecoderAdapter, patch: Patch) -> None:
    once = adapter.final_norm
    patch.setattr(adapter, "final_norm", lambda states: once(once(states)))


def norm_never(adapter: DecoderAdapter, patch: Patch) -> None:
    patch.setattr(adapter, "final_norm", lambda states: states)


def shifted(by: int) -> Callable[..., Any]:
    @contextmanager
    def visiting(adapter: Adapter, visits: Mapping[int, sites.Visit]) -> Iterator[None]:
        moved = {min(max(layer + by, 0), adapter.n_layers): visit for layer, visit in visits.items()}
        if len(moved) < len(visits):  # the end of the range holds two visits: keep the shift for the rest
            last = adapter.n_layers if by > 0 else 0
            moved[last] = visits[last]
        with sites.visiting(adapter, moved):
            yield

    return visiting


def read_one_early(adapter: DecoderAdapter, patch: Patch) -> None:
    patch.setattr(adapter, "blocks", (adapter.blocks[0], *adapter.blocks[:-1]))
    patch.setattr(steer, "visiting", _with_blocks(adapter.structure.blocks))


def write_one_late(adapter: DecoderAdapter, patch: Patch) -> None:
    patch.setattr(steer, "visiting", shifted(+1))


def write_one_early(adapter: DecoderAdapter, patch: Patch) -> None:
    patch.setattr(steer, "visiting", shifted(-1))


def both_one_early(adapter: DecoderAdapter, patch: Patch) -> None:
    patch.setattr(adapter, "blocks", (adapter.blocks[0], *adapter.blocks[:-1]))


def _with_blocks(blocks: tuple[Any, ...]) -> Callable[..., Any]:
    @contextmanager
    def visiting(adapter: Adapter, visits: Mapping[int, sites.Visit]) -> Iterator[None]:
        moved, adapter.blocks = adapter.blocks, blocks
        try:
            with sites.visiting(adapter, visits):
                adapter.blocks = moved
                yield
        finally:
            adapter.blocks = moved

    return visiting


def softcap_dropped(adapter: DecoderAdapter, patch: Patch) -> None:
    patch.setattr(adapter, "unembedding", replace(adapter.unembedding, softcap=None))


def scale_dropped(adapter: DecoderAdapter, patch: Patch) -> None:
    patch.setattr(adapter, "unembedding", replace(adapter.unembedding, scale=1.0))


def scale_inverted(adapter: DecoderAdapter, patch: Patch) -> None:
    patch.setattr(adapter, "unembedding", replace(adapter.unembedding, scale=1 / adapter.unembedding.scale))


def bias_dropped(adapter: DecoderAdapter, patch: Patch) -> None:
    patch.setattr(adapter, "unembedding", replace(adapter.unembedding, bias=None))


def padding_rows_dropped(adapter: DecoderAdapter, patch: Patch) -> None:
    weight = adapter.unembedding.weight[: adapter.n_tokens]
    patch.setattr(adapter, "unembedding", replace(adapter.unembedding, weight=weight))


def padding_counted_as_tokens(adapter: DecoderAdapter, patch: Patch) -> None:
    patch.setattr(adapter, "n_tokens", adapter.vocab_size + 1)


def positions_not_given(adapter: DecoderAdapter, patch: Patch) -> None:
    patch.setattr(adapter, "structure", replace(adapter.structure, takes_position_ids=False))


def left_padding_ignored(adapter: DecoderAdapter, patch: Patch) -> None:
    full = adapter._arguments
    patch.setattr(adapter, "_arguments", lambda inputs: full(replace(inputs, padding="right")))


def contents_in_another_order(adapter: DecoderAdapter, patch: Patch) -> None:
    right = adapter.collate

    def collate(encoded: Sequence[Encoded], padding: str = "right") -> Inputs:
        return right(list(encoded)[::-1], padding)

    patch.setattr(adapter, "collate", collate)


def content_and_position_swapped(adapter: DecoderAdapter, patch: Patch) -> None:
    @contextmanager
    def visiting(adapter: Adapter, visits: Mapping[int, sites.Visit]) -> Iterator[None]:
        def swapped(visit: sites.Visit) -> sites.Visit:
            return lambda states: visit(states.transpose(0, 1).reshape(states.shape))

        with sites.visiting(adapter, {layer: swapped(visit) for layer, visit in visits.items()}):
            yield

    patch.setattr(capture, "visiting", visiting)


def embedding_read_raw(adapter: DecoderAdapter, patch: Patch) -> None:
    """Layer 0 taken from the embedding module: no embedding norm, no positions."""

    @contextmanager
    def visiting(adapter: Adapter, visits: Mapping[int, sites.Visit]) -> Iterator[None]:
        assert isinstance(adapter, DecoderAdapter)
        embedding = adapter.model.get_input_embeddings()
        handles = []
        if 0 in visits:
            handles.append(embedding.register_forward_hook(lambda _, __, output: visits[0](output)))
        try:
            with sites.visiting(adapter, {layer: visit for layer, visit in visits.items() if layer}):
                yield
        finally:
            for handle in handles:
                handle.remove()

    patch.setattr(capture, "visiting", visiting)


def write_rounds(adapter: DecoderAdapter, patch: Patch) -> None:
    exact = steer._apply

    def rounded(adapter: Adapter, layer: int, edit: Edit, states: Tensor) -> Tensor:
        return exact(adapter, layer, edit, states).bfloat16().to(states)

    patch.setattr(steer, "_apply", rounded)


def offsets_late(adapter: DecoderAdapter, patch: Patch) -> None:
    right = adapter.encode

    def encode(contents: Sequence[Content], special_tokens: bool = True) -> list[Encoded]:
        return [Encoded(c.ids, (*c.offsets[1:], c.offsets[-1])) for c in right(contents, special_tokens)]

    patch.setattr(adapter, "encode", encode)


def looks_ahead(adapter: DecoderAdapter, patch: Patch) -> None:
    """Attention without a causal mask: every position reads every other, as in an encoder."""
    for block in adapter.blocks:
        attention = block.self_attn
        patch.setattr(attention, "is_causal", False)
        patch.setattr(attention, "forward", _without_mask(attention.forward))


def _without_mask(forward: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *args, **kwargs: forward(*args, **{**kwargs, "attention_mask": None})


def not_a_number(adapter: DecoderAdapter, patch: Patch) -> None:
    with torch.no_grad():
        adapter.model.get_input_embeddings().weight[-1, 0] = torch.nan


FAULTS: list[tuple[Seed, str, str]] = [
    (norm_twice, "llama", "lens"),
    (norm_twice, "gpt2", "lens"),
    (norm_never, "llama", "lens"),
    (norm_never, "cohere", "lens"),
    (read_one_early, "llama", "states"),
    (read_one_early, "bloom", "read_write"),
    (write_one_late, "llama", "read_write"),
    (write_one_early, "falcon", "read_write"),
    (both_one_early, "llama", "states"),
    (both_one_early, "gpt2", "lens"),
    (softcap_dropped, "gemma2", "head"),
    (softcap_dropped, "gemma2", "lens"),
    (scale_dropped, "cohere", "head"),
    (scale_dropped, "granite", "lens"),
    (scale_inverted, "granite", "head"),
    (bias_dropped, "gptj", "lens"),
    (padding_rows_dropped, "llama", "vocabulary"),
    (padding_rows_dropped, "llama", "lens"),
    (padding_counted_as_tokens, "llama", "vocabulary"),
    (positions_not_given, "gpt2", "batch_left"),
    (left_padding_ignored, "llama", "batch_left"),
    (left_padding_ignored, "bloom", "batch_left"),
    (contents_in_another_order, "llama", "batch_right"),
    (contents_in_another_order, "llama", "batch_left"),
    (content_and_position_swapped, "llama", "batch_right"),
    (embedding_read_raw, "bloom", "states"),
    (embedding_read_raw, "granite", "states"),
    (embedding_read_raw, "gpt2", "states"),
    (looks_ahead, "llama", "causal"),
    (write_rounds, "llama", "zero_edit"),
    (offsets_late, "llama", "offsets"),
    (not_a_number, "llama", "weights_finite"),
]


@pytest.mark.parametrize(
    ("seed", "family", "name"), FAULTS, ids=lambda value: getattr(value, "__name__", value)
)
def test_fault_is_caught_by_name(seed: Seed, family: str, name: str, monkeypatch: Patch) -> None:
    adapter = load(str(cached_checkpoint(family)))
    assert isinstance(adapter, DecoderAdapter)
    seed(adapter, monkeypatch)
    checks = selfcheck.run(adapter)
    assert name in [check.name for check in checks if not check.passed]
    with pytest.raises(SelfCheckError, match="failed the self-check"):
        require(checks, adapter.name)
