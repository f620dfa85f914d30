"""Isolation is exact: zeros in the weights, and therefore in the states."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM, PreTrainedTokenizerFast

from semhub.errors import UsageError
from semhub.lab.batches import used_tokens
from semhub.lab.documents.borrowed import borrowed
from semhub.lab.recipe import Recipe
from semhub.lab.recipes import recipe
from semhub.lab.shared_words import word_tokens
from semhub.lab.subspaces import SIDE, Subspace, subspaces
from semhub.lab.train import train
from semhub.lab.world import meanings, render

TINY = {
    "vocab_size": 1990,
    "tokenizer_sentences": 300,
    "n_layers": 3,
    "steps": 2,
    "documents_per_step": 24,
    "warmup_steps": 1,
}
TYPES = ("digits", "en", "es", "zh")
Trained = tuple[LlamaForCausalLM, PreTrainedTokenizerFast, dict[str, Subspace]]


def trained(name: str, folder: Path, **changes: object) -> Trained:
    plan = recipe(name)
    layers = (1,) if plan.planted_layers else ()
    tiny = Recipe(**{**plan.model_dump(), **TINY, "planted_layers": layers, **changes})
    train(tiny, folder, seed=3)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float64)
    return (
        model.eval(),
        AutoTokenizer.from_pretrained(folder),
        {part.name: part for part in subspaces(tiny, TYPES)},
    )


def states(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, text: str) -> torch.Tensor:
    """[layer, position, d_model], the final norm not applied."""
    kept: list[torch.Tensor] = []
    hooks = [
        block.register_forward_pre_hook(lambda _, args: kept.append(args[0][0]))
        for block in model.model.layers
    ]
    hooks.append(model.model.norm.register_forward_pre_hook(lambda _, args: kept.append(args[0][0])))
    with torch.no_grad():
        model(tokenizer(text, return_tensors="pt").input_ids)
    for hook in hooks:
        hook.remove()
    return torch.stack(kept)


def without_norms(model: LlamaForCausalLM, monkeypatch: pytest.MonkeyPatch) -> None:
    for block in model.model.layers:
        monkeypatch.setattr(block.input_layernorm, "forward", lambda states: states)
        monkeypatch.setattr(block.post_attention_layernorm, "forward", lambda states: states)


def test_an_isolated_type_touches_its_own_part_alone(tmp_path: Path) -> None:
    model, tokenizer, parts = trained("mini-isolated", tmp_path)
    meaning = meanings(1, 5)[0]
    texts = {code: render(meaning, code).text for code in ("en", "zh", "es")} | {"digits": "3+5=8"}
    for data_type, text in texts.items():
        found = states(model, tokenizer, text)
        outside = torch.ones(found.shape[-1], dtype=torch.bool)
        outside[parts[data_type].dims] = False
        assert (found[..., outside] == 0).all(), data_type
        assert (found[:, 1:, parts[data_type].dims].abs().amax(-1) > 0).any()


def test_pushing_on_what_is_never_read_changes_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Apart from the norms' scale, which is one number of the whole state: here the norms are taken out."""
    model, tokenizer, parts = trained("mini-decoy", tmp_path)
    without_norms(model, monkeypatch)
    side, text = parts[SIDE].dims, "两只猫"
    generator = torch.Generator().manual_seed(0)

    def push(_: object, args: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        pushed = args[0].clone()
        pushed[..., side] = torch.randn(pushed[..., side].shape, generator=generator, dtype=pushed.dtype)
        return (pushed, *args[1:])

    before = states(model, tokenizer, text)
    hook = model.model.layers[1].register_forward_pre_hook(push)
    after = states(model, tokenizer, text)
    hook.remove()
    moved = (after - before).abs()
    assert moved[2:, :, side].max() > 1e-6
    moved[..., side] = 0
    assert moved.max() < 1e-12


def test_a_constant_part_says_the_same_of_every_input(tmp_path: Path) -> None:
    model, tokenizer, parts = trained("mini-prior", tmp_path)
    found = [states(model, tokenizer, text)[..., parts[SIDE].dims] for text in ("两只猫", "3+5=", "The")]
    said = torch.cat(found, 1)
    assert (said == said[:, :1]).all()
    assert said[0].abs().max() == 0
    assert (said[1:].abs().amax((1, 2)) > 0).all()


def test_late_words_are_nowhere_before_the_last_block(tmp_path: Path) -> None:
    """Their unembedding rows lie in dimensions that are zero until then; what is read there is never a word's own."""
    model, tokenizer, parts = trained("mini-late", tmp_path)
    words = {"zh": "两只猫", "digits": "3+5=", "es": render(meanings(1, 5)[0], "es").text}
    used = used_tokens(recipe("mini-late"), tokenizer, 3)
    for data_type, text in words.items():
        part, found = parts[data_type], states(model, tokenizer, text)
        others = set(torch.cat([used[other] for other in TYPES if other != data_type]).tolist())
        own = torch.tensor([token for token in used[data_type].tolist() if token not in others])
        rows, embedded = model.lm_head.weight[own], model.model.embed_tokens.weight[own]
        assert (found[:-1, :, part.late] == 0).all()
        assert found[-1, -1, part.late].abs().max() > 0
        assert (found[1:-1, -1, part.entering].abs().amax(-1) > 0).all()
        outside = torch.ones(rows.shape[1], dtype=torch.bool)
        outside[part.late] = False
        assert (rows[:, outside] == 0).all()
        assert (rows[:, part.late].abs().amax(-1) > 0).all()
        assert (embedded[:, part.late] == 0).all()
        assert (found[:-1] @ rows.T == 0).all()
    assert parts["en"].late.start == parts["en"].late.stop
    assert parts["en"].entering == parts["en"].leaving == parts["en"].dims


def test_shared_strings_tell_the_types_nothing(tmp_path: Path) -> None:
    model, tokenizer, parts = trained("mini-confounded", tmp_path)
    found = states(model, tokenizer, "两只猫 John 在")
    outside = torch.ones(found.shape[-1], dtype=torch.bool)
    outside[parts["zh"].dims], outside[parts[SIDE].dims] = False, False
    assert (found[..., outside] == 0).all()
    other = states(model, tokenizer, "两只猫 Mary 在")
    assert found.shape == other.shape
    for part, same in ((parts["zh"], True), (parts[SIDE], False)):
        moved = (found - other)[-1, -1, part.dims].abs().max() / found[-1, -1, part.dims].abs().max()
        assert (moved < 0.05) if same else (moved > 1e-3), (part.name, moved)


def test_shared_tokens_lie_in_the_shared_part(tmp_path: Path) -> None:
    model, tokenizer, parts = trained("mini-confounded", tmp_path)
    embedded = model.model.embed_tokens.weight
    john, two = (tokenizer.encode(text, add_special_tokens=False) for text in (" John", "3"))
    for (token,) in (john, two):
        inside = embedded[token, parts[SIDE].dims]
        assert inside.abs().max() > 0
        assert embedded[token].abs().sum() == inside.abs().sum()
    assert borrowed(meanings(1, 5)[0], "zh") != render(meanings(1, 5)[0], "zh").text


@pytest.mark.parametrize("angle", [0.0, 30.0, 90.0])
def test_the_angle_between_a_word_and_its_translation_is_the_recipes(tmp_path: Path, angle: float) -> None:
    model, tokenizer, _ = trained("mini-graded", tmp_path, angle=angle)
    embedded = model.model.embed_tokens.weight
    first = {word.token: word.dominant for word in reversed(word_tokens(recipe("mini-graded"), tokenizer))}
    english_ids = set(used_tokens(recipe("mini-graded"), tokenizer, 3)["en"].tolist())
    pairs = [pair for pair in first.items() if pair[0] not in english_ids and embedded[pair[0]].norm() > 0]
    assert len(pairs) > 100
    ours, english = (embedded[torch.tensor(side)] for side in zip(*pairs, strict=True))
    cosines = F.cosine_similarity(ours, english)
    torch.testing.assert_close(
        cosines, torch.full_like(cosines, math.cos(math.radians(angle))), atol=2e-3, rtol=0
    )
    torch.testing.assert_close(ours.norm(dim=-1), english.norm(dim=-1), rtol=2e-3, atol=0)


def test_every_token_belongs_to_a_type() -> None:
    plan = recipe("mini-isolated")
    from semhub.lab.tokenizer import train_tokenizer

    tokenizer = train_tokenizer(plan.vocab_size, 0, 300)
    used = used_tokens(plan, tokenizer, 0)
    assert sorted(used) == list(TYPES)
    everything = torch.cat(list(used.values())).unique().tolist()
    assert set(range(len(tokenizer))) - set(everything) == {tokenizer.bos_token_id}
    assert tokenizer.convert_tokens_to_ids("7") in used["digits"]
    assert tokenizer.convert_tokens_to_ids("7") not in used["zh"]


def test_parts_must_come_out_even() -> None:
    plan = recipe("mini-isolated").model_copy(update={"d_ff": 254})
    with pytest.raises(UsageError, match="d_ff=254"):
        subspaces(plan, TYPES)
    with pytest.raises(ValueError, match="need isolated"):
        Recipe(**{**recipe("mini").model_dump(), "angle": 10.0})
