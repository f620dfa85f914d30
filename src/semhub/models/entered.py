"""Passes that begin inside a model: the states of a layer stand in for the blocks below it, and at layer 0 for pictures
and sounds. Rows of one prompt that are edited from that layer on have them in common."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace

import torch
from torch import Tensor

from semhub.models.base import Adapter, Inputs
from semhub.models.inputs import Entered
from semhub.models.memory import out_of_memory
from semhub.models.past import Past
from semhub.models.sites import going_on, visiting

FAULTS = (RuntimeError, ValueError, TypeError, AttributeError, IndexError, KeyError, NotImplementedError)


class _Enough(Exception):
    """Ends a forward pass at the layer that was asked for."""


def enter(
    adapter: Adapter, inputs: Inputs, layer: int, past: Past | None, held: Iterable[int], plain: int
) -> Entered:
    """held: the ids that stand for pictures and sounds, which a model may not embed; `plain` is put in their place.

    past: of the columns before these; it stays as it is.
    """
    stands = torch.isin(inputs.ids, torch.tensor(sorted(held), dtype=torch.long, device=inputs.ids.device))
    ids = inputs.ids.masked_fill(stands, plain)
    kept: list[Tensor] = []

    def keep(states: Tensor) -> None:
        kept.append(states)
        raise _Enough

    with visiting(adapter, {layer: keep}), suppress(_Enough):
        adapter.forward(inputs, _copy(past, inputs))
    return Entered(replace(inputs, ids=ids, pictures=(), sounds=()), kept[0], layer)


def is_enough(adapter: Adapter, inputs: Inputs, entered: Entered, past: Past | None = None) -> bool:
    """Whether a pass of `entered` gives the states that the batch gives, at each position.

    It does not where later blocks are handed more of a picture, or of an earlier block, than the states, or read a
    picture in another order than text. Raises what a device without memory raises.
    """
    own = _last(adapter, inputs, past)
    try:
        with going_on(adapter, entered):
            found = _last(adapter, entered.inputs, past)
    except FAULTS as error:
        if out_of_memory(error):
            raise
        return False
    near = 1e-5 if adapter.dtype in (torch.float32, torch.float64) else 1e-3
    return bool(((found - own).norm(dim=-1) <= near * own.norm(dim=-1)).all())


def _last(adapter: Adapter, inputs: Inputs, past: Past | None) -> Tensor:
    """States [token, d_model] of layer L, float64."""
    kept: list[Tensor] = []
    with visiting(adapter, {adapter.n_layers: lambda states: kept.append(states)}):
        adapter.forward(inputs, _copy(past, inputs))
    real = inputs.mask[:, -inputs.ids.shape[1] :]
    return kept[0][real.to(kept[0].device)].double()


def _copy(past: Past | None, inputs: Inputs) -> Past | None:
    """The past of the same rows, which may be added to."""
    return None if past is None else past.rows(torch.arange(len(inputs.ids), device=inputs.ids.device))
