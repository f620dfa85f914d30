"""The only code that reads hidden states.

The forward pass is the floor: hooks copy the asked positions out on the device, nothing else is kept, the
unembedding is not run, and a content is cut after its last asked position (no position reads a later one, but
within a picture or a prefix, which are read whole). For the same reason a text that another one begins with is read
in that one's pass and needs none of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from semhub.errors import ModelError, UsageError
from semhub.models.base import Adapter, Encoded, Inputs, out_of_memory, release
from semhub.models.sites import check_layer, visiting

Positions = str | Sequence[Sequence[int]]


@dataclass(frozen=True, slots=True, eq=False)
class States:
    """Captured states: values [layer, row, d_model]; the row's content (index into what was asked) and position.

    layers: the layer number of each entry of the first axis. content and position are int64 [row] on the host.
    """

    values: Tensor
    content: Tensor
    position: Tensor
    layers: tuple[int, ...]


class _Enough(Exception):
    """Ends a forward pass once the last asked layer was read."""


def capture(
    adapter: Adapter,
    encoded: Sequence[Encoded],
    positions: Positions = "last",
    *,
    layers: Sequence[int] | None = None,
    batch_tokens: int = 4096,
    progress: Callable[[int], None] | None = None,
) -> Iterator[States]:
    """Yields the states of one batch after another, in the model's dtype and on its device.

    positions: "last", "all", or for each content the positions to read (negative ones count from the end).
    layers: which of 0..L, all by default. batch_tokens: padded tokens in one forward pass. progress: called with
    the number of contents done. Batches go from long to short contents; contents without a position are skipped. A
    content's rows follow each other, by position.
    Out of memory halves the batch and goes on; ModelError if one content alone does not fit.
    Raises UsageError on a layer or position out of range.
    """
    wanted = tuple(range(adapter.n_layers + 1)) if layers is None else tuple(sorted(set(layers)))
    for layer in wanted:
        check_layer(layer, adapter.n_layers)
    if not wanted:
        raise UsageError("no layers were asked for.")
    if batch_tokens < 1:
        raise UsageError(f"batch_tokens must be at least 1, not {batch_tokens}.")
    rows = _resolve(encoded, positions)
    lengths = [one.needed(max(asked) + 1) if asked else 0 for one, asked in zip(encoded, rows, strict=True)]
    cut = [one.beginning(length) if length else None for one, length in zip(encoded, lengths, strict=True)]
    passes = sorted(
        _passes(cut, [len(asked) for asked in rows]), key=lambda one: (-len(one.inputs.ids), one.contents)
    )
    return _batches(adapter, passes, rows, wanted, batch_tokens, progress)


@dataclass(frozen=True, slots=True)
class _Pass:
    """What one row of a batch is given, and the contents (ascending) that it is, or begins with."""

    inputs: Encoded
    contents: tuple[int, ...]


def n_tokens(encoded: Sequence[Encoded]) -> int:
    """How many tokens are run through the model to read the last position of each content."""
    return sum(len(one.inputs.ids) for one in _passes(encoded, [1] * len(encoded)))


def _passes(cut: Sequence[Encoded | None], n_rows: Sequence[int]) -> list[_Pass]:
    """The passes that read every content that has something to read.

    Sorted by their ids, texts that begin another stand right before it. A pass has no more rows than tokens, so that
    a batch has no more than `batch_tokens`. n_rows: positions asked of each content.
    """
    given = [(one, i) for i, one in enumerate(cut) if one is not None]
    out = [_Pass(one, (i,)) for one, i in given if one.whole_until]
    texts = sorted(
        ((one, i) for one, i in given if not one.whole_until), key=lambda pair: (pair[0].ids, pair[1])
    )
    read, rows = list[int](), 0
    for place, (one, i) in enumerate(texts):
        read.append(i)
        rows += n_rows[i]
        after = texts[place + 1 : place + 2]
        if not any(
            longer.ids[: len(one.ids)] == one.ids and rows + n_rows[j] <= len(longer.ids)
            for longer, j in after
        ):
            out.append(_Pass(one, tuple(sorted(read))))
            read, rows = [], 0
    return out


def _batches(
    adapter: Adapter,
    passes: list[_Pass],
    rows: list[list[int]],
    layers: tuple[int, ...],
    batch_tokens: int,
    progress: Callable[[int], None] | None,
) -> Iterator[States]:
    done = len(rows) - sum(len(one.contents) for one in passes)
    while passes:
        length = len(passes[0].inputs.ids)
        batch = passes[: max(1, batch_tokens // length)]
        states = None
        try:
            states = _read(adapter, batch, rows, layers)
        except RuntimeError as error:
            if not out_of_memory(error):
                raise
            if len(batch) == 1:
                raise ModelError(
                    f"out of memory on one content of {length} tokens: shorten it, use a smaller dtype, "
                    "or another device."
                ) from error
        if states is None:  # outside the handler, whose traceback would keep the failed batch alive
            release(adapter.device)
            batch_tokens = max(1, len(batch) // 2) * length
            continue
        passes = passes[len(batch) :]
        done += sum(len(one.contents) for one in batch)
        if progress is not None:
            progress(done)
        yield states


def _read(adapter: Adapter, batch: list[_Pass], rows: list[list[int]], layers: tuple[int, ...]) -> States:
    inputs = adapter.collate([one.inputs for one in batch])
    width = inputs.ids.shape[1]
    asked = [(k, i, p) for k, one in enumerate(batch) for i in one.contents for p in rows[i]]
    row, content, position = torch.tensor(asked).T
    flat = row * width + position
    values = torch.empty(len(layers), len(flat), adapter.d_model, dtype=adapter.dtype, device=adapter.device)
    _run(adapter, inputs, flat, layers, values)
    return States(values, content, position, layers)


def _run(adapter: Adapter, inputs: Inputs, flat: Tensor, layers: tuple[int, ...], values: Tensor) -> None:
    whole = torch.equal(flat, torch.arange(inputs.ids.numel()))
    at = {values.device: flat.to(values.device)}

    def keep(index: int, states: Tensor) -> None:
        rows = states.reshape(-1, states.shape[-1])
        if not whole:
            if states.device not in at:
                at[states.device] = flat.to(states.device)
            rows = rows.index_select(0, at[states.device])
        values[index].copy_(rows)
        if index == len(layers) - 1:
            raise _Enough

    visits = {layer: partial(keep, index) for index, layer in enumerate(layers)}
    with visiting(adapter, visits):
        try:
            adapter.forward(inputs)
        except _Enough:
            return
    raise ModelError(f"{adapter.name} did not run block {layers[-1]}; its states cannot be read.")


def capture_all(
    adapter: Adapter,
    encoded: Sequence[Encoded],
    positions: Positions = "last",
    *,
    layers: Sequence[int] | None = None,
    batch_tokens: int = 4096,
    progress: Callable[[int], None] | None = None,
) -> States:
    """All rows in the order of content and position, float32 on the host; arguments as for `capture`."""
    wanted = tuple(range(adapter.n_layers + 1)) if layers is None else tuple(sorted(set(layers)))
    asked = _resolve(encoded, positions)
    first, n_rows = [], 0
    for at in asked:
        first.append(n_rows)
        n_rows += len(at)
    values = torch.empty(len(wanted), n_rows, adapter.d_model)
    content = torch.tensor([i for i, at in enumerate(asked) for _ in at], dtype=torch.int64)
    position = torch.tensor([p for at in asked for p in at], dtype=torch.int64)
    for part in capture(
        adapter, encoded, positions, layers=layers, batch_tokens=batch_tokens, progress=progress
    ):
        places = [
            row
            for i in dict.fromkeys(part.content.tolist())
            for row in range(first[i], first[i] + len(asked[i]))
        ]
        values[:, torch.tensor(places)] = part.values.to("cpu", torch.float32)
    return States(values, content, position, wanted)


def _resolve(encoded: Sequence[Encoded], positions: Positions) -> list[list[int]]:
    """The asked positions of each content, ascending and distinct."""
    if isinstance(positions, str):
        if positions == "last":
            return [[len(content.ids) - 1] if content.ids else [] for content in encoded]
        if positions == "all":
            return [list(range(len(content.ids))) for content in encoded]
        raise UsageError(f"positions is 'last', 'all' or a list for each content, not {positions!r}.")
    if len(positions) != len(encoded):
        raise UsageError(f"positions are given for {len(positions)} contents, there are {len(encoded)}.")
    return [_ascending(asked, len(content.ids)) for asked, content in zip(positions, encoded, strict=True)]


def _ascending(asked: Sequence[int], length: int) -> list[int]:
    for position in asked:
        if not -length <= position < length:
            raise UsageError(f"position {position} is out of range for a content of {length} tokens.")
    return sorted({position % length for position in asked})
