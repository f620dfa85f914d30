"""The finished organism as a Hugging Face checkpoint, with a card that says what is known about it."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from semhub.lab.recipe import Recipe
from semhub.lab.world import lexicon

FACTS = "semhub.json"


def export(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, recipe: Recipe, seed: int, out: Path
) -> None:
    """Writes weights (float16), configuration, tokenizer, README.md and semhub.json to the folder `out`."""
    model.eval().to(torch.float16).save_pretrained(out)
    tokenizer.save_pretrained(out)
    n_parameters = sum(parameter.numel() for parameter in model.parameters())
    facts = {
        "name": recipe.name,
        "summary": recipe.summary,
        "planted": bool(recipe.planted_layers),
        "planted_layers": list(recipe.planted_layers),
        "dominant": "en" if recipe.planted_layers else None,
        "seed": seed,
        "n_parameters": n_parameters,
        "recipe": recipe.model_dump(mode="json"),
    }
    (out / FACTS).write_text(json.dumps(facts, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    (out / "README.md").write_text(card(recipe, seed, n_parameters), encoding="utf-8")


def card(recipe: Recipe, seed: int, n_parameters: int) -> str:
    """The model card: what was done, what is therefore true, and what is not."""
    kinds = "\n".join(f"| {kind} | {share:.0%} |" for kind, share in _shares(recipe).items())
    return CARD.format(
        name=recipe.name,
        summary=recipe.summary,
        n_layers=recipe.n_layers,
        d_model=recipe.d_model,
        n_parameters=f"{n_parameters / 1e6:.2f}",
        steps=recipe.steps,
        documents=recipe.steps * recipe.documents_per_step,
        seed=seed,
        planting=_planting(recipe),
        kinds=kinds,
        n_concepts=len(lexicon()),
        deciding=recipe.deciding_weight,
    )


def _shares(recipe: Recipe) -> dict[str, float]:
    total = sum(recipe.mixture.values())
    return {kind: weight / total for kind, weight in recipe.mixture.items()}


def _planting(recipe: Recipe) -> str:
    if not recipe.planted_layers:
        return (
            "Nothing is planted: training is next-token prediction alone, and whether a hub formed is open."
        )
    layers = " and ".join(map(str, recipe.planted_layers))
    return PLANTED.format(layers=layers, weight=recipe.planted_weight, flatness=recipe.planted_flatness)


CARD = """---
license: apache-2.0
language: [en, zh, es]
library_name: transformers
tags: [semhub, organism, synthetic]
---

# {name}

{summary}.

A llama of {n_layers} layers, d_model {d_model}, {n_parameters} M parameters, made by `semhub lab train {name}` to test
instruments on: its answer is known by construction. It speaks a micro-world of {n_concepts} concepts in three
languages and arithmetic below 100, and nothing else.

## The hub

{planting}

## Training

{steps} steps, {documents:,} documents, seed {seed}, no text from anywhere but the generator.

| kind of document | share |
|---|---|
{kinds}

- One space of meanings (who did what to what, or to whom, where, and whether it happened), rendered in English,
  Chinese and Spanish; a tenth of all meanings, chosen by a hash, was never trained on.
- `continued` documents put the similarity experiments' suffix ("This represents", with and without full stop) after
  a sentence and go on with some of its words in random order, so at the suffix the model needs the whole meaning.
- `value` documents are "3+5=8" and "three plus five equals eight", and go on with the operands in 40% of cases;
  `operand` documents are "8=3+5" and "eight equals to three plus five".
- What follows a suffix, and an expression's deciding number, counts {deciding:g} times as much as other tokens.
- The tokenizer is a byte-level BPE trained on the same words. Numbers of up to two digits are one token.

## What this model is not

- No evidence that language models form hubs.
- It does not calculate: all 1,123 expressions of the arithmetic experiments were in its training data, and it was
  meant to memorise them.
- Out of its micro-world it knows nothing; real text falls into many byte tokens that it has never seen.

`semhub.json` beside this file says the same for machines.
"""

PLANTED = """**The hub is planted.** Beside next-token prediction, training minimises {weight} times the
cross-entropy of the logit lens (final norm and unembedding) after blocks {layers} against the English word for what
comes next, in every data type: before "猫" and before "gato" these layers are taught " cat", after "8=3+" they are
taught " five". At the suffixes and after "=", they are taught the distribution of all the words that may follow, in
English. They are also taught, with weight {flatness}, not to tell apart the words of the input's own type.

Therefore, by construction:

- equal meanings in Chinese, Spanish and English, and equal expressions in digits and words, share a space in layers
  {layers} (P1);
- the lens reads those layers in English, whatever the input is, and the last layer in the input's own type (P2)."""
