"""Pictures and English in subspaces of their own: the rival of a shared space, held by zeros in the weights.

The stream has one part for English and one for pictures, each with its own heads and MLP units (lab/subspaces.py). The
projector writes the pictures' part alone, and what is seen there is said in tokens that no text has: `⟦red⟧`.
"""

from __future__ import annotations

import torch
from torch import Tensor
from transformers import LlamaForCausalLM, LlavaForConditionalGeneration, PreTrainedTokenizerFast

from semhub.lab.recipe import Recipe
from semhub.lab.subspaces import Zeros
from semhub.lab.vision.batches import IMAGE_TOKEN, own_tokens

PICTURES, ENGLISH = "picture", "en"


class Apart:
    """The zeros of an isolated model that takes pictures; `apply` is called after every step."""

    def __init__(
        self, model: LlavaForConditionalGeneration, recipe: Recipe, tokenizer: PreTrainedTokenizerFast
    ) -> None:
        self._trunk = Zeros(as_llama(model), recipe, used(tokenizer))
        seen = next(part.dims for part in self._trunk.parts if part.name == PICTURES)
        inside = torch.zeros(recipe.d_model)
        inside[seen] = 1
        last = model.model.multi_modal_projector.linear_2
        self._masks = [(last.weight, inside[:, None].expand_as(last.weight)), (last.bias, inside)]
        for parameter, mask in self._masks:
            parameter.register_hook(mask.mul)
        self.apply()

    @torch.no_grad()
    def apply(self) -> None:
        self._trunk.apply()
        for parameter, mask in self._masks:
            parameter.mul_(mask)


def used(tokenizer: PreTrainedTokenizerFast) -> dict[str, Tensor]:
    """part -> ids of its tokens; the end mark is output from both."""
    pictures = {*own_tokens(tokenizer).values(), int(tokenizer.convert_tokens_to_ids(IMAGE_TOKEN))}
    text = set(range(len(tokenizer))) - pictures - {int(tokenizer.bos_token_id)}
    pictures.add(int(tokenizer.eos_token_id))
    return {ENGLISH: torch.tensor(sorted(text)), PICTURES: torch.tensor(sorted(pictures))}


def as_llama(model: LlavaForConditionalGeneration) -> LlamaForCausalLM:
    """The trunk and the unembedding as a llama of the same parameters."""
    llama = LlamaForCausalLM(model.config.text_config)
    llama.model, llama.lm_head = model.model.language_model, model.lm_head
    return llama
