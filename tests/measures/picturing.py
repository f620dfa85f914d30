"""A tiny llama that is shown pictures: a picture is as many tokens as its data has bytes, which name these tokens.

A mask is a list of the picture's positions, by their number; b"?" is one that the model cannot place.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Sequence
from typing import Any

import torch
from tests.tiny import tiny_model, tiny_tokenizer
from torch import Tensor

from semhub.models.base import Adapter, Encoded, Grid, Inputs, Shown, UnknownGrid
from semhub.models.decoder import DecoderAdapter
from semhub.types import Area, Content, Image, Text

BLIND = "this model's patch grid is not known"


class PicturingAdapter(DecoderAdapter):  # type: ignore[misc]
    """See the module."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.takes = frozenset({"text", "image"})

    def encode(self, contents: Sequence[Content], special_tokens: bool = True) -> list[Encoded]:
        return [self._one(content, special_tokens) for content in contents]

    def _one(self, content: Content, special_tokens: bool) -> Encoded:
        ids: list[int] = []
        offsets: list[tuple[int, int] | None] = []
        shown, at = [], 0
        for part in content.parts:
            if isinstance(part, Text):
                first = special_tokens and not ids
                (one,) = self.tokens.encode([part.text], first)
                ids += one.ids
                offsets += [None if span is None else (span[0] + at, span[1] + at) for span in one.offsets]
                at += len(part.text)
                continue
            assert isinstance(part, Image)
            positions = tuple(range(len(ids), len(ids) + len(part.data)))
            ids += [3 + byte for byte in part.data]
            offsets += [(at, at + 1)] * len(part.data)
            shown.append(Shown(part, at, positions, (len(part.data), 1), positions[0], positions[-1] + 1))
            at += 1
        return Encoded(tuple(ids), tuple(offsets), tuple(shown))

    def area(self, encoded: Encoded, area: Area) -> tuple[int, ...]:
        (shown,) = [one for one in encoded.pictures if one.at == area.at]
        if area.mask == b"?":
            raise UnknownGrid(BLIND)
        chosen = range(len(shown.positions)) if not area.mask else area.mask
        return tuple(shown.positions[i] for i in chosen if i < len(shown.positions))

    def grid(self, encoded: Encoded, at: int) -> Grid | None:
        return None

    def collate(self, encoded: Sequence[Encoded], padding: str = "right") -> Inputs:
        return super().collate([Encoded(one.ids, one.offsets) for one in encoded], padding)


@functools.cache
def picturing() -> tuple[Adapter, Any]:
    """The adapter under test, and the same weights in float64."""
    model = tiny_model("llama")
    exact = copy.deepcopy(model).double()
    return PicturingAdapter(model, tiny_tokenizer(), name="picturing"), exact


@torch.no_grad()
def run(ids: Sequence[int], edits: dict[int, dict[int, Tensor]] | None = None) -> tuple[list[Tensor], Tensor]:
    """One content through the float64 model: states of layers 0..L [position, d_model], logits of its last position.

    edits: layer -> position -> what is put in its place.
    """
    model, found = picturing()[1], []

    def look(layer: int, states: Tensor) -> Tensor:
        changed = states.clone()
        for position, state in (edits or {}).get(layer, {}).items():
            changed[0, position] = state
        found.append(changed[0])
        return changed

    def entering(_: Any, args: Any) -> Any:
        return (look(0, args[0]), *args[1:])

    def leaving(layer: int) -> Any:
        def hook(_: Any, __: Any, out: Any) -> Any:
            states = out[0] if isinstance(out, tuple) else out
            changed = look(layer, states)
            return (changed, *out[1:]) if isinstance(out, tuple) else changed

        return hook

    blocks = model.model.layers
    hooks = [blocks[0].register_forward_pre_hook(entering)]
    hooks += [block.register_forward_hook(leaving(i)) for i, block in enumerate(blocks, start=1)]
    try:
        out = model(input_ids=torch.tensor([list(ids)]), use_cache=False)
    finally:
        for hook in hooks:
            hook.remove()
    return found, out.logits[0, -1]
