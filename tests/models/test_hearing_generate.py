"""Rows with sounds, edited inside and after them, give what each gives alone; a sound is never cut."""

from __future__ import annotations

import pytest
import torch
from tests.models.rows import EDITED, NEW, check_rows, edits
from tests.models.soundmodels import HEARING, cached_sound_checkpoint, sound

from semhub.generate import generate, next_logprobs
from semhub.models import load
from semhub.models.base import Encoded, Inputs
from semhub.models.decoder import DecoderAdapter
from semhub.models.past import Past
from semhub.steer import Intervention
from semhub.types import Content


@pytest.fixture(scope="module", params=HEARING)
def adapter(request: pytest.FixtureRequest) -> DecoderAdapter:
    loaded = load(str(cached_sound_checkpoint(request.param)), check=False, dtype="float64")
    assert isinstance(loaded, DecoderAdapter)
    return loaded


def prompts(adapter: DecoderAdapter) -> list[Encoded]:
    return adapter.encode(
        [
            Content.of("What?\n", sound(0.7), " it is the boat"),
            Content.of("three plus five"),
            Content.of(sound(1.6, 1)),
            Content.of("one", sound(0.3, 2), "and", sound(2.2, 3), "two three"),
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
    """Sounds ahead of the first edited column go through the model once for each prompt, not for each row."""
    seen: list[int] = []
    forward = DecoderAdapter.forward

    def counting(self: DecoderAdapter, inputs: Inputs, past: Past | None = None) -> None:
        seen.append(sum(map(len, inputs.sounds)))
        forward(self, inputs, past)

    monkeypatch.setattr(DecoderAdapter, "forward", counting)
    five = torch.arange(5.0)
    some = [Intervention(1, "add", torch.ones(1, adapter.d_model), torch.zeros(5, dtype=torch.long), five)]
    next_logprobs(
        adapter, prompts(adapter)[:1], [0] * 5, some
    )  # finds out that the states of a layer are enough
    seen.clear()
    next_logprobs(adapter, prompts(adapter)[:1], [0] * 5, some)
    assert seen == [1, 0, 0], "what is before, what the rows have in common of the rest, the rows"
