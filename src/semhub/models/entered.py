"""Batches whose pictures and sounds are taken in once: the states that enter the first block stand in for them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import torch
from torch import Tensor

from semhub.models.base import Adapter, Inputs
from semhub.models.inputs import Entered
from semhub.models.sites import visiting

FAULTS = (RuntimeError, ValueError, TypeError, AttributeError, IndexError, KeyError, NotImplementedError)


def enter(adapter: Adapter, inputs: Inputs, held: Iterable[int], plain: int) -> Entered:
    """held: the ids that stand for pictures and sounds, which a model may not embed; `plain` is put in their place."""
    stands = torch.isin(inputs.ids, torch.tensor(sorted(held), device=inputs.ids.device))
    ids = inputs.ids.masked_fill(stands, plain)
    return Entered(replace(inputs, ids=ids, pictures=(), sounds=()), _states(adapter, inputs, 0, None))


def is_enough(adapter: Adapter, inputs: Inputs, entered: Entered) -> bool:
    """Whether a pass of `entered` gives the states that the batch gives.

    It does not where later blocks are handed more of a picture, or read it in another order than text.
    """
    try:
        own = _states(adapter, inputs, adapter.n_layers, None)[inputs.mask].double()
        found = _states(adapter, entered.inputs, adapter.n_layers, entered.states)[inputs.mask].double()
    except FAULTS:
        return False
    near = 1e-5 if adapter.dtype in (torch.float32, torch.float64) else 2e-2
    return bool((found - own).norm(dim=-1).max() <= near * own.norm(dim=-1).max())


def _states(adapter: Adapter, inputs: Inputs, layer: int, entering: Tensor | None) -> Tensor:
    kept: list[Tensor] = []
    before = {} if entering is None else {0: lambda _: entering}
    with visiting(adapter, before), visiting(adapter, {layer: lambda states: kept.append(states)}):
        adapter.forward(inputs)
    return kept[0]
