"""A tiny llama with its adapter, and the same weights in float64 read by hooks, one content at a time."""

from __future__ import annotations

import copy
import functools
from typing import Any

import numpy as np
import pandas as pd
import torch
from tests.measures.plain import log_softmax
from tests.tiny import tiny_model, tiny_tokenizer

from semhub.measures import readout
from semhub.measures.words import Ready
from semhub.models import load
from semhub.models.base import Adapter


@functools.cache
def tiny() -> tuple[Adapter, Any]:
    """The adapter under test and the float64 model of the reference."""
    model = tiny_model("llama")
    exact = copy.deepcopy(model).double()
    return load(model, tiny_tokenizer(), check=False), exact


def token_ids(text: str) -> list[int]:
    return list(tiny_tokenizer()(text, add_special_tokens=False)["input_ids"])


def last_token_before(text: str, at: int) -> int:
    """Position of the last token that ends at or before a character; for ASCII text, where tokens join to the text."""
    end = 0
    for position, token in enumerate(token_ids(text)):
        end += len(tiny_tokenizer().decode([token]))
        if end > at:
            return position - 1
    return position


@functools.cache
def forms(word: str) -> list[int]:
    """Every id of the vocabulary that spells the word, with or without a space before it."""
    tokenizer = tiny_tokenizer()
    spelled = {i: tokenizer.decode([i]) for i in range(3, len(tokenizer))}
    return [i for i, text in spelled.items() if text in (word, " " + word)]


@torch.no_grad()
def states(text: str) -> np.ndarray:
    """[layer, position, d_model]: 0 enters the first block, l leaves block l; the final norm not applied."""
    trunk = tiny()[1].model
    found: list[torch.Tensor] = []
    hooks = [trunk.layers[0].register_forward_pre_hook(lambda _, args: found.append(args[0][0]))]
    for block in trunk.layers:
        hooks.append(
            block.register_forward_hook(
                lambda _, __, out: found.append((out[0] if isinstance(out, tuple) else out).reshape(-1, 32))
            )
        )
    try:
        trunk(input_ids=torch.tensor([token_ids(text)]), use_cache=False)
    finally:
        for hook in hooks:
            hook.remove()
    assert len(found) == len(trunk.layers) + 1
    return torch.stack(found).numpy()


@functools.cache
@torch.no_grad()
def lens(text: str, mode: str) -> np.ndarray:
    """[layer, position, vocab] log-probabilities of the logit lens, the whole table at once."""
    model, out = tiny()[1], []
    everything = torch.from_numpy(states(text))
    for layer, values in enumerate(everything):
        normed = mode == "final_norm" or layer == len(everything) - 1
        logits = (model.model.norm(values) if normed else values) @ model.lm_head.weight.T
        out.append(log_softmax(logits.numpy()))
    return np.stack(out)


@functools.cache
def word_score(text: str, position: int, word: str, mode: str) -> np.ndarray:
    """[layer]: log of the summed probability of the word's single-token forms."""
    return np.log(np.exp(lens(text, mode)[:, position][:, forms(word)]).sum(axis=1))


def read_alone(
    adapter: Any, ready: Ready, plan: readout.Plan, *, experiment: str, variant: str, **options: Any
) -> pd.DataFrame:
    """The rows of one reading that nothing is run with."""
    reading = readout.Reading(ready, plan, experiment, variant)
    (rows,) = readout.measure(adapter, [reading], **options)
    return rows
