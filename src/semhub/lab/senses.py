"""What the training of models that see and of models that hear has in common.

A picture or a sound becomes a row of features in a document's tokens; what is planted there is what each feature
shows. Training has two stages: the encoder alone, then the rest.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import AutoTokenizer, LlamaForCausalLM, PreTrainedTokenizerFast

from semhub.lab.batches import Batch, Batcher
from semhub.lab.documents import Document, Weighted
from semhub.lab.recipe import Audio, Recipe, Vision
from semhub.lab.tokenizer import train_tokenizer

FINAL_RATE = 0.02  # of the peak learning rate, at the end of either stage
TEMPERATURE = 0.07  # of the cosines between what an encoder makes of a patch or window and what it is to say
LENGTH_WEIGHT = 0.1  # how much a feature's length counts, beside its direction


@dataclass(frozen=True, slots=True)
class Swap:
    """After block `layer` the states at the flat positions `at` are replaced by those at `by`.

    span: only the part of the states that lies in the span of these orthonormal columns [d_model, n] is.
    """

    layer: int
    at: Tensor
    by: Tensor
    span: Tensor | None = None


@dataclass(frozen=True, slots=True)
class Placed:
    """A document as tokens, without the start token; its features' tokens stand at `first` and after, in a row.

    answer: the character from which on the text is learnt. held: for each feature, the planted (token, share)s.
    swapped: the features that are swapped with those of the next or the last document.
    """

    document: Document
    ids: list[int]
    offsets: list[tuple[int, int]]
    answer: int
    first: int
    held: Sequence[list[tuple[int, float]]]
    swapped: Sequence[int] = ()


def collate(text: Batcher, placed: Sequence[Placed], swapped_after: int = 0) -> tuple[Batch, Swap | None]:
    """One padded batch. swapped_after: the layer after which features of two neighbours are swapped."""
    rows = []
    for one in placed:
        row = text.row(one.document, one.ids, one.offsets, True)
        held, weights = list(row.held), list(row.weights)
        for position, (_, end) in enumerate(one.offsets):
            if end <= one.answer:
                held[position], weights[position] = [], 0.0
        held[one.first + 1 : one.first + 1 + len(one.held)] = one.held  # after the start token
        rows.append(row._replace(held=held, weights=weights))
    batch = text.collate(rows)
    if not swapped_after:
        return batch, None
    width = batch.ids.shape[1]
    inside = [(content, feature) for content, one in enumerate(placed) for feature in one.swapped]
    at = [content * width + placed[content].first + 1 + feature for content, feature in inside]
    by = [(content ^ 1) * width + placed[content ^ 1].first + 1 + feature for content, feature in inside]
    return batch, Swap(swapped_after, torch.tensor(at), torch.tensor(by))


def weighted(
    text: Batcher, words: Weighted, weight: float, own: Mapping[str, int] | None
) -> list[tuple[int, float]]:
    """The tokens planted for English words, of that weight together. own: word -> its token that no text has."""
    if own is not None:
        return [(own[word], share * weight) for word, share in words]
    return [(token, share * weight) for token, share in text.held(words)]


@contextmanager
def swapping(layers: nn.ModuleList, swap: Swap | None) -> Iterator[None]:
    """Within it, states are swapped after one of the blocks."""
    if swap is None:
        yield
        return

    def exchanged(_module: nn.Module, _inputs: object, output: Tensor | tuple[Tensor]) -> object:
        states = output if isinstance(output, Tensor) else output[0]
        flat = states.flatten(0, 1)
        instead = flat[swap.by]
        if swap.span is not None:
            changed = (instead - flat[swap.at]).to(swap.span.dtype) @ swap.span @ swap.span.T
            instead = flat[swap.at] + changed.to(flat.dtype)
        states = flat.index_copy(0, swap.at, instead).view_as(states)
        return states if isinstance(output, Tensor) else (states, *output[1:])

    hook = layers[swap.layer - 1].register_forward_hook(exchanged)
    try:
        yield
    finally:
        hook.remove()


@contextmanager
def given_to(module: nn.Module) -> Iterator[list[Tensor]]:
    """Within it, the first input of each of the module's calls is kept."""
    found = list[Tensor]()
    hook = module.register_forward_pre_hook(lambda _module, inputs: found.append(inputs[0]))
    try:
        yield found
    finally:
        hook.remove()


def pointing(features: Tensor, rows: Tensor, at: Tensor, token: Tensor, weight: Tensor) -> Tensor:
    """In nats per feature: the cross-entropy of feature[at[i]] against embedding row token[i], which counts weight[i].

    features [feature, d_model], rows [vocab, d_model]. Cosines are compared; beside them counts a little how far
    features are as long as embeddings are.
    """
    rows = rows.detach()
    lengths = rows.norm(dim=-1)
    scores = F.normalize(features, dim=-1) @ F.normalize(rows, dim=-1).T / TEMPERATURE
    taught = scores.log_softmax(-1).float()
    said = -(taught[at, token] @ weight) / weight.sum()
    length = (features.norm(dim=-1) / lengths[token].mean() - 1).square().mean()
    loss: Tensor = said + LENGTH_WEIGHT * length
    return loss


@dataclass(frozen=True, slots=True)
class Stage:
    """Of the training, up to the step `last`. peak: the learning rate, after `warmup` steps."""

    last: int
    peak: float
    warmup: int


def stages(recipe: Recipe, sense: Vision | Audio) -> tuple[Stage, Stage]:
    """The encoder alone, then the rest."""
    encoder = Stage(sense.encoder_steps, sense.encoder_rate, recipe.warmup_steps)
    return encoder, Stage(recipe.steps, recipe.learning_rate, recipe.warmup_steps)


def staged_rate(planned: Sequence[Stage], step: int) -> float:
    """The learning rate: up in a line, down along a cosine, in every stage."""
    firsts = [0, *(stage.last for stage in planned)]
    stage, first = next((one, at) for one, at in zip(planned, firsts, strict=False) if step < one.last)
    if step - first < stage.warmup:
        return stage.peak * (step - first + 1) / stage.warmup
    done = (step - first - stage.warmup) / max(1, stage.last - first - stage.warmup)
    return stage.peak * (FINAL_RATE + (1 - FINAL_RATE) * 0.5 * (1 + math.cos(math.pi * done)))


def base_tokenizer(
    recipe: Recipe,
    trunk: str,
    seed: int,
    special: Sequence[str],
    sep_token: str | None = None,
    words: Sequence[str] = (),
) -> PreTrainedTokenizerFast:
    """The tokenizer of the trunk, or one trained for the recipe, with further special tokens and words."""
    if trunk:
        known = AutoTokenizer.from_pretrained(shipped(trunk))
    else:
        known = train_tokenizer(recipe.vocab_size, seed, recipe.tokenizer_sentences, tuple(recipe.mixture))
    return PreTrainedTokenizerFast(
        tokenizer_object=with_words(known.backend_tokenizer, words) if words else known.backend_tokenizer,
        bos_token=known.bos_token,
        eos_token=known.eos_token,
        pad_token=known.pad_token,
        model_max_length=known.model_max_length,
        additional_special_tokens=list(special),
        **({"sep_token": sep_token} if sep_token else {}),
    )


def with_words(tokenizer: Tokenizer, words: Sequence[str]) -> Tokenizer:
    """A byte-level BPE in which each of the words (with the space before it, if it has one) is one token.

    What it is made of is merged from its end on, after all merges that there are.
    """
    told: dict[str, Any] = json.loads(tokenizer.to_str())
    vocab, merges = told["model"]["vocab"], told["model"]["merges"]
    for word in words:
        pieces = Tokenizer.from_str(json.dumps(told)).encode(word, add_special_tokens=False).tokens
        while len(pieces) > 1:
            merges.append(pieces[-2:])
            pieces[-2:] = ["".join(pieces[-2:])]
            vocab.setdefault(pieces[-1], 1 + max(vocab.values()))
    return Tokenizer.from_str(json.dumps(told))


def shipped(name: str) -> str:
    """The folder of a shipped organism."""
    return str(files("semhub.organisms").joinpath(name))


@torch.no_grad()
def start_from(language_model: nn.Module, lm_head: nn.Linear, trunk: str) -> None:
    """Copies a shipped llama's weights; tokens that it does not know keep an embedding of zero."""
    weights = LlamaForCausalLM.from_pretrained(shipped(trunk), dtype=torch.float32).state_dict()
    mine: dict[str, Tensor] = {f"model.{name}": one for name, one in language_model.named_parameters()}
    for name, parameter in {**mine, "lm_head.weight": lm_head.weight}.items():
        parameter.zero_()
        parameter[: len(weights[name])].copy_(weights[name])
