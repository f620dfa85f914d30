"""The training of a model that takes pictures: its steps as losses, its files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from torch import Tensor
from transformers import PreTrainedModel

from semhub.lab.batches import Batcher
from semhub.lab.planting import Planting
from semhub.lab.recipe import Recipe
from semhub.lab.senses import staged_rate, stages
from semhub.lab.vision import chameleon, llava
from semhub.lab.vision.batches import PictureBatcher


class PictureCourse:
    """First `encoder_steps` of the encoder alone, then all of it, on pictures and on text."""

    def __init__(self, recipe: Recipe, seed: int) -> None:
        assert recipe.vision is not None
        self.recipe, self.vision = recipe, recipe.vision
        self._family: llava.Llava | chameleon.Chameleon
        if recipe.vision.family == "llava":
            self.tokenizer = llava.tokenizer_of(recipe, recipe.vision, seed)
            self._family = llava.Llava(recipe, recipe.vision, self.tokenizer, seed)
        else:
            self.tokenizer = chameleon.tokenizer_of(recipe, recipe.vision, seed)
            self._family = chameleon.Chameleon(recipe, recipe.vision, self.tokenizer, seed)
        self.model: PreTrainedModel = self._family.model
        self._text = Batcher(recipe, self.tokenizer, seed)
        self._pictures = PictureBatcher(recipe, recipe.vision, self._text, seed)
        self._planting = Planting(recipe, self._text, seed)

    def losses(self, step: int) -> Iterator[tuple[Tensor, Tensor, float]]:
        """Of each batch of the step, in nats: the next-token and the planted loss, and the whole step's weight."""
        if step < self.vision.encoder_steps:
            loss = self._family.encoder_loss(self._pictures.encoder_step(step))
            yield loss, loss.detach() * 0, 1.0
            return
        if step == self.vision.encoder_steps:
            self._family.settle(self._pictures)
        text, pictures = self._text.step(step), self._pictures.step(step)
        total = sum(one.weight.sum().item() for one in (*text, *(picture.batch for picture in pictures)))
        for batch in text:
            yield *self._family.losses(self._planting, batch, None), total
        for picture in pictures:
            yield *self._family.losses(self._planting, picture.batch, picture), total

    def rate(self, step: int) -> float:
        return staged_rate(stages(self.recipe, self.vision), step)

    def keep(self) -> None:
        self._family.keep()

    def save_processor(self, out: Path) -> None:
        self._family.save_processor(out)
