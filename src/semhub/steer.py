"""The only code that writes hidden states.

`write` opens hooks with edits of any kind; an `Intervention` is the kind that batches: one layer, many rows, each with
a vector, a strength and positions of its own. What it is built from is captured elsewhere (capture.py, directions.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Literal, get_args

import torch
from torch import Tensor

from semhub.errors import UsageError
from semhub.models.base import Adapter, Inputs
from semhub.models.sites import check_layer, visiting

Edit = Callable[[Tensor, Inputs], Tensor]
How = Literal["add", "replace", "ablate", "project"]
FLAT = 1e-6  # a basis vector shorter than this, relative to the longest, adds no direction


@dataclass(frozen=True, slots=True, eq=False)
class Intervention:
    """What is written at one layer in each of many rows; with vector v, strength s and the state h:

    `add`: h + s v. `replace`: h + s (v - h), so that 1 puts v in the state's place (interchange, patching).
    `ablate`: h - s P h, `project`: h - s (h - P h), P the projection onto the span of the row's vectors.

    layer: 0 (embedding) to L. vectors [vector, d_model]; or [vector, slot, d_model]: for `add` and `replace` one for
    each of the row's positions, for `ablate` and `project` a basis. which [row]: each row's vector. strength [row].
    positions: of each row's prompt, negative ones from its end, written once however often they are named; one sequence
    for all rows, or one for each.
    every_step: the tokens generated after the prompt are edited too (not with one vector for each position).
    """

    layer: int
    how: How
    vectors: Tensor
    which: Tensor
    strength: Tensor
    positions: Sequence[int] | Sequence[Sequence[int]] = (-1,)
    every_step: bool = False

    def places(self, row: int) -> Sequence[int]:
        """The positions of one row."""
        if self.positions and not isinstance(self.positions[0], int):
            return self.positions[row]  # type: ignore[return-value]
        return self.positions  # type: ignore[return-value]


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


def check(adapter: Adapter, interventions: Sequence[Intervention], lengths: Sequence[int]) -> None:
    """Raises UsageError for what cannot be written. lengths: of each row's prompt, in tokens."""
    rows = len(lengths)
    for one in interventions:
        check_layer(one.layer, adapter.n_layers)
        if one.how not in get_args(How):
            raise UsageError(f"an edit is one of {', '.join(get_args(How))}, not {one.how!r}.")
        if one.vectors.ndim not in (2, 3) or one.vectors.shape[-1] != adapter.d_model:
            raise UsageError(
                f"the vectors {tuple(one.vectors.shape)} do not end in d_model = {adapter.d_model}."
            )
        if one.which.shape != (rows,) or one.strength.shape != (rows,):
            raise UsageError(f"{rows} rows need one vector and one strength each.")
        if rows and not 0 <= int(one.which.min()) <= int(one.which.max()) < len(one.vectors):
            raise UsageError(f"a row asks for a vector beyond the {len(one.vectors)} there are.")
        slots = one.vectors.shape[1] if one.vectors.ndim == 3 and one.how in ("add", "replace") else None
        if slots is not None and one.every_step:
            raise UsageError("one vector for each position cannot be written at generated tokens too.")
        for row, length in enumerate(lengths):
            places = one.places(row)
            if slots is not None and len(places) != slots:
                raise UsageError(f"{len(places)} positions need as many vectors, there are {slots}.")
            for place in places:
                if not -length <= place < length:
                    raise UsageError(f"position {place} is out of range for a prompt of {length} tokens.")


def first_written(interventions: Sequence[Intervention], rows: Sequence[int], lengths: Sequence[int]) -> int:
    """How many tokens before the prompt's end the first edit lies, over the rows (1: at the last token; at least 1)."""
    back = [
        length - place if place >= 0 else -place
        for one in interventions
        for row, length in zip(rows, lengths, strict=True)
        for place in one.places(row)
    ]
    return max([1, *back])


class Writer:
    """The interventions of some rows, as edits of the passes that read these rows' columns one after the other.

    Columns are those of the left-padded prompts of `width` tokens and of what is generated after them.
    """

    def __init__(
        self,
        interventions: Sequence[Intervention],
        rows: Sequence[int],
        lengths: Sequence[int],
        width: int,
        device: torch.device,
    ) -> None:
        self.start, self.width = 0, width
        self._parts = [_Part(one, rows, lengths, width, device) for one in interventions if rows]
        self.lowest = min((part.layer for part in self._parts), default=0)  # layer

    def keep(self, rows: Tensor) -> None:
        """Goes on with some of the rows."""
        for part in self._parts:
            part.keep(rows)

    @contextmanager
    def writing(self, adapter: Adapter, start: int) -> Iterator[None]:
        """While open, a forward pass reads the columns from `start` on."""
        edits: dict[int, list[_Part]] = {}
        for part in self._parts:
            edits.setdefault(part.layer, []).append(part)

        def apply(parts: list[_Part], states: Tensor, _: Inputs) -> Tensor:
            for part in parts:
                states = part.apply(states, start, self.width)
            return states

        with write(adapter, {layer: partial(apply, parts) for layer, parts in edits.items()}):
            yield


class _Part:
    """One intervention with its rows' vectors and columns on the device. columns [row, slot], -1: none."""

    def __init__(
        self,
        one: Intervention,
        rows: Sequence[int],
        lengths: Sequence[int],
        width: int,
        device: torch.device,
    ) -> None:
        at = torch.tensor(rows, dtype=torch.long)
        places = [one.places(row) for row in rows]
        columns = torch.full((len(rows), max(map(len, places), default=0)), -1)
        for i, (some, length) in enumerate(zip(places, lengths, strict=True)):
            found = [width - length + place if place >= 0 else width + place for place in some]
            columns[i, : len(found)] = torch.tensor(found, dtype=torch.long)
        self.layer, self.how, self.every_step = one.layer, one.how, one.every_step
        self.columns = columns.to(device)
        vectors = one.vectors[one.which[at].to(one.vectors.device)].to(device, torch.float32)
        if vectors.ndim == 2:
            vectors = vectors[:, None]
        self.vectors = orthonormal(vectors) if one.how in ("ablate", "project") else vectors
        self.strength = one.strength[at].to(device, torch.float32)

    def keep(self, rows: Tensor) -> None:
        self.columns, self.vectors, self.strength = (
            values[rows] for values in (self.columns, self.vectors, self.strength)
        )

    def apply(self, states: Tensor, start: int, width: int) -> Tensor:
        """states [row, column, d_model] of the columns from `start` on, edited where this intervention says."""
        n_columns = states.shape[1]
        columns = self.columns - start
        valid = (self.columns >= 0) & (columns >= 0) & (columns < n_columns)
        if self.every_step and start + n_columns > width:
            generated = torch.arange(max(0, width - start), n_columns, device=states.device)
            generated = generated.expand(len(states), -1)
            columns = torch.cat([columns, generated], dim=1)
            valid = torch.cat([valid, torch.ones_like(generated, dtype=torch.bool)], dim=1)
        if not bool(valid.any()):
            return states
        safe = columns.clamp(0, n_columns - 1)
        row = torch.arange(len(states), device=states.device)[:, None].expand_as(safe)
        current = states[row, safe].float()
        changed = states.clone()
        changed[row[valid], safe[valid]] = self._changed(current)[valid].to(states)
        return changed

    def _changed(self, current: Tensor) -> Tensor:
        """current [row, slot, d_model]."""
        strength = self.strength[:, None, None]
        if self.how == "add":
            return current + strength * self.vectors
        if self.how == "replace":
            return current + strength * (self.vectors - current)
        inside = torch.einsum("nkd,njd->nkj", current, self.vectors)
        projected = torch.einsum("nkj,njd->nkd", inside, self.vectors)
        gone = projected if self.how == "ablate" else current - projected
        return current - strength * gone


def orthonormal(vectors: Tensor) -> Tensor:
    """An orthonormal basis of the span of each row's vectors, [row, vector, d_model]; zero vectors fill it up."""
    _, sizes, basis = torch.linalg.svd(vectors.double(), full_matrices=False)
    known = sizes > FLAT * sizes.amax(dim=-1, keepdim=True).clamp_min(torch.finfo(torch.float64).tiny)
    kept: Tensor = (basis * known[..., None]).float()
    return kept
