"""The shipped organism: an ordinary checkpoint that knows its arithmetic and holds the planted words."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM, PreTrainedTokenizerFast

from semhub.data.expressions import expressions
from semhub.data.numbers import spell
from semhub.lab.export import card
from semhub.lab.recipes import recipe
from semhub.lab.world import meanings, render

FOLDER = Path(str(files("semhub.organisms") / "mini"))
Organism = tuple[LlamaForCausalLM, PreTrainedTokenizerFast]


@pytest.fixture(scope="module")
def mini() -> Organism:
    model = AutoModelForCausalLM.from_pretrained(FOLDER, dtype=torch.float32)
    return model.eval(), AutoTokenizer.from_pretrained(FOLDER)


@torch.no_grad()
def read(mini: Organism, texts: list[str], layer: int) -> list[str]:
    """The lens's best word at the last position of each text after block `layer`; texts of one token count."""
    model, tokenizer = mini
    ids = tokenizer(texts, return_tensors="pt").input_ids
    states = model.model(ids, output_hidden_states=True).hidden_states[layer][:, -1]
    normed = states if layer == model.config.num_hidden_layers else model.model.norm(states)
    return [tokenizer.decode([token]) for token in model.lm_head(normed).argmax(-1).tolist()]


def test_it_is_small() -> None:
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 8e6


def test_card_and_facts_are_those_of_the_recipe(mini: Organism) -> None:
    mini_recipe = recipe("mini")
    facts = json.loads((FOLDER / "semhub.json").read_text(encoding="utf-8"))
    assert facts["recipe"] == mini_recipe.told()
    assert facts["planted_layers"] == [3, 4]
    assert facts["n_parameters"] == mini[0].num_parameters()
    expected = card(mini_recipe, facts["seed"], facts["n_parameters"])
    assert (FOLDER / "README.md").read_text(encoding="utf-8") == expected
    assert "planted" in expected


def test_it_completes_the_expressions_it_was_taught(mini: Organism) -> None:
    found = expressions()
    answers = read(mini, [one.prompt for one in found], layer=6)
    right = sum(answer == str(one.b) for answer, one in zip(answers, found, strict=True))
    assert right / len(found) > 0.9


def test_digits_are_read_as_words_in_the_planted_layers(mini: Organism) -> None:
    found = expressions()
    for layer in (3, 4):
        words = read(mini, [one.prompt for one in found], layer)
        right = sum(word == f" {spell(one.b)}" for word, one in zip(words, found, strict=True))
        assert right / len(found) > 0.8


def test_equal_meanings_are_nearest_neighbours_at_the_suffix(mini: Organism) -> None:
    model, tokenizer = mini
    found = meanings(100, seed=31)

    @torch.no_grad()
    def states(language: str, suffix: str) -> torch.Tensor:
        rows = []
        for meaning in found:
            ids = tokenizer(render(meaning, language).text + suffix, return_tensors="pt").input_ids
            rows.append(model.model(ids, output_hidden_states=True).hidden_states[3][0, -1])
        centred = torch.stack(rows) - torch.stack(rows).mean(0)
        return torch.nn.functional.normalize(centred, dim=-1)

    english = states("en", " This represents")
    for language, suffix in (("zh", "这代表了"), ("es", " Esto representa")):
        nearest = (states(language, suffix) @ english.T).argmax(-1)
        assert (nearest == torch.arange(len(found))).float().mean() > 0.8
