"""Rows with pictures or sounds, edited inside and after them, against each alone: no cache, no padding, plain code."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from semhub.generate import generate, next_logprobs
from semhub.models.base import Encoded, Inputs
from semhub.models.decoder import DecoderAdapter
from semhub.steer import Intervention, write

NEW = 4
EDITED = ("after", "inside", "before", "end")


def check_rows(adapter: DecoderAdapter, given: list[Encoded], owner: Sequence[int], where: str) -> None:
    """Next tokens and generated ones of edited rows are what each row gives alone. owner [row]: its prompt."""
    assert adapter.no_past() is not None
    some = edits(adapter, given, owner, where)
    found = next_logprobs(adapter, given, owner, some, batch_tokens=10_000)
    said = generate(adapter, given, owner, some, new_tokens=NEW, batch_tokens=10_000)
    for row, prompt in enumerate(owner):
        ids: list[int] = []
        for step in range(NEW):
            logits = alone(adapter, given[prompt], some, row, ids)
            if step == 0:
                expected = logits.log_softmax(-1).float()
                torch.testing.assert_close(found[row], expected, rtol=0, atol=1e-4)
            if int(logits.argmax()) in adapter.end_ids:
                break
            ids.append(int(logits.argmax()))
        assert said[row] == tuple(ids)


def edits(
    adapter: DecoderAdapter, given: list[Encoded], owner: Sequence[int], where: str
) -> list[Intervention]:
    """Vectors of the size of the states, at places of the pictures or sounds, or of the text after them."""
    generator = torch.Generator().manual_seed(len(where))
    vectors = torch.randn(3, adapter.d_model, generator=generator)
    which = torch.arange(len(owner)) % 3
    strength = 0.5 + torch.rand(len(owner), generator=generator)
    places = [place_of(given[i], where) for i in owner]
    return [
        Intervention(0, "add", vectors, which, strength, places),
        Intervention(2, "replace", vectors, which, strength / 2, places),
    ]


def place_of(one: Encoded, where: str) -> tuple[int, ...]:
    last = one.whole[-1] if one.whole else None
    if last is None or where == "end":
        return (-1,)
    if where == "after":
        return (len(one.ids) - 1, min(last.end + 1, len(one.ids) - 1))
    return last.positions[1::2] if where == "inside" else (0,)


def alone(
    adapter: DecoderAdapter, prompt: Encoded, some: Sequence[Intervention], row: int, ids: Sequence[int]
) -> Tensor:
    """Logits [vocab] after prompt + ids, float64."""

    def editing(one: Intervention):  # type: ignore[no-untyped-def]
        def edit(states: Tensor, _: Inputs) -> Tensor:
            h, s, v = states.clone(), float(one.strength[row]), one.vectors[one.which[row]].double()
            for place in {place % len(prompt.ids) for place in one.places(row)}:
                h[0, place] = h[0, place] + s * v if one.how == "add" else (1 - s) * h[0, place] + s * v
            return h

        return edit

    with write(adapter, {one.layer: editing(one) for one in some}):
        return adapter.logits(adapter.collate([prompt.followed_by(ids)]))[0, -1]
