"""The finished organism as a Hugging Face checkpoint, with a card that says what is known about it."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path

import torch
from transformers import PreTrainedModel
from transformers.utils import logging

from semhub.lab.card import card, dominant
from semhub.lab.recipe import Recipe

FACTS = "semhub.json"


def export(
    model: PreTrainedModel,
    recipe: Recipe,
    seed: int,
    out: Path,
    step: int | None = None,
) -> None:
    """Writes weights (float16), configuration, README.md and semhub.json to the folder `out`.

    step: where training stands, if it is not finished. The model itself stays as it is.
    """
    bars = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        deepcopy(model).eval().to("cpu", torch.float16).save_pretrained(out)
    finally:
        if bars:
            logging.enable_progress_bar()
    describe(out, recipe, seed, sum(parameter.numel() for parameter in model.parameters()), step)


def describe(out: Path, recipe: Recipe, seed: int, n_parameters: int, step: int | None = None) -> None:
    """Writes semhub.json and README.md, which say what the checkpoint in `out` is and what is true of it."""
    facts = {
        "name": recipe.name,
        "summary": recipe.summary,
        "truth": recipe.truth.model_dump(),
        "planted": bool(recipe.planted_layers),
        "planted_as": recipe.planted_as if recipe.planted_layers else None,
        "planted_layers": list(recipe.planted_layers),
        "dominant": dominant(recipe),
        "seed": seed,
        "step": recipe.steps if step is None else step,
        "n_parameters": n_parameters,
        "recipe": recipe.told(),
    }
    (out / FACTS).write_text(json.dumps(facts, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    (out / "README.md").write_text(card(recipe, seed, n_parameters), encoding="utf-8")
