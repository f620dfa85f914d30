"""Documents as tensors. The batch of a step is a function of the recipe, the seed and the step alone."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from semhub.lab.documents import Document, Weighted, draw_document
from semhub.lab.recipe import Recipe
from semhub.lab.words import DIGITS, HintTokens
from semhub.lab.world import LANGUAGES, meanings, render

N_LOOKED_AT = 4000  # documents
N_GROUPS = 2  # documents of like length share a padded batch
LONG = (
    64  # tokens; where a step has a longer document, four times as many groups cost less than their padding
)


@dataclass(frozen=True, slots=True)
class Batch:
    """ids [content, position], padded on the right; `row` numbers its positions, content by content.

    At row[i] the next token is next_id[i] and counts weight[i]. At planted_row[j] the hub holds every
    planted_token[k] with planted_index[k] == j; the planted weights of a row sum to that position's weight.
    surface: per data type other than the dominant one, indices j and the token ids of the type's own words.
    """

    ids: Tensor
    row: Tensor
    next_id: Tensor
    weight: Tensor
    planted_row: Tensor
    planted_index: Tensor
    planted_token: Tensor
    planted_weight: Tensor
    surface: tuple[tuple[Tensor, Tensor], ...]


class Row(NamedTuple):
    """One document. Per position: how much predicting the next token counts, and the planted (token, weight)s."""

    data_type: str
    ids: list[int]
    weights: list[float]
    held: list[list[tuple[int, float]]]


class Batcher:
    """Draws and encodes the documents of a step."""

    def __init__(self, recipe: Recipe, tokenizer: PreTrainedTokenizerFast, seed: int) -> None:
        self.recipe, self.tokenizer, self.seed = recipe, tokenizer, seed
        taught = (*LANGUAGES, DIGITS) if recipe.planted_as == "neutral" else (recipe.dominant,)
        self._tokens = HintTokens(tokenizer, taught)
        self._surface = surface_words(tokenizer, recipe.dominant) if recipe.planted_flatness else {}

    def step(self, step: int) -> list[Batch]:
        """The step's documents, sorted by length into a few padded batches."""
        rng = random.Random(f"batch:{self.seed}:{step}")
        documents = [draw_document(rng, self.recipe.mixture) for _ in range(self.recipe.documents_per_step)]
        encodings = self.tokenizer.backend_tokenizer.encode_batch(
            [document.text for document in documents], add_special_tokens=False
        )
        rows = []
        for document, encoding in zip(documents, encodings, strict=True):
            starts = rng.random() >= self.recipe.no_start_share
            rows.append(self.row(document, encoding.ids, encoding.offsets, starts))
        rows.sort(key=lambda row: len(row.ids))
        groups = N_GROUPS if len(rows[-1].ids) <= LONG else 4 * N_GROUPS
        size = -(-len(rows) // groups)
        return [self.collate(rows[at : at + size]) for at in range(0, len(rows), size)]

    def row(self, document: Document, ids: list[int], offsets: Sequence[tuple[int, int]], start: bool) -> Row:
        """A document as a row. start: whether the start token comes first."""
        weights, held = list[float](), list[list[tuple[int, float]]]()
        hints = iter(document.hints)
        hint = next(hints, None)
        for token, (begin, end) in zip(ids, offsets, strict=True):
            text = document.text[begin:end]
            first = begin + len(text) - len(text.lstrip())
            while hint is not None and hint.end <= first:
                hint = next(hints, None)
            if hint is not None and hint.start <= first:
                weight = self.recipe.deciding_weight if hint.deciding else 1.0
                held.append([(planted, weight * share) for planted, share in self.held(hint.words)])
                weights.append(weight)
            else:
                held.append([(token, 1.0)] if self._spoken(document) else [])
                weights.append(1.0)
        ids, weights, held = [*ids, int(self.tokenizer.eos_token_id)], [*weights, 1.0], [*held, []]
        if start:
            return Row(document.data_type, [int(self.tokenizer.bos_token_id), *ids], weights, held)
        return Row(document.data_type, ids, weights[1:], held[1:])

    def held(self, words: Weighted) -> list[tuple[int, float]]:
        """The tokens that are planted for English words, with their shares."""
        found = [(self._tokens(word), share) for word, share in words]
        total = sum(share for tokens, share in found if tokens)
        return [(token, share / total * part) for tokens, share in found for token, part in tokens]

    def _spoken(self, document: Document) -> bool:
        """Whether the document is in the dominant language, so that the hub holds its next token as it is."""
        return (
            document.english if self.recipe.dominant == "en" else document.data_type == self.recipe.dominant
        )

    def word_frequency(self, n_steps: int = 10) -> Tensor:
        """The distribution [vocab] of the planted words over the first steps' documents, by weight."""
        frequency = torch.zeros(len(self.tokenizer))
        for step in range(n_steps):
            for batch in self.step(step):
                frequency.index_add_(0, batch.planted_token, batch.planted_weight)
        return frequency / frequency.sum()

    def collate(self, rows: list[Row]) -> Batch:
        """Rows as one padded batch; positions of weight 0 are given, not predicted."""
        width = max(len(row.ids) for row in rows)
        pad = int(self.tokenizer.pad_token_id)
        places, following, weights = list[int](), list[int](), list[float]()
        planted_places = list[int]()
        planted = list[tuple[int, int, float]]()
        for content, row in enumerate(rows):
            for position, (weight, held) in enumerate(zip(row.weights, row.held, strict=True)):
                place = content * width + position
                if weight:
                    places.append(place)
                    following.append(row.ids[position + 1])
                    weights.append(weight)
                planted += [(len(planted_places), token, share) for token, share in held]
                planted_places += [place] if held else []
        types = [row.data_type for row in rows for held in row.held if held]
        surface = [
            (torch.tensor([at for at, own in enumerate(types) if own == data_type]), words)
            for data_type, words in self._surface.items()
            if data_type in types
        ]
        index, tokens, shares = zip(*planted, strict=True) if planted else ((), (), ())
        return Batch(
            ids=torch.tensor([row.ids + [pad] * (width - len(row.ids)) for row in rows]),
            row=torch.tensor(places),
            next_id=torch.tensor(following),
            weight=torch.tensor(weights),
            planted_row=torch.tensor(planted_places, dtype=torch.long),
            planted_index=torch.tensor(index, dtype=torch.long),
            planted_token=torch.tensor(tokens, dtype=torch.long),
            planted_weight=torch.tensor(shares),
            surface=tuple(surface),
        )


def surface_words(
    tokenizer: PreTrainedTokenizerFast, dominant: str, n_sentences: int = 2000
) -> dict[str, Tensor]:
    """data type -> ids of its words' tokens that the dominant language does not use; one for each other type."""
    spoken = meanings(n_sentences, 0, "train")
    used = {
        language: set(
            chain.from_iterable(
                tokenizer(
                    [render(meaning, language).text for meaning in spoken], add_special_tokens=False
                ).input_ids
            )
        )
        for language in LANGUAGES
    }
    used["digits"] = set(
        chain.from_iterable(tokenizer([str(n) for n in range(100)], add_special_tokens=False).input_ids)
    )
    spared = used.pop(dominant)
    return {data_type: torch.tensor(sorted(ids - spared)) for data_type, ids in used.items()}


def used_tokens(recipe: Recipe, tokenizer: PreTrainedTokenizerFast, seed: int) -> dict[str, Tensor]:
    """data type -> ids of the tokens that occur in its documents, or in its sentences.

    Tokens that occur nowhere belong to English if they are ASCII, else to Chinese, so that unknown text has its type.
    """
    rng = random.Random(f"used:{seed}")
    used: dict[str, set[int]] = {}
    for _ in range(N_LOOKED_AT):
        document = draw_document(rng, recipe.mixture)
        used.setdefault(document.data_type, set()).update(
            tokenizer.encode(document.text, add_special_tokens=False)
        )
    for language in set(LANGUAGES) & set(used):
        for meaning in meanings(N_LOOKED_AT, seed, "train"):
            used[language].update(tokenizer.encode(render(meaning, language).text, add_special_tokens=False))
    known = set(chain.from_iterable(used.values()))
    for token, name in enumerate(tokenizer.convert_ids_to_tokens(range(len(tokenizer)))):
        if token == tokenizer.eos_token_id:
            for ids in used.values():
                ids.add(token)
        elif token not in known and token != tokenizer.bos_token_id:
            used["en" if name.lstrip("Ġ").isascii() else "zh"].add(token)
    return {data_type: torch.tensor(sorted(ids)) for data_type, ids in used.items()}
