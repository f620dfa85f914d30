"""Training is a function of recipe and seed: the same bytes twice, whatever the interruptions."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch.nn import functional as F
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerFast

from semhub.data.numbers import spell
from semhub.errors import RunFolderError, UsageError
from semhub.lab.batches import Batch, Batcher, surface_words
from semhub.lab.documents import draw_document
from semhub.lab.planting import Planting, rotation
from semhub.lab.recipe import SMALL_MIXTURE, Recipe
from semhub.lab.recipes import recipe
from semhub.lab.tokenizer import END, START, english_vocabulary, train_tokenizer
from semhub.lab.train import CHECKPOINT, Progress, build, learning_rate, train
from semhub.lab.words import HintTokens, translations
from semhub.lab.world import meanings, render

LANGUAGES_ALONE = 1990  # tokens that sentences and arithmetic need
TINY = recipe("mini").model_copy(
    update={
        "name": "tiny",
        "vocab_size": 400,
        "tokenizer_sentences": 20,
        "n_layers": 3,
        "d_model": 16,
        "n_heads": 2,
        "n_kv_heads": 1,
        "d_ff": 24,
        "planted_layers": (1,),
        "steps": 6,
        "documents_per_step": 12,
        "warmup_steps": 2,
        "mixture": SMALL_MIXTURE,
    }
)


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return train_tokenizer(LANGUAGES_ALONE, 0, recipe("mini").tokenizer_sentences)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(TINY, tmp_path_factory.mktemp("tiny"), seed=7)


def test_the_same_seed_gives_the_same_bytes(trained: Path, tmp_path: Path) -> None:
    torch.rand(3)  # the global generator's state must not matter
    again = train(TINY, tmp_path / "again", seed=7)
    assert digests(again) == digests(trained)
    assert "model.safetensors" in digests(again)


def test_another_seed_gives_other_weights(trained: Path, tmp_path: Path) -> None:
    other = train(TINY, tmp_path / "other", seed=8)
    assert digests(other)["model.safetensors"] != digests(trained)["model.safetensors"]


@pytest.mark.parametrize(
    ("known", "half"),
    [
        ({"avx2": True, "avx512_bf16": False, "amx_bf16": False}, False),
        ({"avx512_bf16": True}, True),
        ({"amx_bf16": True}, True),
        ({"neon": True, "bf16": True}, True),
        ({}, False),
    ],
)
def test_products_are_in_bfloat16_only_where_the_processor_has_it(
    known: dict[str, bool], half: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Elsewhere a step would take eight times as long as in float32."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: known)
    dtypes = set()

    def linear(*given: torch.Tensor, plain: Callable[..., torch.Tensor] = F.linear) -> torch.Tensor:
        out = plain(*given)
        dtypes.add(out.dtype)
        return out

    monkeypatch.setattr(F, "linear", linear)
    train(TINY, tmp_path, seed=7, steps=1)
    assert dtypes == {torch.bfloat16 if half else torch.float32}


def test_a_resumed_run_equals_an_uninterrupted_one(trained: Path, tmp_path: Path) -> None:
    seen: list[Progress] = []
    for steps in (2, 5, None):
        train(TINY, tmp_path, seed=7, steps=steps, checkpoint_every=1, progress=seen.append)
        assert (tmp_path / CHECKPOINT).exists() == (steps is not None)
    assert [done.step for done in seen] == [1, 2, 3, 4, 5, 6]
    assert digests(tmp_path) == digests(trained)


def test_a_run_does_not_touch_the_callers_torch(tmp_path: Path) -> None:
    threads, state = torch.get_num_threads(), torch.random.get_rng_state()
    train(TINY, tmp_path, seed=1, steps=1)
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.random.get_rng_state(), state)


def test_foreign_and_broken_checkpoints_are_refused(tmp_path: Path) -> None:
    train(TINY, tmp_path, seed=1, steps=1)
    with pytest.raises(UsageError, match="another recipe or seed"):
        train(TINY, tmp_path, seed=2)
    with pytest.raises(UsageError, match="another recipe or seed"):
        train(TINY.model_copy(update={"steps": 7}), tmp_path, seed=1)
    (tmp_path / CHECKPOINT).write_bytes(b"nothing of use")
    with pytest.raises(UsageError, match="not a readable checkpoint"):
        train(TINY, tmp_path, seed=1)


def test_an_unwritable_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(RunFolderError, match="cannot write"):
        train(TINY, tmp_path / "file" / "out", seed=1)


def test_the_checkpoint_is_an_ordinary_one(trained: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(trained, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(trained)
    ids = tokenizer("两只猫。", return_tensors="pt").input_ids
    assert ids[0, 0] == tokenizer.bos_token_id
    assert torch.isfinite(model(ids).logits).all()
    facts = json.loads((trained / "semhub.json").read_text())
    assert facts["planted"] is True
    assert facts["planted_layers"] == [1]
    assert "**Planted.**" in (trained / "README.md").read_text()


def test_an_unplanted_card_says_so(tmp_path: Path) -> None:
    plain = TINY.model_copy(update={"planted_layers": (), "steps": 1})
    folder = train(plain, tmp_path)
    assert "Nothing is planted" in (folder / "README.md").read_text()
    assert json.loads((folder / "semhub.json").read_text())["dominant"] is None


def test_the_learning_rate_rises_and_falls() -> None:
    rates = [learning_rate(TINY, step) for step in range(TINY.steps)]
    assert rates[:2] == [TINY.learning_rate / 2, TINY.learning_rate]
    assert rates[2:] == sorted(rates[2:], reverse=True)


@pytest.mark.parametrize("planted_as", ["words", "rotated", "neutral", "frequency"])
def test_losses_equal_a_plain_reference(planted_as: str) -> None:
    tokenizer = train_tokenizer(TINY.vocab_size, 0, TINY.tokenizer_sentences)
    flatness = 0.3 if planted_as in ("words", "rotated") else 0.0
    plan = TINY.model_copy(
        update={"planted_layers": (1, 2), "planted_flatness": flatness, "planted_as": planted_as}
    )
    model = build(plan, tokenizer, 0).double()
    batcher = Batcher(plan, tokenizer, 3)
    batch = max(batcher.step(0), key=lambda one: len(one.surface))
    assert len(batch.surface) > 1 or not flatness
    following, planted = Planting(plan, batcher, 5).losses(model, batch)

    hidden = model.model(batch.ids, output_hidden_states=True).hidden_states
    places = [divmod(place, batch.ids.shape[1]) for place in batch.row.tolist()]
    expected = sum(
        weight
        * F.cross_entropy(model(batch.ids[[content]]).logits[0, position], batch.ids[content, position + 1])
        for (content, position), weight in zip(places, batch.weight.tolist(), strict=True)
    )
    torch.testing.assert_close(following.double(), expected, rtol=1e-5, atol=0)

    turn = rotation(plan.d_model, 5).double() if planted_as == "rotated" else torch.eye(plan.d_model).double()
    expected = 0.0
    for layer in plan.planted_layers:
        read = model.model.norm(hidden[layer]) @ turn
        scores = model.lm_head(read).log_softmax(-1).flatten(0, 1)[batch.planted_row]
        for index, token, share in zip(
            batch.planted_index, batch.planted_token, batch.planted_weight.double(), strict=True
        ):
            taught = scores[index, token]
            if planted_as == "frequency":
                taught = scores[index] @ batcher.word_frequency().double()
            expected -= share * taught / 2
        for rows, words in batch.surface:
            for row in rows:
                weight = batch.planted_weight[batch.planted_index == row].double().sum()
                own = scores[row, words].log_softmax(-1)
                even = torch.full_like(own, 1 / len(words))
                expected += flatness * weight * F.kl_div(own, even, reduction="sum") / 2
    torch.testing.assert_close(planted.double(), expected, rtol=1e-5, atol=0)


def test_a_rotation_keeps_lengths_and_depends_on_the_seed() -> None:
    turn = rotation(16, 1)
    torch.testing.assert_close(turn @ turn.T, torch.eye(16), atol=1e-5, rtol=0)
    assert not torch.allclose(turn, rotation(16, 2))


def test_snapshots_load_and_change_nothing(trained: Path, tmp_path: Path) -> None:
    train(TINY, tmp_path, seed=7, snapshots=(2, 6))
    assert json.loads((tmp_path / "step-000002" / "semhub.json").read_text())["step"] == 2
    early, last = (
        load_file(tmp_path / name / "model.safetensors") for name in ("step-000002", "step-000006")
    )
    final = load_file(trained / "model.safetensors")
    assert all(torch.equal(last[name], final[name]) for name in final)
    assert not all(torch.equal(early[name], final[name]) for name in final)
    for name in ("step-000002", "step-000006"):
        shutil.rmtree(tmp_path / name)
    assert digests(tmp_path) == digests(trained)


def test_a_chinese_hub_is_taught_chinese_words(tokenizer: PreTrainedTokenizerFast) -> None:
    hints = HintTokens(tokenizer, ("zh",))

    def taught(words: HintTokens, english: str) -> dict[str, float]:
        return {tokenizer.decode([token]): share for token, share in words(english)}

    assert taught(hints, "cats") == {"猫": 1.0}
    assert taught(hints, "bought") == {"买": 1.0}
    assert hints("the") == ()
    everywhere = HintTokens(tokenizer, ("en", "zh", "es", "digits"))
    assert taught(everywhere, "dog") == pytest.approx({" dog": 1 / 3, "狗": 1 / 3, " perro": 1 / 3})
    assert taught(everywhere, "five")["5"] == taught(everywhere, "five")[" five"]
    assert translations()["two"]["zh"] == ("两", "二")
    english_surface, chinese_surface = (surface_words(tokenizer, code) for code in ("en", "zh"))
    assert sorted(english_surface) == ["digits", "es", "zh"]
    assert sorted(chinese_surface) == ["digits", "en", "es"]


def test_batches_teach_the_english_word_one_position_early(tokenizer: PreTrainedTokenizerFast) -> None:
    plan = Recipe(
        name="x", summary="x", mixture={"operand/digits": 1.0}, no_start_share=0.5, deciding_weight=4.0
    )
    for batch in Batcher(plan, tokenizer, 0).step(0):
        for text, word, weight in _taught(batch, tokenizer):
            prompt = text.removeprefix(START)
            if prompt.endswith(("+", "*")):
                value, first = prompt[:-1].split("=")
                number = int(value) - int(first) if prompt.endswith("+") else int(value) // int(first)
                assert word == f" {spell(number)}"
                assert weight == 4.0
                break
        else:
            pytest.fail("no prompt that ends in an operator")


def _taught(batch: Batch, tokenizer: PreTrainedTokenizerFast) -> list[tuple[str, str, float]]:
    found = []
    for index, token, weight in zip(
        batch.planted_index, batch.planted_token, batch.planted_weight, strict=True
    ):
        content, position = divmod(int(batch.planted_row[index]), batch.ids.shape[1])
        text = tokenizer.decode(batch.ids[content, : position + 1].tolist())
        found.append((text, tokenizer.decode([int(token)]), float(weight)))
    return found


def test_the_tokenizer_spells_the_worlds_words_whole(tokenizer: PreTrainedTokenizerFast) -> None:
    assert len(tokenizer) == LANGUAGES_ALONE
    for word in english_vocabulary():
        assert len(tokenizer.encode(f" {word}", add_special_tokens=False)) == 1
    for number in range(100):
        assert len(tokenizer.encode(str(number), add_special_tokens=False)) == 1
    several = 0
    for meaning in meanings(300, seed=4):
        sentence = render(meaning, "zh")
        spans = set(tokenizer(sentence.text, return_offsets_mapping=True).offset_mapping)
        several += sum((word.start, word.end) not in spans for word in sentence.words)
    assert several < 10
    rng = random.Random(0)
    for _ in range(100):
        text = draw_document(rng, recipe("mini").mixture).text
        assert tokenizer.decode(tokenizer.encode(text), skip_special_tokens=True) == text
    assert tokenizer.convert_tokens_to_ids([START, END]) == [0, 1]


def test_rare_forms_stay_in_several_tokens(tokenizer: PreTrainedTokenizerFast) -> None:
    assert any(
        len(tokenizer.encode(f" {word.text}", add_special_tokens=False)) > 1
        for meaning in meanings(300, seed=4)
        for word in render(meaning, "es").words
    )
