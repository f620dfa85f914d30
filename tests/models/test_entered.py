"""Passes that begin inside a model, at the states that stand in for the blocks below and for pictures and sounds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from tests.models import test_hearing_generate, test_vision_generate
from tests.models.soundmodels import HEARING, cached_sound_checkpoint
from tests.models.visionmodels import FAMILIES, cached_vision_checkpoint
from tests.tiny import FAMILIES as TEXT
from tests.tiny import SIZE, cached_checkpoint

from semhub.generate import next_logprobs
from semhub.models import decoder, load
from semhub.models.base import Encoded, Inputs
from semhub.models.decoder import DecoderAdapter
from semhub.models.entered import enter, is_enough
from semhub.models.inputs import Entered
from semhub.models.past import Past
from semhub.models.sites import passing, visiting
from semhub.steer import Intervention
from semhub.types import Content

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
    entered = enter(adapter, inputs, 0, None, adapter._held_ids, 1)
    sink = torch.zeros(1, inputs.ids.shape[1], 1)
    sink[0, 0] = 1e8
    with visiting(adapter, {adapter.n_layers: lambda states: states + sink.to(states)}):
        assert not is_enough(adapter, inputs, entered)


def test_what_enters_is_read_without_running_a_block() -> None:
    adapter, given = loaded("llava")
    inputs = adapter.collate(given, "left")
    assert adapter.entered(inputs) is not None
    adapter.blocks[0].register_forward_hook(lambda *_: pytest.fail("the first block ran"))
    assert adapter.entered(inputs) is not None


@pytest.mark.parametrize("family", TEXT)
def test_rows_that_are_edited_at_a_layer_share_the_blocks_below(family: str) -> None:
    """Each block below runs once for each prompt, each one above once for each row; the scores are those of one row."""
    adapter = load(str(cached_checkpoint(family)), check=False)
    assert isinstance(adapter, DecoderAdapter)
    prompts = adapter.encode([Content.of(text) for text in ("one two three four", "five six")])
    layer = 2
    ran: list[tuple[int, int]] = []

    def count(block: int) -> Callable[..., None]:
        return lambda _, args, kwargs: ran.append((block, len(args[0] if args else kwargs["hidden_states"])))

    vectors = torch.randn(1, adapter.d_model, generator=torch.Generator().manual_seed(0))
    rows = [0, 1] * 4
    doses = torch.arange(8.0)
    edit = Intervention(layer, "add", vectors, torch.zeros(8).long(), doses)
    first = next_logprobs(adapter, prompts, rows, [edit])  # finds out that these states are enough
    for at in (1, layer + 1):  # past what semhub knows of: while it visits states, every pass runs all blocks
        adapter.blocks[at - 1].register_forward_pre_hook(count(at), with_kwargs=True)
    found = next_logprobs(adapter, prompts, rows, [edit])
    torch.testing.assert_close(found, first, rtol=0, atol=0)
    assert all(adapter._enters.values())
    assert adapter._enters
    below, above = ([n for block, n in ran if block == at] for at in (1, layer + 1))
    assert below.count(2) == above.count(2) + 1, (
        "once for what the prompts have in common, and once for their end"
    )
    assert above[-1] == 8
    for row, (prompt, dose) in enumerate(zip(rows, doses, strict=True)):
        alone = Intervention(layer, "add", vectors, torch.zeros(1).long(), dose[None])
        expected = next_logprobs(adapter, prompts, [prompt], [alone])[0]
        torch.testing.assert_close(found[row], expected, rtol=0, atol=2e-5)


@pytest.mark.parametrize("place", [-1, 0])
@pytest.mark.parametrize("layers", [(1,), (4,), (3, 2), (4, 1)])
def test_the_lowest_edit_decides_where_a_pass_begins(layers: tuple[int, ...], place: int) -> None:
    adapter = load(str(cached_checkpoint("llama")), check=False)
    prompts = adapter.encode([Content.of(text) for text in ("one two three four", "five six", "seven")])
    generator = torch.Generator().manual_seed(1)
    owners, rows = [0, 1, 2] * 4, 12
    edits = [
        Intervention(
            layer,
            how,
            torch.randn(2, adapter.d_model, generator=generator),
            torch.arange(rows) % 2,
            torch.linspace(0, 1, rows),
            (place,),
        )
        for layer, how in zip(layers, ("add", "replace"), strict=False)
    ]
    found = next_logprobs(adapter, prompts, owners, edits)
    for row, owner in enumerate(owners):
        alone = [
            replace(one, which=one.which[row : row + 1], strength=one.strength[row : row + 1])
            for one in edits
        ]
        torch.testing.assert_close(
            found[row], next_logprobs(adapter, prompts, [owner], alone)[0], rtol=0, atol=2e-5
        )


@pytest.mark.parametrize("wrong", ["states", "layer", "memory"])
def test_states_that_are_not_enough_are_not_used(wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    adapter = load(str(cached_checkpoint("bloom")), check=False)  # its blocks return more than states
    assert isinstance(adapter, DecoderAdapter)
    inputs = adapter.collate(
        adapter.encode([Content.of("one two three four"), Content.of("five six")]), "left"
    )
    past = adapter.no_past()
    adapter.forward(inputs.columns(0, 2), past)
    rest = inputs.columns(2)
    assert adapter.entered(rest, 2, past) is not None
    adapter._enters.clear()
    if wrong == "states":

        def moved(*given: Any) -> Entered:
            one = enter(*given)
            return replace(one, states=one.states * 1.001)

        monkeypatch.setattr(decoder, "enter", moved)
    elif wrong == "layer":
        monkeypatch.setattr(decoder, "enter", lambda *given: replace(enter(*given), layer=3))
    else:
        adapter.returned_by_blocks = 0
    assert adapter.entered(rest, 2, past) is None
    assert adapter.entered(rest, 2, past) is None


@pytest.mark.parametrize("family", ["llama", "qwen3_vl"])
def test_while_others_visit_every_pass_runs_all_blocks(family: str) -> None:
    """What hides the last states would make any trial pass, and a reader of a layer is to read that layer."""
    adapter = loaded(family)[0] if family in FAMILIES else load(str(cached_checkpoint(family)), check=False)
    assert isinstance(adapter, DecoderAdapter)
    prompts = adapter.encode([Content.of("one two three four")])
    if family in FAMILIES:
        prompts = loaded(family)[1][:1]
    edit = Intervention(
        2, "add", torch.ones(1, adapter.d_model), torch.zeros(5).long(), torch.arange(5.0), (1,)
    )
    plain = []
    for strength in edit.strength:
        alone = replace(edit, which=edit.which[:1], strength=strength[None])
        plain.append(next_logprobs(adapter, prompts, [0], [alone]))
    top, read = adapter.n_layers, list[torch.Tensor]()
    with visiting(adapter, {1: lambda states: read.append(states), top: torch.zeros_like}):
        next_logprobs(adapter, prompts, [0] * 5, [edit])
    assert not adapter._enters
    own = adapter.hidden_states(adapter.collate(prompts))[1][0]
    assert len(read[-1]) == 5
    for row in read[-1]:
        torch.testing.assert_close(row, own[-len(row) :], rtol=0, atol=1e-5)
    after = next_logprobs(adapter, prompts, [0] * 5, [edit])
    torch.testing.assert_close(after, torch.cat(plain), rtol=0, atol=1e-5)
    assert adapter._enters


def test_a_layer_that_is_not_enough_is_run_whole_though_another_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Later blocks of gemma 4 use the keys and values of earlier ones, which a pass that begins above them lacks."""
    kinds = ["sliding_attention", "full_attention"] * 3
    sizes = {
        "num_hidden_layers": 6,
        "head_dim": 8,
        "global_head_dim": 8,
        "sliding_window": 8,
        "layer_types": kinds,
    }
    shared = {"num_kv_shared_layers": 2, "hidden_size_per_layer_input": 8, "vocab_size_per_layer_input": 408}
    monkeypatch.setitem(TEXT, "gemma4", ("gemma4_text", {**SIZE, **sizes, **shared}))
    adapter = load(str(cached_checkpoint("gemma4")), check=False)
    assert isinstance(adapter, DecoderAdapter)
    prompts = adapter.encode([Content.of("one two three four five six"), Content.of("seven eight")])
    rows, vectors = [0, 1] * 4, torch.ones(1, adapter.d_model)
    for layer in (2, 1, 4, 3, 5, 2):
        edit = Intervention(layer, "add", vectors, torch.zeros(8).long(), torch.arange(8.0))
        found = next_logprobs(adapter, prompts, rows, [edit])
        for row, prompt in enumerate(rows):
            alone = replace(edit, which=edit.which[:1], strength=edit.strength[row : row + 1])
            expected = next_logprobs(adapter, prompts, [prompt], [alone])[0]
            torch.testing.assert_close(found[row], expected, rtol=0, atol=2e-5)
    answers = {kind[2]: enough for kind, enough in adapter._enters.items()}
    assert answers == {1: True, 2: True, 3: False, 4: False, 5: False}


def test_a_block_that_was_passed_by_is_as_it_was() -> None:
    adapter = load(str(cached_checkpoint("llama")), check=False)
    mine, block = torch.zeros(1, 3, adapter.d_model), adapter.blocks[0]
    with passing(adapter.blocks[:2], 0):
        assert block(mine) is mine
        assert block(hidden_states=mine) is mine
    assert "forward" not in vars(block)
    own = block.forward
    block.forward = own  # as a library that moves a model between devices sets it
    with passing(adapter.blocks[:2], 3):
        assert block(mine) == (mine, None, None)
    assert vars(block)["forward"] is own


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
