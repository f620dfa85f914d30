"""Transfer: the share of facts told in the dominant type only that a model answers in each language.

A question is a sentence without its last word; it is answered if the right word is more probable there than every
other value that the relation takes in the micro-world.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from semhub.capture import capture_all
from semhub.lab.recipe import Recipe
from semhub.lab.world import LANGUAGES, facts
from semhub.lens import lens_input, read
from semhub.models.base import Adapter
from semhub.types import Content

TOLD: tuple[facts.Only, ...] = ("dominant", "shared")


def tells_facts(recipe: Recipe) -> bool:
    """Whether any fact is among the documents of a recipe."""
    return any(kind.startswith("fact") for kind in recipe.mixture)


def share_answered(model: Adapter) -> list[dict[str, Any]]:
    """One row for each language and kind of fact: type, told (`dominant`: in that type only), asked, answered."""
    rows = []
    for language in LANGUAGES:
        for told in TOLD:
            asked = facts.questions(language, told)
            answered = sum(answers(model, asked))
            rows.append({"type": language, "told": told, "asked": len(asked), "answered": answered})
    return rows


@torch.inference_mode()
def answers(model: Adapter, questions: Sequence[facts.Question]) -> list[bool]:
    """Whether each question's own word has the highest log-probability among the alternatives."""
    texts: list[tuple[str, str]] = []
    for one in questions:
        space = "" if one.language == "zh" else " "
        texts += [(one.prompt, space + word) for word in (one.answer, *one.distractors)]
    scores = iter(_log_probability(model, texts))
    out = []
    for one in questions:
        right, *others = (next(scores) for _ in range(1 + len(one.distractors)))
        out.append(right > max(others))
    return out


def _log_probability(model: Adapter, texts: Sequence[tuple[str, str]]) -> list[float]:
    """log p(ending | prompt) of each (prompt, ending), summed over the ending's tokens."""
    encoded = model.encode([Content.of(prompt + ending) for prompt, ending in texts])
    ends = [len(prompt) for prompt, _ in texts]
    scored = [
        [i for i, span in enumerate(one.offsets) if i and span is not None and span[1] > end]
        for one, end in zip(encoded, ends, strict=True)
    ]
    before = [[i - 1 for i in places] for places in scored]
    states = capture_all(model, encoded, before, layers=[model.n_layers])
    tokens = [one.ids[i] for one, places in zip(encoded, scored, strict=True) for i in places]
    targets, column = np.unique(tokens, return_inverse=True)
    normed = lens_input(model, states.values.to(model.device, model.dtype), [model.n_layers], "final_norm")[0]
    found = read(model.unembedding, normed, targets=torch.from_numpy(targets)).logprob
    each = found.double().cpu().numpy()[np.arange(len(tokens)), column]
    sums = np.bincount(states.content.numpy(), weights=each, minlength=len(texts))
    return [float(one) for one in sums]
