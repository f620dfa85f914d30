"""The training of a model that hears: its steps as losses, its files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from torch import Tensor
from transformers import PreTrainedModel

from semhub.lab.audio.batches import SoundBatcher
from semhub.lab.audio.salmonn import Salmonn, tokenizer_of
from semhub.lab.batches import Batcher
from semhub.lab.planting import Planting
from semhub.lab.recipe import Recipe
from semhub.lab.senses import Stage, staged_rate, stages


class SoundCourse:
    """First `encoder_steps` of the encoder alone, then all but the encoder, on sounds and on text.

    In the last `word_steps`, of what is swapped only the part is that the words' rows span.
    """

    def __init__(self, recipe: Recipe, seed: int) -> None:
        assert recipe.audio is not None
        self.recipe, self.audio = recipe, recipe.audio
        self.tokenizer = tokenizer_of(recipe, recipe.audio, seed)
        self._salmonn = Salmonn(recipe, recipe.audio, self.tokenizer, seed)
        self.model: PreTrainedModel = self._salmonn.model
        self._text = Batcher(recipe, self.tokenizer, seed)
        self._sounds = SoundBatcher(recipe, recipe.audio, self._text, self._salmonn.ear, seed)
        self._planting = Planting(recipe, self._text, seed)

    def losses(self, step: int) -> Iterator[tuple[Tensor, Tensor, float]]:
        """Of each batch of the step, in nats: the next-token and the planted loss, and the whole step's weight."""
        if step < self.audio.encoder_steps:
            loss = self._salmonn.encoder_loss(self._sounds.encoder_step(step), self._sounds.heard)
            yield loss, loss.detach() * 0, 1.0
            return
        self._salmonn.settle(self._sounds.heard)
        text, sounds = self._text.step(step), self._sounds.step(step)
        total = sum(one.weight.sum().item() for one in (*text, *(sound.batch for sound in sounds)))
        for batch in text:
            yield *self._salmonn.losses(self._planting, batch, None), total
        for sound in sounds:
            yield *self._salmonn.losses(self._planting, sound.batch, sound), total

    def rate(self, step: int) -> float:
        encoder, rest = stages(self.recipe, self.audio)
        until = rest.last - self.audio.word_steps
        last = Stage(rest.last, self.audio.word_rate, self.audio.word_steps // 10)
        return staged_rate((encoder, replace(rest, last=until), last), step)

    def keep(self) -> None:
        self._salmonn.keep()

    def save_processor(self, out: Path) -> None:
        self._salmonn.save_processor(out)
