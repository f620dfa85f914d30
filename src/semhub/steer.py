"""The only code that writes hidden states."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial

from torch import Tensor

from semhub.errors import UsageError
from semhub.models.base import Adapter, Inputs
from semhub.models.sites import visiting

Edit = Callable[[Tensor, Inputs], Tensor]


@contextmanager
def write(adapter: Adapter, edits: Mapping[int, Edit]) -> Iterator[None]:
    """While open, every forward pass replaces the states of layer l by `edits[l](states, inputs)`.

    states [content, position, d_model] of layer l (0..L), as `capture` reads them at the same l; the result has the
    same shape. Edits of one layer compose in the order in which they were opened, and all are seen by `capture`.
    Raises UsageError for a layer out of range or a result of another shape.
    """
    with visiting(adapter, {layer: partial(_apply, adapter, layer, edit) for layer, edit in edits.items()}):
        yield


def _apply(adapter: Adapter, layer: int, edit: Edit, states: Tensor) -> Tensor:
    if adapter.running is None:
        raise UsageError("states are written only while the adapter runs the model.")
    edited = edit(states, adapter.running)
    if edited.shape != states.shape:
        raise UsageError(
            f"the edit of layer {layer} returned {tuple(edited.shape)}, the states are {tuple(states.shape)}."
        )
    return edited.to(states)
