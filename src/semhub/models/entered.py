"""Batches whose pictures and sounds are taken in once: the states that enter the first block stand in for them."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace

import torch
from torch import Tensor

from semhub.models.base import Adapter, Inputs
from semhub.models.inputs import Entered
from semhub.models.memory import out_of_memory
from semhub.models.sites import visiting

FAULTS = (RuntimeError, ValueError, TypeError, AttributeError, IndexError, KeyError, NotImplementedError)


class _Enough(Exception):
    """Ends a forward pass at the first block."""


def enter(adapter: Adapter, inputs: Inputs, held: Iterable[int], plain: int) -> Entered:
    """held: the ids that stand for pictures and sounds, which a model may not embed; `plain` is put in their place."""
    stands = torch.isin(inputs.ids, torch.tensor(sorted(held), device=inputs.ids.device))
    ids = inputs.ids.masked_fill(stands, plain)
    kept: list[Tensor] = []

    def keep(states: Tensor) -> None:
        kept.append(states)
        raise _Enough

    with visiting(adapter, {0: keep}), suppress(_Enough):
        adapter.forward(inputs)
    return Entered(replace(inputs, ids=ids, pictures=(), sounds=()), kept[0])


def is_enough(adapter: Adapter, inputs: Inputs, entered: Entered) -> bool:
    """Whether a pass of `entered` gives the states that the batch gives, at each position.

    It does not where later blocks are handed more of a picture, or read it in another order than text. Raises what a
    device without memory raises.
    """
    own = _last(adapter, inputs)
    try:
        with visiting(adapter, {0: lambda _: entered.states}):
            found = _last(adapter, entered.inputs)
    except FAULTS as error:
        if out_of_memory(error):
            raise
        return False
    near = 1e-5 if adapter.dtype in (torch.float32, torch.float64) else 1e-3
    return bool(((found - own).norm(dim=-1) <= near * own.norm(dim=-1)).all())


def _last(adapter: Adapter, inputs: Inputs) -> Tensor:
    """States [token, d_model] of layer L, float64."""
    kept: list[Tensor] = []
    with visiting(adapter, {adapter.n_layers: lambda states: kept.append(states)}):
        adapter.forward(inputs)
    return kept[0][inputs.mask.to(kept[0].device)].double()
