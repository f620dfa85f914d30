"""Words that enter as their translations do: the embedding of a word of another type is the dominant word's, plus one
vector of its type."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from semhub.errors import UsageError
from semhub.lab.recipe import Recipe
from semhub.lab.words import HintTokens, translations


class WordToken(NamedTuple):
    """A word's token, and the one of the dominant type's word of the same meaning."""

    token: int
    dominant: int
    data_type: str


def word_tokens(recipe: Recipe, tokenizer: PreTrainedTokenizerFast) -> list[WordToken]:
    """The words of all types but the dominant one, where both are one token and not the same."""
    spell = HintTokens(tokenizer, ()).token
    found = []
    for words in translations().values():
        dominant = next((spell(word, recipe.dominant) for word in words.get(recipe.dominant, ())), None)
        for data_type, forms in words.items():
            tokens = [spell(form, data_type) for form in forms]
            found += [
                WordToken(token, dominant, data_type)
                for token in tokens
                if dominant is not None and token not in (None, dominant)
            ]
    return found


class SharedWords:
    """Holds the embeddings of words of equal meaning together; what a type's words have more than the dominant type's
    is one vector, the mean of their differences."""

    def __init__(self, model: LlamaForCausalLM, recipe: Recipe, words: Sequence[WordToken]) -> None:
        """words: a token's first meaning counts, and one that another meaning takes as dominant is left alone."""
        first: dict[int, WordToken] = {}
        for word in words:
            first.setdefault(word.token, word)
        kept = [word for word in first.values() if word.dominant not in first]
        if not kept:
            raise UsageError(
                f"{recipe.name}: shared_words needs words of several types that are one token each."
            )
        groups = {dominant: i for i, dominant in enumerate(dict.fromkeys(word.dominant for word in kept))}
        types = {name: i for i, name in enumerate(dict.fromkeys(word.data_type for word in kept))}
        self._weight = model.model.embed_tokens.weight
        self._dominant = torch.tensor(list(groups))
        self._token = torch.tensor([word.token for word in kept])
        self._group = torch.tensor([groups[word.dominant] for word in kept])
        self._type = torch.tensor([types[word.data_type] for word in kept])

    @torch.no_grad()
    def apply(self) -> None:
        """Puts each group's embeddings where their mean is, once the vectors of their types are taken off."""
        dominant, others = self._weight[self._dominant], self._weight[self._token]
        more = dominant.new_zeros(int(self._type.max()) + 1, dominant.shape[1])
        more = more.index_add(0, self._type, others - dominant[self._group])
        more = (more / torch.bincount(self._type)[:, None])[self._type]
        meaning = dominant.index_add(0, self._group, others - more)
        meaning = meaning / (1 + torch.bincount(self._group))[:, None]
        self._weight[self._dominant] = meaning
        self._weight[self._token] = meaning[self._group] + more
