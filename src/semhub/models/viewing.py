"""What a batch with pictures adds to a forward pass: pixels, kinds of tokens, positions in rows and columns."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from semhub.models.inputs import PICTURE, TEXT, Encoded, Features, Inputs
from semhub.models.sight import Sight

FIRST_POSITION = {"paligemma": 1}  # positions count from here


class Viewing:
    """A model that is shown pictures: its sight, and the trunk whose arguments they become."""

    def __init__(self, sight: Sight, trunk: Any) -> None:
        self.sight = sight
        self.takes = frozenset(inspect.signature(trunk.forward).parameters)
        self.places = getattr(trunk, "get_rope_index", None)
        self.first = FIRST_POSITION.get(sight.model_type, 0)

    def show(self, inputs: Inputs, encoded: Sequence[Encoded]) -> Inputs:
        """The batch with the pictures of its contents. Raises UsageError for ids whose pictures are missing."""
        for one in encoded:
            self.sight.check_shown(one)
        if not any(one.pictures for one in encoded):
            return inputs
        pictures = tuple(tuple(self.sight.pixels(shown.image) for shown in one.pictures) for one in encoded)
        host = inputs.mask.cpu()
        kinds = torch.full(host.shape, TEXT)
        for row, one in enumerate(encoded):
            kinds[row, host[row]] = self.sight.kinds(one)
        shown = replace(inputs, kinds=kinds.to(inputs.ids.device), pictures=pictures)
        return shown if self.places is None else replace(shown, position_ids=self._in_space(shown, kinds))

    def _in_space(self, inputs: Inputs, kinds: Tensor) -> Tensor:
        """position_ids [content, position, axis] from the model's own function, each content by itself."""
        assert self.places is not None
        known = inspect.signature(self.places).parameters
        flat = inputs.position_ids.cpu()
        out = flat[..., None].repeat(1, 1, 3)
        for row, pictures in enumerate(inputs.pictures):
            if not pictures:
                continue
            real = inputs.mask[row].cpu()
            given = {
                "input_ids": inputs.ids[row].cpu()[real][None],
                "mm_token_type_ids": (kinds[row, real] == PICTURE).int()[None],
                **joined(pictures, frozenset(known)),
            }
            found, _ = self.places(**{name: value for name, value in given.items() if name in known})
            out[row, real] = found[-3:, 0].T.to(out)
        return out.to(inputs.ids.device)

    def arguments(self, inputs: Inputs, dtype: torch.dtype) -> dict[str, Any]:
        """What the trunk takes beside ids and mask; floating pixels in the model's dtype."""
        arguments: dict[str, Any] = {}
        place, device = inputs.position_ids, inputs.ids.device
        if place.ndim == 3:
            arguments["position_ids"] = place.permute(2, 0, 1)
        elif inputs.padding == "left" and "position_ids" in self.takes:
            arguments["position_ids"] = place + self.first
        if (
            self.sight.is_prefix
        ):  # 0 for the prefix, 1 for what is read in order; a text without pictures always is
            kinds = torch.full_like(inputs.ids, TEXT) if inputs.kinds is None else inputs.kinds
            arguments["token_type_ids"] = (kinds == TEXT).long()
        elif inputs.kinds is not None:
            kinds = (inputs.kinds == PICTURE).long()
            arguments |= {
                name: kinds for name in ("token_type_ids", "mm_token_type_ids") if name in self.takes
            }
        pixels = joined([one for row in inputs.pictures for one in row], self.takes)
        return arguments | {
            name: value.to(device, dtype if value.is_floating_point() else None)
            for name, value in pixels.items()
        }


def joined(pictures: Sequence[Features], names: frozenset[str]) -> dict[str, Tensor]:
    """The named tensors of all pictures along their first axis; other axes are filled up with zeros."""
    if not pictures:
        return {}
    return {name: _join([one[name] for one in pictures]) for name in pictures[0] if name in names}


def _join(tensors: Sequence[Tensor]) -> Tensor:
    shape = [max(sizes) for sizes in zip(*(tensor.shape[1:] for tensor in tensors), strict=True)]
    out = tensors[0].new_zeros(sum(len(tensor) for tensor in tensors), *shape)
    start = 0
    for tensor in tensors:
        out[(slice(start, start + len(tensor)), *(slice(0, n) for n in tensor.shape[1:]))] = tensor
        start += len(tensor)
    return out
