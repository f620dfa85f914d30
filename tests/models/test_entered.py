"""What enters the first block stands in for pictures and sounds, where a model's later blocks see no more of them."""

from __future__ import annotations

import pytest
import torch
from tests.models import test_hearing_generate, test_vision_generate
from tests.models.soundmodels import HEARING, cached_sound_checkpoint
from tests.models.visionmodels import FAMILIES, cached_vision_checkpoint

from semhub.generate import next_logprobs
from semhub.models import load
from semhub.models.base import Encoded, Inputs
from semhub.models.decoder import DecoderAdapter
from semhub.models.entered import enter, is_enough
from semhub.models.past import Past
from semhub.models.sites import visiting
from semhub.steer import Intervention

HANDED_MORE = {"qwen3_vl"}  # its first blocks are each given features of the picture


def loaded(family: str) -> tuple[DecoderAdapter, list[Encoded]]:
    sees = family in FAMILIES
    path = cached_vision_checkpoint(family) if sees else cached_sound_checkpoint(family)
    adapter = load(str(path), check=False, dtype="float64")
    assert isinstance(adapter, DecoderAdapter)
    return adapter, (test_vision_generate if sees else test_hearing_generate).prompts(adapter)


@pytest.mark.parametrize("family", [*FAMILIES, *HEARING])
def test_its_states_are_those_of_the_batch(family: str) -> None:
    adapter, given = loaded(family)
    inputs = adapter.collate(given, "left")
    entered = adapter.entered(inputs)
    assert (entered is None) == (family in HANDED_MORE)
    if entered is None:
        return
    assert not entered.inputs.pictures
    assert not entered.inputs.sounds
    rows = entered.rows(torch.tensor([2, 0, 3, 0, 1]))
    kept: list[torch.Tensor] = []
    with visiting(adapter, {0: lambda _: rows.states, adapter.n_layers: lambda h: kept.append(h[:, -1])}):
        adapter.forward(rows.inputs)
    for row, prompt in enumerate((2, 0, 3, 0, 1)):
        alone = adapter.hidden_states(adapter.collate([given[prompt]]))[-1][0, -1]
        torch.testing.assert_close(adapter.final_norm(kept[0][row]), alone, rtol=0, atol=1e-6)
    texts = [one for one in given if not one.whole]
    assert texts
    assert adapter.entered(adapter.collate(texts, "left")) is None


@pytest.mark.parametrize("family", ["llava", "qwen3_vl", "paligemma", "salmonn"])
def test_rows_that_are_edited_inside_share_the_encoders(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    adapter, given = loaded(family)
    seen: list[int] = []
    forward = DecoderAdapter.forward

    def counting(self: DecoderAdapter, inputs: Inputs, past: Past | None = None) -> None:
        seen.append(sum(map(len, (*inputs.pictures, *inputs.sounds))))
        forward(self, inputs, past)

    monkeypatch.setattr(DecoderAdapter, "forward", counting)
    inside = (given[0].whole[0].positions[1],)
    some = [
        Intervention(
            1, "add", torch.ones(1, adapter.d_model), torch.zeros(5).long(), torch.arange(5.0), inside
        )
    ]
    next_logprobs(adapter, given[:1], [0] * 5, some)
    assert seen[-1] == (5 if family in HANDED_MORE else 0)
    seen.clear()
    next_logprobs(adapter, given[:1], [0] * 5, some)  # that it is enough is tried only once
    assert seen == ([5] if family in HANDED_MORE else [1, 0])


def test_one_position_of_enormous_states_hides_no_other() -> None:
    adapter, given = loaded("qwen3_vl")
    inputs = adapter.collate(given[:1], "left")
    entered = enter(adapter, inputs, adapter._held_ids, 1)
    sink = torch.zeros(1, inputs.ids.shape[1], 1)
    sink[0, 0] = 1e8
    with visiting(adapter, {adapter.n_layers: lambda states: states + sink.to(states)}):
        assert not is_enough(adapter, inputs, entered)


def test_what_enters_is_read_without_running_a_block() -> None:
    adapter, given = loaded("llava")
    inputs = adapter.collate(given, "left")
    assert adapter.entered(inputs) is not None
    with visiting(adapter, {1: lambda _: pytest.fail("the first block ran")}):
        assert adapter.entered(inputs) is not None


def test_a_device_without_memory_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """The batch is halved, and what is enough is found out with the next one."""
    adapter, given = loaded("llava")
    inputs = adapter.collate(given, "left")
    forward, calls = DecoderAdapter.forward, iter([False, False, True])

    def failing(self: DecoderAdapter, inputs: Inputs, past: Past | None = None) -> None:
        if next(calls, False):
            raise torch.OutOfMemoryError("no memory")
        forward(self, inputs, past)

    monkeypatch.setattr(DecoderAdapter, "forward", failing)
    with pytest.raises(torch.OutOfMemoryError):
        adapter.entered(inputs)
    assert adapter.entered(inputs) is not None
