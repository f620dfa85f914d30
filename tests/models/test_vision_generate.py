"""Rows with pictures, edited inside and after them, give what each gives alone: no cache, no padding, plain code."""

from __future__ import annotations

import pytest
import torch
from tests.models.rows import EDITED, NEW, check_rows, edits
from tests.models.visionmodels import FAMILIES, cached_vision_checkpoint, picture

from semhub.generate import generate, next_logprobs
from semhub.models import load
from semhub.models.base import Encoded, Inputs
from semhub.models.decoder import DecoderAdapter
from semhub.models.past import Past
from semhub.steer import Intervention
from semhub.types import Content


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


@pytest.mark.parametrize("where", EDITED)
def test_rows_are_what_they_are_alone(adapter: DecoderAdapter, where: str) -> None:
    check_rows(adapter, prompts(adapter), [0, 1, 2, 3, 3, 0, 2], where)


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
    next_logprobs(adapter, given, [0] * 5, some)  # finds out that the states of a layer are enough
    seen.clear()
    next_logprobs(adapter, given, [0] * 5, some)
    # What is before (of a prefix language model, nothing), what the rows have in common of the rest, the rows.
    assert seen == ([1, 0, 0] if given[0].prefix == 0 else [1, 0])


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
