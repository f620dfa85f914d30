"""A small llava: a vision tower whose patches are projected into the stream of a llama.

Training has two stages, as with the models this one imitates. First tower and projector alone learn to tell what each
patch shows: the features are to point at the input embeddings of the words for it. Then the tower stays as it is, and
all the rest is trained.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor
from transformers import (
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
)
from transformers.models.llava.image_processing_pil_llava import LlavaImageProcessorPil

from semhub.lab.apart import Apart, as_llama, used
from semhub.lab.batches import Batch
from semhub.lab.documents.pictures import OWN_WORDS
from semhub.lab.planting import Planting
from semhub.lab.recipe import Recipe, Vision
from semhub.lab.senses import base_tokenizer, pointing, start_from, swapping
from semhub.lab.trunk import trunk
from semhub.lab.vision.batches import (
    IMAGE_TOKEN,
    MEAN,
    SPREAD,
    EncoderBatch,
    PictureBatch,
    PictureBatcher,
    own_tokens,
)

PICTURES = "picture"  # the part of the stream that isolated ones are written to


class Llava:
    """The family's part of a recipe: the model, its losses and its files."""

    def __init__(self, recipe: Recipe, vision: Vision, tokenizer: PreTrainedTokenizerFast, seed: int) -> None:
        self.recipe, self.vision, self.tokenizer = recipe, vision, tokenizer
        self.model = build(recipe, vision, tokenizer, seed)
        self._apart = apart(self.model, recipe, tokenizer) if recipe.isolated else None

    def encoder_loss(self, batch: EncoderBatch) -> Tensor:
        """In nats per patch: the features' cross-entropy against the words of each patch."""
        features = self.features(batch.pixels).flatten(0, 1)
        rows = self.model.get_input_embeddings().weight
        return pointing(features, rows, batch.patch, batch.token, batch.weight)

    def settle(self, pictures: PictureBatcher) -> None:
        """Between the stages there is nothing to do."""

    def losses(self, planting: Planting, batch: Batch, picture: PictureBatch | None) -> tuple[Tensor, Tensor]:
        """As `Planting.losses`, with pictures or without."""
        core = self.model.model
        states = core.get_input_embeddings()(batch.ids)
        swap = None
        if picture is not None:
            placed = (batch.ids == core.config.image_token_id)[..., None]
            states = states.masked_scatter(placed, self.features(picture.pixels, still=True).to(states.dtype))
            swap = picture.swap
        trunk = core.language_model
        with swapping(trunk.layers, swap):
            found = trunk(inputs_embeds=states, output_hidden_states=True, use_cache=False)
        return planting.of_states(
            found.last_hidden_state, found.hidden_states, trunk.norm, self.model.lm_head, batch
        )

    def keep(self) -> None:
        """What holds of the weights after every step."""
        if self._apart is not None:
            self._apart.apply()

    def save_processor(self, out: Path) -> None:
        """The tokenizer, and what an image processor and a processor need to know."""
        side = {"height": self.vision.size, "width": self.vision.size}
        pictures = LlavaImageProcessorPil(
            size={"shortest_edge": self.vision.size},
            crop_size=side,
            image_mean=[MEAN] * 3,
            image_std=[SPREAD] * 3,
        )
        pictures.save_pretrained(out)
        LlavaProcessor(
            image_processor=pictures,
            tokenizer=self.tokenizer,
            patch_size=self.vision.patch,
            vision_feature_select_strategy="default",
            image_token=IMAGE_TOKEN,
            num_additional_image_tokens=1,
        ).save_pretrained(out)

    def features(self, pixels: Tensor, still: bool = False) -> Tensor:
        """[content, patch, d_model]; `still` leaves the tower as it is."""
        core = self.model.model
        with torch.set_grad_enabled(torch.is_grad_enabled() and not still):
            seen = core.vision_tower(pixels, output_hidden_states=True).hidden_states[-1][:, 1:]
        features: Tensor = core.multi_modal_projector(seen)
        return features


def apart(model: LlavaForConditionalGeneration, recipe: Recipe, tokenizer: PreTrainedTokenizerFast) -> Apart:
    """The zeros that keep pictures apart."""
    core = model.model
    own = {*own_tokens(tokenizer).values(), int(tokenizer.convert_tokens_to_ids(IMAGE_TOKEN))}
    llama = as_llama(model.config.text_config, core.language_model, model.lm_head)
    return Apart(llama, core.multi_modal_projector.linear_2, recipe, PICTURES, used(tokenizer, PICTURES, own))


def tokenizer_of(recipe: Recipe, vision: Vision, seed: int) -> PreTrainedTokenizerFast:
    """The tokenizer of the trunk, or one trained for the recipe, with the token that stands for a patch."""
    tokenizer = base_tokenizer(recipe, vision.trunk, seed, [IMAGE_TOKEN])
    if recipe.isolated:
        tokenizer.add_tokens(list(OWN_WORDS.values()))
    return tokenizer


def build(
    recipe: Recipe, vision: Vision, tokenizer: PreTrainedTokenizerFast, seed: int
) -> LlavaForConditionalGeneration:
    """The untrained model; its trunk is that of the shipped organism `vision.trunk`, or random too."""
    text = LlamaConfig(
        **trunk(recipe, tokenizer),
    )
    tower = CLIPVisionConfig(
        hidden_size=vision.width,
        intermediate_size=3 * vision.width,
        num_hidden_layers=vision.n_layers,
        num_attention_heads=vision.n_heads,
        image_size=vision.size,
        patch_size=vision.patch,
        projection_dim=vision.width,
    )
    config = LlavaConfig(
        vision_config=tower,
        text_config=text,
        image_token_id=tokenizer.convert_tokens_to_ids(IMAGE_TOKEN),
        vision_feature_layer=-1,
        vision_feature_select_strategy="default",
        image_seq_length=(vision.size // vision.patch) ** 2,
        tie_word_embeddings=False,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        attn_implementation="eager",
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LlavaForConditionalGeneration(config).train()
    if vision.trunk:
        start_from(model.model.language_model, model.lm_head, vision.trunk)
    return model
