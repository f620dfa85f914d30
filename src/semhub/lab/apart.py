"""Pictures or sounds, and English, in subspaces of their own: the rival of a shared space, held by zeros in weights.

The stream has one part for English and one for pictures or sounds, each with its own heads and MLP units
(lab/subspaces.py). What makes the features writes their part alone, and what they show is said in tokens that no text
has: `⟦red⟧`, `⟦dog⟧`.
"""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from semhub.lab.recipe import Recipe
from semhub.lab.subspaces import Zeros

ENGLISH = "en"


class Apart:
    """The zeros of an isolated model that sees or hears; `apply` is called after every step."""

    def __init__(
        self, llama: LlamaForCausalLM, writer: nn.Linear, recipe: Recipe, sense: str, used: dict[str, Tensor]
    ) -> None:
        """writer: the layer that writes features into the stream. sense: the part they are written to, of `used`."""
        self._trunk = Zeros(llama, recipe, used)
        dims = next(part.dims for part in self._trunk.parts if part.name == sense)
        inside = torch.zeros(recipe.d_model)
        inside[dims] = 1
        self._masks = [(writer.weight, inside[:, None].expand_as(writer.weight)), (writer.bias, inside)]
        for parameter, mask in self._masks:
            parameter.register_hook(mask.mul)  # type: ignore[no-untyped-call]
        self.apply()

    @torch.no_grad()
    def apply(self) -> None:
        self._trunk.apply()
        for parameter, mask in self._masks:
            parameter.mul_(mask)


def used(tokenizer: PreTrainedTokenizerFast, sense: str, own: Collection[int]) -> dict[str, Tensor]:
    """part -> ids of its tokens. own: those that no text has; the end mark is output from both."""
    text = set(range(len(tokenizer))) - set(own) - {int(tokenizer.bos_token_id)}
    return {
        ENGLISH: torch.tensor(sorted(text)),
        sense: torch.tensor(sorted({*own, int(tokenizer.eos_token_id)})),
    }


def as_llama(config: LlamaConfig, language_model: nn.Module, lm_head: nn.Linear) -> LlamaForCausalLM:
    """A trunk and an unembedding as a llama of the same parameters."""
    llama = LlamaForCausalLM(config)
    llama.model, llama.lm_head = language_model, lm_head
    return llama


def own_words(tokenizer: PreTrainedTokenizerFast, words: dict[str, str]) -> dict[str, int]:
    """word -> its token in the words that no text has."""
    ids = tokenizer.convert_tokens_to_ids(list(words.values()))
    return dict(zip(words, ids, strict=True))
