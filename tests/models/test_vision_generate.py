"""Rows with pictures, edited inside and after them, give what each gives alone: no cache, no padding, plain code."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from tests.models.visionmodels import FAMILIES, cached_vision_checkpoint, picture
from torch import Tensor

from semhub.generate import generate, next_logprobs
from semhub.models import load
from semhub.models.base import Encoded, Inputs
from semhub.models.decoder import DecoderAdapter
from semhub.models.past import Past
from semhub.steer import Intervention, write
from semhub.types import Content

NEW = 4
EDITED = ("after", "inside", "before", "end")


@pytest.fixture(scope="module", params=FAMILIES)
def adapter(request: pytest.FixtureRequest) -> DecoderAdapter:
    loaded = load(str(cached_vision_checkpoint(request.param)), check=False, dtype="float64")
    assert isinstance(loaded, DecoderAdapter)
    return loaded


def prompts(adapter: DecoderAdapter) -> list[Encoded]:
    return adapter.encode(
        [
            Content.of("What?\n", picture(40, 28), " it is the boat"),
            Content.of("three plus five"),
            Content.of(picture(20, 56, 1)),
            Content.of("one", picture(30, 30, 2), "and", picture(44, 20, 3), "two three"),
        ]
    )


def edits(
    adapter: DecoderAdapter, given: list[Encoded], owner: Sequence[int], where: str
) -> list[Intervention]:
    """Vectors of the size of the states, at places of the pictures or of the text after them."""
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
    last = one.pictures[-1] if one.pictures else None
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


@pytest.mark.parametrize("where", EDITED)
def test_rows_are_what_they_are_alone(adapter: DecoderAdapter, where: str) -> None:
    given, owner = prompts(adapter), [0, 1, 2, 3, 3, 0, 2]
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


def test_without_a_past_it_is_the_same(adapter: DecoderAdapter, monkeypatch: pytest.MonkeyPatch) -> None:
    given, owner = prompts(adapter), [3, 0, 0, 2, 1]
    some = edits(adapter, given, owner, "after")
    cached = generate(adapter, given, owner, some, new_tokens=NEW)
    monkeypatch.setattr(type(adapter), "no_past", lambda _: None)
    assert generate(adapter, given, owner, some, new_tokens=NEW) == cached


def test_what_comes_before_the_edit_is_read_once(
    adapter: DecoderAdapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pictures ahead of the first edited column go through the model once for each prompt, not for each row."""
    given = prompts(adapter)[:1]
    seen: list[int] = []
    forward = DecoderAdapter.forward

    def counting(self: DecoderAdapter, inputs: Inputs, past: Past | None = None) -> None:
        seen.append(sum(map(len, inputs.pictures)))
        forward(self, inputs, past)

    monkeypatch.setattr(DecoderAdapter, "forward", counting)
    some = [
        Intervention(
            1, "add", torch.ones(1, adapter.d_model), torch.zeros(5, dtype=torch.long), torch.arange(5.0)
        )
    ]
    next_logprobs(adapter, given, [0] * 5, some)
    if given[0].prefix:  # is read together with its edit
        assert seen[-1] == 5
    else:
        assert seen[-2:] == [1, 0]


def test_positions_after_a_picture_go_on_from_its_largest() -> None:
    """qwen: a picture of 5 x 7 cells takes positions for 7 tokens; text after it, generated too, goes on from there."""
    adapter = load(str(cached_vision_checkpoint("qwen2_vl")), check=False)
    encoded = adapter.encode([Content.of("a", picture(56, 40), "b")])
    grid = adapter.grid(encoded[0], 1)
    assert grid is not None
    inputs = adapter.collate([*encoded, *adapter.encode([Content.of("a")])], "left")
    before = encoded[0].pictures[0].start
    row = inputs.position_ids[0].tolist()
    assert row[:before] == [[i] * 3 for i in range(before)]
    cells = [[before, before + i, before + j] for i in range(grid.rows) for j in range(grid.columns)]
    assert row[before : before + len(cells)] == cells
    after = before + max(grid.rows, grid.columns)
    rest = len(row) - before - len(cells)
    assert row[before + len(cells) :] == [[after + i] * 3 for i in range(rest)]
    more = inputs.followed_by(torch.tensor([5, 5]))
    assert more.position_ids[0, -1].tolist() == [after + rest] * 3
    inside = inputs.columns(0, before + len(cells)).followed_by(torch.tensor([5, 5]))
    assert inside.position_ids[0, -1].tolist() == [after] * 3
