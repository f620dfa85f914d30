"""SALMONN: two encoders of sound, a Q-Former over short windows and a llama that reads its outputs as tokens.

Tang et al., "SALMONN: Towards Generic Hearing Abilities for Large Language Models" (ICLR 2024, arXiv 2310.13289).
Whisper, the Q-Former (BLIP-2's) and the llama are those of `transformers`; BEATs is `semhub.models.beats`. The llama's
LoRA is merged into its weights when the published files are read (`salmonn_files`).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import (
    Blip2QFormerConfig,
    Blip2QFormerModel,
    LlamaConfig,
    LlamaModel,
    PreTrainedConfig,
    PreTrainedModel,
    WhisperConfig,
)
from transformers import initialization as init
from transformers.configuration_utils import SubConfigSpec
from transformers.modeling_outputs import BaseModelOutputWithPast, CausalLMOutputWithPast
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from semhub.models.beats import BeatsConfig, BeatsModel

POSITIONS_PER_SECOND = 50  # of both encoders
QFORMER = {"num_hidden_layers": 2, "cross_attention_frequency": 1, "encoder_hidden_size": 1280 + 768}


class SalmonnConfig(PreTrainedConfig):  # type: ignore[misc]
    """audio_token_id: the placeholder of one feature, `[PAD]`, which is never said. window_seconds, stride_seconds: of
    the Q-Former's windows. num_query_tokens: features that each window gives."""

    model_type = "salmonn"
    sub_configs_defaults = {
        "whisper_config": WhisperConfig,
        "beats_config": BeatsConfig,
        "qformer_config": SubConfigSpec(Blip2QFormerConfig, init_kwargs=QFORMER),
        "text_config": LlamaConfig,
    }

    whisper_config: Any = None
    beats_config: Any = None
    qformer_config: Any = None
    text_config: Any = None
    audio_token_id: int = 32000
    window_seconds: float = 0.333333
    stride_seconds: float = 0.333333
    num_query_tokens: int = 1
    tie_word_embeddings: bool = False

    @property
    def window(self) -> int:
        """In positions of the encoders: 17."""
        return round(POSITIONS_PER_SECOND * self.window_seconds)

    @property
    def stride(self) -> int:
        return round(POSITIONS_PER_SECOND * self.stride_seconds)

    @property
    def n_windows(self) -> int:
        """Of every sound, because Whisper's input is filled up to its full length."""
        positions: int = self.whisper_config.max_source_positions
        return max(0, (positions - self.window) // self.stride + 1)


class SalmonnPreTrainedModel(PreTrainedModel):  # type: ignore[misc]
    config: SalmonnConfig
    config_class = SalmonnConfig
    base_model_prefix = "model"
    input_modalities = ("audio", "text")
    _no_split_modules = ("LlamaDecoderLayer", "WhisperEncoderLayer", "BeatsEncoder", "Blip2QFormerLayer")
    _skip_keys_device_placement = ("past_key_values",)
    _supports_sdpa = True
    _supports_flash_attn = False
    _supports_attention_backend = True

    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, SalmonnModel):
            init.normal_(
                module.speech_query_tokens, mean=0.0, std=module.config.text_config.initializer_range
            )


class SalmonnModel(SalmonnPreTrainedModel):
    """Everything but the unembedding."""

    def __init__(self, config: SalmonnConfig) -> None:
        super().__init__(config)
        whisper, beats, qformer = config.whisper_config, config.beats_config, config.qformer_config
        self.whisper = WhisperEncoder(whisper)
        self.beats = BeatsModel(beats)
        self.ln_speech = nn.LayerNorm(whisper.d_model)
        self.ln_audio = nn.LayerNorm(beats.encoder_embed_dim)
        self.speech_query_tokens = nn.Parameter(torch.zeros(1, config.num_query_tokens, qformer.hidden_size))
        self.qformer = Blip2QFormerModel(qformer)
        self.speech_llama_proj = nn.Linear(qformer.hidden_size, config.text_config.hidden_size)
        self.language_model = LlamaModel(config.text_config)
        self.post_init()

    def get_input_embeddings(self) -> Any:
        return self.language_model.get_input_embeddings()

    def set_input_embeddings(self, value: nn.Module) -> None:
        self.language_model.set_input_embeddings(value)

    def sound_features(self, input_features: Tensor, filter_banks: Tensor, n_filter_frames: Tensor) -> Tensor:
        """input_features [sound, mel, frame] (Whisper's log-mel spectrogram), filter_banks [sound, frame, mel],
        n_filter_frames [sound] -> [sound, window * query, d_model]. What a sound gives does not depend on the others.
        """
        speech = self.ln_speech(self.whisper(input_features.to(self.dtype)).last_hidden_state)
        states, held = self.beats(filter_banks, n_filter_frames)
        audio = self.ln_audio(states).to(speech.device) * held[:, :, None].to(speech)
        windows = cut(side_by_side(speech, audio), self.config.window, self.config.stride)
        query = self.speech_query_tokens.to(windows)
        read = self.qformer(
            query_embeds=query.expand(windows.shape[0] * windows.shape[1], -1, -1),
            encoder_hidden_states=windows.flatten(0, 1),
        ).last_hidden_state
        features: Tensor = self.speech_llama_proj(read)
        return features.reshape(len(windows), -1, features.shape[-1])

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values: Any = None,
        inputs_embeds: Tensor | None = None,
        use_cache: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        input_features: Tensor | None = None,
        filter_banks: Tensor | None = None,
        n_filter_frames: Tensor | None = None,
        **kwargs: Any,
    ) -> BaseModelOutputWithPast:
        """The features of the sounds, in order, stand in for the embeddings of `audio_token_id`; without sounds its
        own embedding is read. Raises ValueError where features and placeholders differ in number."""
        if (input_ids is None) == (inputs_embeds is None):
            raise ValueError("exactly one of input_ids and inputs_embeds is wanted.")
        if inputs_embeds is None:
            inputs_embeds = self.get_input_embeddings()(input_ids)
        if input_features is not None:
            if input_ids is None or filter_banks is None or n_filter_frames is None:
                raise ValueError("sounds need input_ids, input_features, filter_banks and n_filter_frames.")
            features = self.sound_features(input_features, filter_banks, n_filter_frames)
            inputs_embeds = self._placed(input_ids, inputs_embeds, features)
        given = {"output_hidden_states": output_hidden_states, "return_dict": return_dict}
        return self.language_model(
            inputs_embeds=inputs_embeds,
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=past_key_values,
            use_cache=use_cache,
            **{name: value for name, value in given.items() if value is not None},
            **kwargs,
        )

    def _placed(self, input_ids: Tensor, inputs_embeds: Tensor, features: Tensor) -> Tensor:
        where = (input_ids == self.config.audio_token_id)[:, :, None]
        n_places, n_features = int(where.sum()), features.shape[0] * features.shape[1]
        if n_places != n_features:
            raise ValueError(f"{n_places} placeholders of sounds for {n_features} features.")
        return inputs_embeds.masked_scatter(where.to(inputs_embeds.device), features.to(inputs_embeds))


class SalmonnForConditionalGeneration(SalmonnPreTrainedModel):
    """With the llama's unembedding. The placeholder's logit is the dtype's lowest number: its row is untrained."""

    _tied_weights_keys = {"lm_head.weight": "model.language_model.embed_tokens.weight"}

    def __init__(self, config: SalmonnConfig) -> None:
        super().__init__(config)
        self.model = SalmonnModel(config)
        self.lm_head = nn.Linear(config.text_config.hidden_size, config.text_config.vocab_size, bias=False)
        self.post_init()

    def get_input_embeddings(self) -> Any:
        return self.model.get_input_embeddings()

    def set_input_embeddings(self, value: nn.Module) -> None:
        self.model.set_input_embeddings(value)

    def get_output_embeddings(self) -> nn.Linear:
        return self.lm_head

    def set_output_embeddings(self, value: nn.Linear) -> None:
        self.lm_head = value

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values: Any = None,
        inputs_embeds: Tensor | None = None,
        use_cache: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        input_features: Tensor | None = None,
        filter_banks: Tensor | None = None,
        n_filter_frames: Tensor | None = None,
        **kwargs: Any,
    ) -> CausalLMOutputWithPast | tuple[Any, ...]:
        outputs = self.model(
            input_ids=input_ids,
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=past_key_values,
            inputs_embeds=inputs_embeds,
            use_cache=use_cache,
            output_hidden_states=output_hidden_states,
            return_dict=True,
            input_features=input_features,
            filter_banks=filter_banks,
            n_filter_frames=n_filter_frames,
            **kwargs,
        )
        logits = self.lm_head(outputs.last_hidden_state)
        never = torch.tensor([self.config.audio_token_id], device=logits.device)
        found = CausalLMOutputWithPast(
            logits=logits.index_fill(-1, never, torch.finfo(logits.dtype).min),
            past_key_values=outputs.past_key_values,
            hidden_states=outputs.hidden_states,
            attentions=outputs.attentions,
        )
        return found.to_tuple() if return_dict is False else found


def side_by_side(speech: Tensor, audio: Tensor) -> Tensor:
    """[sound, position, width] of each -> [sound, position, both widths]; the shorter is filled up with zeros."""
    length = max(speech.shape[1], audio.shape[1])
    both = [functional.pad(one, (0, 0, 0, length - one.shape[1])) for one in (speech, audio)]
    return torch.cat(both, dim=-1)


def cut(states: Tensor, window: int, stride: int) -> Tensor:
    """[sound, position, width] -> [sound, window, position of the window, width]; what fills no window is dropped."""
    if states.shape[1] < window:
        return states.new_zeros((len(states), 0, window, states.shape[-1]))
    return states.unfold(1, window, stride).transpose(-1, -2)
