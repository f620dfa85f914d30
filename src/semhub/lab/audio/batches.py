"""Documents with sounds as tensors; what is planted at a sound's positions is what is heard in their windows."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from semhub.lab.apart import own_words
from semhub.lab.audio.heard import Heard
from semhub.lab.batches import Batch, Batcher
from semhub.lab.documents.sounds import (
    ALONE_KINDS,
    OWN_WORDS,
    SOUND_KINDS,
    SWAPPED_KINDS,
    SoundDocument,
    swapped_questions,
)
from semhub.lab.recipe import Audio, Recipe
from semhub.lab.senses import Placed, Swap, collate, weighted
from semhub.models.salmonn_ear import SalmonnEar
from semhub.types import SOUND

FEATURE = "[PAD]"  # the token that stands for a feature, by SALMONN's name for it
WINDOW_WEIGHT = 0.5  # how much a window counts in the planted loss


@dataclass(frozen=True, slots=True)
class SoundBatch:
    """sounds: which of the training's sounds, content by content. swap: or None.

    by_words: only the part of the states that the words' rows span is swapped.
    """

    batch: Batch
    sounds: Tensor
    swap: Swap | None
    by_words: bool = False


@dataclass(frozen=True, slots=True)
class WindowBatch:
    """Sounds alone: the flat window[i] holds token[i], which counts weight[i]."""

    sounds: Tensor
    window: Tensor
    token: Tensor
    weight: Tensor


class SoundBatcher:
    """Draws and encodes the documents with sounds of a step; each kind is a batch, swapped ones another."""

    def __init__(self, recipe: Recipe, audio: Audio, text: Batcher, ear: SalmonnEar, seed: int) -> None:
        """text: the batcher of the recipe's documents without sounds."""
        self.recipe, self.audio, self.text, self.seed = recipe, audio, text, seed
        self.layout, self._ear = ear.layout(audio.seconds * ear.rate), ear
        self._own = own_tokens(text.tokenizer) if recipe.isolated else None
        self._feature = int(text.tokenizer.convert_tokens_to_ids(FEATURE))

    @cached_property
    def heard(self) -> Heard:
        """The sounds, drawn when they are first needed."""
        with torch.autocast("cpu", enabled=False):  # spectrograms are no place for half precision
            return Heard(self.audio.n_sounds, self._ear, self.seed)

    def step(self, step: int) -> list[SoundBatch]:
        """The step's batches, a function of recipe, seed and step."""
        rng = random.Random(f"sounds:{self.seed}:{step}")
        mixture = self.audio.mixture
        kinds = rng.choices(list(mixture), list(mixture.values()), k=self.audio.documents_per_step)
        found = []
        for kind in mixture:
            count, pairs = kinds.count(kind), 0
            if kind in SWAPPED_KINDS:
                pairs = round(count * self.audio.swapped_share / 2)
            drawn = [self._drawn(rng, kind) for _ in range(count - 2 * pairs)]
            found += [self.collate(drawn)] if drawn else []
            swapped = [one for _ in range(pairs) for one in self._swapped(rng)]
            if swapped:
                layer = rng.choice(self.recipe.planted_layers)
                by_words = step >= self.recipe.steps - self.audio.word_steps
                found.append(replace(self.collate(swapped, layer), by_words=by_words))
        return found

    def encoder_step(self, step: int) -> WindowBatch:
        """The sounds of a step in which the encoder learns alone."""
        rng = random.Random(f"encoder:{self.seed}:{step}")
        sounds = [self.heard.any(rng) for _ in range(self.audio.sounds_per_encoder_step)]
        planted = [
            (content * self.layout.count + window, token, weight)
            for content, sound in enumerate(sounds)
            for window, held in enumerate(self.windows(sound))
            for token, weight in held
        ]
        window, token, weight = zip(*planted, strict=True)
        return WindowBatch(
            torch.tensor(sounds), torch.tensor(window), torch.tensor(token), torch.tensor(weight)
        )

    def collate(self, drawn: Sequence[tuple[int, SoundDocument]], swapped_after: int = 0) -> SoundBatch:
        """One padded batch of documents, each with its sound.

        swapped_after: the layer after which the sounds of two neighbours are swapped.
        """
        placed = []
        for sound, document in drawn:
            ids, offsets = self.encode(document.document.text, document.answer)
            empty: list[list[tuple[int, float]]] = [[]] * self.layout.count
            planted = self.recipe.planted_layers and not document.swapped
            held = self.windows(sound) if planted else empty
            swapped = range(self.layout.count) if document.swapped else ()
            first = ids.index(self._feature)
            placed.append(Placed(document.document, ids, offsets, document.answer, first, held, swapped))
        batch, swap = collate(self.text, placed, swapped_after)
        return SoundBatch(batch, torch.tensor([sound for sound, _ in drawn]), swap)

    def encode(self, text: str, answer: int) -> tuple[list[int], list[tuple[int, int]]]:
        """ids and offsets without the start token; every window of the sound has the one character's offset.

        The text before the sound and the text after it are tokenized each by itself, marks included, as the ear says.
        """
        at = text.index(SOUND)
        ids, offsets = list[int](), list[tuple[int, int]]()

        def write(piece: str, begin: int, low: int, high: int) -> None:
            """piece: written for text[low:high], whose first character lies at `begin` of the whole text."""
            encoding = self.text.tokenizer.backend_tokenizer.encode(piece, add_special_tokens=False)
            ids.extend(encoding.ids)
            for one, other in encoding.offsets:
                offsets.append((min(max(begin + one, low), high), min(max(begin + other, low), high)))

        write(text[:at] + self.layout.before, 0, 0, at)
        ids += [self._feature] * self.layout.count
        offsets += [(at, at + 1)] * self.layout.count
        write(self.layout.after + text[at + 1 : answer], at + 1 - len(self.layout.after), at + 1, answer)
        write(text[answer:], answer, answer, len(text))
        return ids, offsets

    def windows(self, sound: int) -> list[list[tuple[int, float]]]:
        """For each window, the planted (token, share)s: the animals in whose time it lies, by how much."""
        found = []
        for start, end in self.layout.seconds:
            shared = [
                (animal, max(0.0, min(end, until) - max(start, since)))
                for animal, (since, until) in zip(
                    self.heard.events[sound], self.heard.spans[sound], strict=True
                )
            ]
            total = sum(share for _, share in shared)
            words = tuple((animal, share / total) for animal, share in shared if share)
            found.append(weighted(self.text, words, WINDOW_WEIGHT, self._own))
        return found

    def _drawn(self, rng: random.Random, kind: str) -> tuple[int, SoundDocument]:
        sound = self.heard.alone(rng) if kind in ALONE_KINDS else self.heard.any(rng)
        return sound, SOUND_KINDS[kind](rng, self.heard.events[sound])

    def _swapped(self, rng: random.Random) -> list[tuple[int, SoundDocument]]:
        """A mammal's question and another's."""
        sounds = [self.heard.alone(rng, mammal) for mammal in (True, False)]
        documents = swapped_questions(rng, *(self.heard.events[sound] for sound in sounds))
        return list(zip(sounds, documents, strict=True))


def own_tokens(tokenizer: PreTrainedTokenizerFast) -> dict[str, int]:
    """word -> its token in the words that no text has."""
    return own_words(tokenizer, OWN_WORDS)
