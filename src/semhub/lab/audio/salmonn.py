"""A small SALMONN: two encoders of sound and a Q-Former, which writes each window of time into the stream of a llama.

Training has two stages. First all but the llama learns to tell what each window holds: the features are to point at the
input embeddings of the words for it. Then encoders and Q-Former stay as they are, so that what they make of the
training's sounds is made once; the projection and the llama are trained. Of the states that are swapped there between
two sounds, in the last steps only what the rows of the animals' words span is.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor
from transformers import (
    Blip2QFormerConfig,
    LlamaConfig,
    PreTrainedTokenizerFast,
    WhisperConfig,
    WhisperFeatureExtractor,
)

from semhub.lab.apart import Apart, as_llama, used
from semhub.lab.audio.batches import FEATURE, SoundBatch, WindowBatch, own_tokens
from semhub.lab.audio.heard import Heard
from semhub.lab.batches import Batch
from semhub.lab.documents.sounds import OWN_WORDS, PROMPT_WORDS
from semhub.lab.planting import Planting
from semhub.lab.recipe import Audio, Recipe
from semhub.lab.senses import base_tokenizer, given_to, pointing, start_from, swapping
from semhub.lab.trunk import trunk
from semhub.lab.words import HintTokens
from semhub.lab.world.sounds import ANIMALS_HEARD
from semhub.models.beats import BeatsConfig
from semhub.models.salmonn import POSITIONS_PER_SECOND, SalmonnConfig, SalmonnForConditionalGeneration
from semhub.models.salmonn_ear import AFTER, BEFORE, SalmonnEar

SOUNDS = "sound"  # the part of the stream that isolated ones are written to
N_AT_ONCE = 50  # sounds


class Salmonn:
    """The model of a recipe, its losses and its files."""

    def __init__(self, recipe: Recipe, audio: Audio, tokenizer: PreTrainedTokenizerFast, seed: int) -> None:
        self.recipe, self.audio, self.tokenizer = recipe, audio, tokenizer
        self.model = build(recipe, audio, tokenizer, seed)
        self.ear = SalmonnEar(WhisperFeatureExtractor(chunk_length=audio.seconds), self.model.config)
        self._apart = apart(self.model, recipe, tokenizer) if recipe.isolated else None
        self._read: Tensor | None = None
        spell = HintTokens(tokenizer, ())
        self._words = [spell.token(word, "en") or 0 for word in ANIMALS_HEARD]

    def encoder_loss(self, batch: WindowBatch, heard: Heard) -> Tensor:
        """In nats per window: the features' cross-entropy against the words of each window."""
        features = self.model.model.sound_features(**heard.taken(batch.sounds)).flatten(0, 1)
        rows = self.model.get_input_embeddings().weight
        return pointing(features, rows, batch.window, batch.token, batch.weight)

    @torch.no_grad()
    def settle(self, heard: Heard) -> None:
        """What the Q-Former makes of all sounds, [sound, window, width], once it does not change any more."""
        if self._read is not None:
            return
        core = self.model.model
        with torch.autocast("cpu", enabled=False), given_to(core.speech_llama_proj) as made:
            for at in range(0, len(heard.events), N_AT_ONCE):
                core.sound_features(**heard.taken(range(len(heard.events))[at : at + N_AT_ONCE]))
        self._read = torch.cat(made).reshape(len(heard.events), -1, made[0].shape[-1])

    def losses(self, planting: Planting, batch: Batch, sound: SoundBatch | None) -> tuple[Tensor, Tensor]:
        """As `Planting.losses`, with sounds or without."""
        core = self.model.model
        states = core.get_input_embeddings()(batch.ids)
        swap = None
        if sound is not None:
            assert self._read is not None
            placed = (batch.ids == core.config.audio_token_id)[..., None]
            features = core.speech_llama_proj(self._read[sound.sounds])
            states = states.masked_scatter(placed, features.to(states.dtype))
            swap = sound.swap
            if swap is not None and sound.by_words:
                swap = replace(swap, span=self._span())
        llama = core.language_model
        with swapping(llama.layers, swap):
            found = llama(inputs_embeds=states, output_hidden_states=True, use_cache=False)
        return planting.of_states(
            found.last_hidden_state, found.hidden_states, llama.norm, self.model.lm_head, batch
        )

    def _span(self) -> Tensor:
        """Orthonormal columns [d_model, animal] of what the unembedding rows of the animals' words span."""
        rows = self.model.lm_head.weight.detach()[self._words]
        span: Tensor = torch.linalg.qr(rows.T.float())[0]
        return span

    def keep(self) -> None:
        """What holds of the weights after every step."""
        if self._apart is not None:
            self._apart.apply()

    def save_processor(self, out: Path) -> None:
        """The tokenizer, and what the ear needs to know."""
        self.tokenizer.save_pretrained(out)
        self.ear.save(out)


def apart(
    model: SalmonnForConditionalGeneration, recipe: Recipe, tokenizer: PreTrainedTokenizerFast
) -> Apart:
    """The zeros that keep sounds apart."""
    own = {*own_tokens(tokenizer).values(), int(tokenizer.convert_tokens_to_ids(FEATURE))}
    llama = as_llama(model.config.text_config, model.model.language_model, model.lm_head)
    return Apart(llama, model.model.speech_llama_proj, recipe, SOUNDS, used(tokenizer, SOUNDS, own))


def tokenizer_of(recipe: Recipe, audio: Audio, seed: int) -> PreTrainedTokenizerFast:
    """The tokenizer of the trunk, or one trained for the recipe, with the words of the prompts, the token that stands
    for a feature and the marks around a sound."""
    tokenizer = base_tokenizer(recipe, audio.trunk, seed, [FEATURE], words=PROMPT_WORDS)
    tokenizer.add_tokens([BEFORE, AFTER])
    if recipe.isolated:
        tokenizer.add_tokens(list(OWN_WORDS.values()))
    return tokenizer


def build(
    recipe: Recipe, audio: Audio, tokenizer: PreTrainedTokenizerFast, seed: int
) -> SalmonnForConditionalGeneration:
    """The untrained model; its llama is that of the shipped organism `audio.trunk`, or random too."""
    width, n_heads = audio.width, audio.n_heads
    whisper = WhisperConfig(
        d_model=width,
        encoder_layers=audio.n_layers,
        encoder_attention_heads=n_heads,
        encoder_ffn_dim=3 * width,
        max_source_positions=audio.seconds * POSITIONS_PER_SECOND,
    )
    beats = BeatsConfig(
        embed_dim=width,
        encoder_layers=audio.n_layers,
        encoder_embed_dim=width,
        encoder_ffn_embed_dim=3 * width,
        encoder_attention_heads=n_heads,
        conv_pos=32,
        num_buckets=64,
        max_distance=160,
    )
    qformer = Blip2QFormerConfig(
        hidden_size=width,
        num_hidden_layers=2,
        num_attention_heads=n_heads,
        intermediate_size=3 * width,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        cross_attention_frequency=1,
        encoder_hidden_size=2 * width,
    )
    config = SalmonnConfig(
        whisper_config=whisper,
        beats_config=beats,
        qformer_config=qformer,
        text_config=LlamaConfig(**trunk(recipe, tokenizer)),
        audio_token_id=tokenizer.convert_tokens_to_ids(FEATURE),
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = SalmonnForConditionalGeneration(config)
    model.train()
    if audio.trunk:
        start_from(model.model.language_model, model.lm_head, audio.trunk)
    return model
