"""Words of equal meaning that enter alike: what training keeps so, against a plain loop."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from transformers import AutoModelForCausalLM, AutoTokenizer

from semhub.lab.recipe import Recipe
from semhub.lab.recipes import recipe
from semhub.lab.shared_words import SharedWords, WordToken, word_tokens
from semhub.lab.tokenizer import train_tokenizer
from semhub.lab.train import build, train


def tiny() -> Recipe:
    sizes = dict(d_model=24, n_heads=2, n_kv_heads=2, d_ff=48, steps=3, documents_per_step=6, warmup_steps=1)
    return recipe("mini-transfer").model_copy(update={**sizes, "tokenizer_sentences": 300})


def test_the_embeddings_are_those_of_a_plain_loop() -> None:
    made = tiny()
    model = build(made, train_tokenizer(made.vocab_size, 0, 300, tuple(made.mixture)), 0)
    weight = model.model.embed_tokens.weight
    words = [
        WordToken(10, 1, "zh"), WordToken(11, 2, "zh"), WordToken(20, 1, "es"), WordToken(21, 2, "es"),
        WordToken(22, 2, "es"), WordToken(10, 2, "zh"), WordToken(30, 20, "digits"),
    ]  # fmt: skip
    before = weight.detach().double().numpy().copy()
    meant = {1: {"zh": [10], "es": [20]}, 2: {"zh": [11], "es": [21, 22]}}
    more = {
        name: sum(before[token] - before[d] for d, by in meant.items() for token in by[name]) / count
        for name, count in (("zh", 2), ("es", 3))
    }
    expected = before.copy()
    for dominant, by in meant.items():
        alike = [before[dominant], *(before[t] - more[name] for name, tokens in by.items() for t in tokens)]
        expected[dominant] = sum(alike) / len(alike)
        for name, tokens in by.items():
            for token in tokens:
                expected[token] = expected[dominant] + more[name]
    SharedWords(model, made, words).apply()
    torch.testing.assert_close(weight.detach().double(), torch.from_numpy(expected), atol=1e-7, rtol=1e-5)
    assert not torch.equal(weight[10], torch.from_numpy(before[10]).float())
    torch.testing.assert_close(weight[30].double(), torch.from_numpy(before[30]), atol=0, rtol=0)


def test_a_trained_model_keeps_them(tmp_path: Path) -> None:
    made = tiny()
    folder = train(made, tmp_path, 3)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    embedded, unembedded = model.model.embed_tokens.weight, model.lm_head.weight
    words = {word.token: word for word in reversed(word_tokens(made, tokenizer))}
    differences = defaultdict(list)
    for word in words.values():
        if word.dominant not in words:
            differences[word.data_type].append(embedded[word.token] - embedded[word.dominant])
    assert set(differences) == {"zh", "es", "digits"}
    for name, found in differences.items():
        stacked = torch.stack(found)
        assert len(found) > 50, name
        torch.testing.assert_close(stacked, stacked.mean(0).expand_as(stacked), atol=1e-3, rtol=0)
        assert stacked.abs().max() > 2e-3, f"{name}: a vector that is told from rounding"
    (cat,), (mao,) = (tokenizer.encode(text, add_special_tokens=False) for text in (" cat", "猫"))
    assert words[mao] == WordToken(mao, cat, "zh")
    assert (unembedded[cat] - unembedded[mao]).abs().max() > 1e-2


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("mini-isolated", "isolated types share no words"),
        ("mini-llava", "for recipes of text alone"),
        ("mini-salmonn", "for recipes of text alone"),
    ],
)
def test_recipes_that_share_none(name: str, reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        Recipe(**{**recipe(name).model_dump(), "shared_words": True})


def test_a_recipe_without_shared_words_says_nothing_of_them() -> None:
    assert "shared_words" not in recipe("mini").told()
    assert Recipe(**recipe("mini-transfer").told()) == recipe("mini-transfer")
