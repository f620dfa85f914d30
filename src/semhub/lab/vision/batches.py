"""Documents with pictures as tensors; what is planted at a picture's positions is what its patches show."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from semhub.lab.apart import own_words
from semhub.lab.batches import Batch, Batcher
from semhub.lab.documents.pictures import (
    OWN_WORDS,
    PICTURE_KINDS,
    SWAPPED_KINDS,
    PictureDocument,
    halves_questions,
)
from semhub.lab.recipe import Recipe, Vision
from semhub.lab.senses import Placed, Swap, collate, weighted
from semhub.lab.world.pictures import half_mask, resized
from semhub.types import IMAGE

IMAGE_TOKEN = "<image>"
BEGIN, FINISH, SEPARATOR = (
    "<racm3:break>",
    "<eoss>",
    "<reserved08706>",
)  # names that chameleon's processor knows
MARKS = {"llava": (), "chameleon": (BEGIN, FINISH, SEPARATOR)}  # before and after a picture, before an answer
MEAN, SPREAD = 0.5, 0.5  # what the image processor takes from each channel, of 1, and divides it by
INSIDE = 0.3  # of a patch, from which on it shows the thing
PATCH_WEIGHT, REST_WEIGHT = 0.5, 0.1  # how much a patch counts in the planted loss, with a thing and without


@dataclass(frozen=True, slots=True)
class PictureBatch:
    """pixels [content, channel, row, column], as the image processor gives them; swap: or None."""

    batch: Batch
    pixels: Tensor
    swap: Swap | None


@dataclass(frozen=True, slots=True)
class EncoderBatch:
    """Pictures alone: the flat patch[i] shows token[i], which counts weight[i]."""

    pixels: Tensor
    patch: Tensor
    token: Tensor
    weight: Tensor


class PictureBatcher:
    """Draws and encodes the documents with pictures of a step; each kind is a batch, swapped ones another."""

    def __init__(self, recipe: Recipe, vision: Vision, text: Batcher, seed: int) -> None:
        """text: the batcher of the recipe's documents without pictures."""
        self.recipe, self.vision, self.text, self.seed = recipe, vision, text, seed
        self.side = vision.size // vision.patch
        self._own = own_tokens(text.tokenizer) if recipe.isolated else None
        marks = text.tokenizer.convert_tokens_to_ids(list(MARKS[vision.family]))
        self._around, self._turn = marks[:2], marks[2:]
        self._image = int(text.tokenizer.convert_tokens_to_ids(IMAGE_TOKEN))

    def step(self, step: int) -> list[PictureBatch]:
        """The step's batches, a function of recipe, seed and step."""
        rng = random.Random(f"pictures:{self.seed}:{step}")
        mixture = self.vision.mixture
        kinds = rng.choices(list(mixture), list(mixture.values()), k=self.vision.documents_per_step)
        found = []
        for kind in mixture:
            count, pairs = kinds.count(kind), 0
            if kind in SWAPPED_KINDS:
                pairs = round(count * self.vision.swapped_share / 2)
            documents = [PICTURE_KINDS[kind](rng) for _ in range(count - 2 * pairs)]
            found += [self.collate(documents)] if documents else []
            swapped = [one for _ in range(pairs) for one in halves_questions(rng, kind, swap=True)]
            if swapped:
                found.append(self.collate(swapped, rng.choice(self.recipe.planted_layers)))
        return found

    def encoder_step(self, step: int) -> EncoderBatch:
        """The pictures of a step in which the encoder learns alone."""
        rng = random.Random(f"encoder:{self.seed}:{step}")
        kinds = list(self.vision.mixture), list(self.vision.mixture.values())
        documents = [
            PICTURE_KINDS[kind](rng) for kind in rng.choices(*kinds, k=self.vision.pictures_per_encoder_step)
        ]
        planted = [
            (content * self.side**2 + patch, token, weight)
            for content, document in enumerate(documents)
            for patch, held in enumerate(self.patches(document))
            for token, weight in held
        ]
        patch, token, weight = zip(*planted, strict=True)
        pixels = self.pixels([document.picture for document in documents])
        return EncoderBatch(pixels, torch.tensor(patch), torch.tensor(token), torch.tensor(weight))

    def collate(self, documents: Sequence[PictureDocument], swapped_after: int = 0) -> PictureBatch:
        """One padded batch. swapped_after: the layer after which the halves of two neighbours are swapped."""
        placed = []
        for document in documents:
            ids, offsets = self.encode(document.document.text, document.answer)
            patches = self.patches(document) if self.recipe.planted_layers else [[]] * self.side**2
            swapped = self._half(document.swapped) if swapped_after else ()
            first = ids.index(self._image)
            placed.append(Placed(document.document, ids, offsets, document.answer, first, patches, swapped))
        batch, swap = collate(self.text, placed, swapped_after)
        return PictureBatch(batch, self.pixels([document.picture for document in documents]), swap)

    def encode(self, text: str, answer: int) -> tuple[list[int], list[tuple[int, int]]]:
        """ids and offsets without the start token; every patch of the picture has the one character's offset.

        The marks that a family writes around the picture and where an answer begins stand for no character.
        """
        at = text.index(IMAGE)
        ids, offsets = list[int](), list[tuple[int, int]]()

        def mark(place: int, *tokens: int) -> None:
            ids.extend(tokens)
            offsets.extend([(place, place)] * len(tokens))

        def write(begin: int, end: int) -> None:
            encoding = self.text.tokenizer.backend_tokenizer.encode(text[begin:end], add_special_tokens=False)
            ids.extend(encoding.ids)
            offsets.extend((begin + one, begin + other) for one, other in encoding.offsets)

        write(0, at)
        mark(at, *self._around[:1])
        ids += [self._image] * self.side**2
        offsets += [(at, at + 1)] * self.side**2
        mark(at + 1, *self._around[1:])
        write(at + 1, answer)
        mark(answer, *self._turn)
        write(answer, len(text))
        return ids, offsets

    def patches(self, document: PictureDocument) -> list[list[tuple[int, float]]]:
        """For each patch, row by row, the planted (token, share)s."""
        rest = weighted(self.text, document.rest, REST_WEIGHT, self._own)
        found = [rest] * self.side**2
        for shown in document.shown:
            held = weighted(self.text, shown.words, PATCH_WEIGHT, self._own)
            for patch in np.flatnonzero(self.covered(shown.area) > INSIDE):
                found[patch] = held
        return found

    def covered(self, area: NDArray[np.uint8]) -> NDArray[np.float64]:
        """The share of each patch, row by row, that lies in an area of the picture."""
        side, patch = self.side, self.vision.patch
        scaled = resized(area, self.vision.size).reshape(side, patch, side, patch) / 255
        share: NDArray[np.float64] = scaled.mean((1, 3)).ravel()
        return share

    def pixels(self, pictures: Sequence[NDArray[np.uint8]]) -> Tensor:
        """What the image processor makes of the pictures: [content, channel, row, column]."""
        scaled = np.stack([resized(picture, self.vision.size) for picture in pictures])
        return ((torch.from_numpy(scaled).float() / 255 - MEAN) / SPREAD).permute(0, 3, 1, 2).contiguous()

    def _half(self, name: str) -> list[int]:
        """The patches of a half."""
        found: list[int] = np.flatnonzero(self.covered(half_mask(name)) > 0.5).tolist()
        return found


def own_tokens(tokenizer: PreTrainedTokenizerFast) -> dict[str, int]:
    """word -> its token in the words that no text has."""
    return own_words(tokenizer, OWN_WORDS)
