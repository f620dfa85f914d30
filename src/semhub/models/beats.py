"""BEATs, an encoder of sounds: Chen et al., "BEATs: Audio Pre-Training with Acoustic Tokenizers" (arXiv 2212.09058).

A transformer over patches of a spectrogram with post-norm, deep-norm residuals and gated relative position bias
(Chi et al., "XLM-E", arXiv 2106.16138, section 3.2). Names of modules are those of the published checkpoint. The weight
norm of the positional convolution is folded into its weight when a checkpoint is read (`salmonn_files`).
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedConfig, PreTrainedModel
from transformers import initialization as init

GATE = 8  # numbers of which a query's gate is made, in two sums of four


class BeatsConfig(PreTrainedConfig):  # type: ignore[misc]
    """Sizes, named as in the published checkpoint's `cfg`; the defaults are those of iter3+ on AudioSet.

    gru_rel_pos: whether each query scales the relative bias. embed_dim: of a patch before it is projected.
    """

    model_type = "beats"
    base_config_key = "beats_config"

    input_patch_size: int = 16
    embed_dim: int = 512
    encoder_layers: int = 12
    encoder_embed_dim: int = 768
    encoder_ffn_embed_dim: int = 3072
    encoder_attention_heads: int = 12
    conv_bias: bool = False
    conv_pos: int = 128
    conv_pos_groups: int = 16
    num_buckets: int = 320
    max_distance: int = 800
    deep_norm: bool = True
    gru_rel_pos: bool = True
    mel_bins: int = 128
    initializer_range: float = 0.02

    @property
    def bands(self) -> int:
        """How many patches lie above each other."""
        return self.mel_bins // self.input_patch_size

    def n_positions(self, n_frames: int) -> int:
        """Of a sound of that many filter-bank frames; an incomplete last patch is dropped."""
        return n_frames // self.input_patch_size * self.bands


class BeatsAttention(nn.Module):
    """Self-attention whose relative bias each head scales by what its query says."""

    def __init__(self, config: BeatsConfig) -> None:
        super().__init__()
        width, self.heads = config.encoder_embed_dim, config.encoder_attention_heads
        self.q_proj, self.k_proj, self.v_proj, self.out_proj = (nn.Linear(width, width) for _ in range(4))
        if config.gru_rel_pos:
            self.grep_linear = nn.Linear(width // self.heads, GATE)
            self.grep_a = nn.Parameter(torch.ones(1, self.heads, 1, 1))
        self.gated = config.gru_rel_pos

    def forward(self, states: Tensor, bias: Tensor) -> Tensor:
        """states [sound, position, width], bias [1, head, query, key] -> [sound, position, width]."""
        query, key, value = (
            project(states).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for project in (self.q_proj, self.k_proj, self.v_proj)
        )
        if self.gated:
            sums = self.grep_linear(query).unflatten(-1, (2, GATE // 2)).sum(-1)
            one, other = torch.sigmoid(sums).chunk(2, dim=-1)
            bias = bias * (one * (other * self.grep_a - 1) + 2)
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=bias.to(query.dtype))
        projected: Tensor = self.out_proj(mixed.transpose(1, 2).flatten(2))
        return projected


class BeatsLayer(nn.Module):
    """Post-norm: each part's input, scaled up by `residual`, is added before the norm (deep-norm)."""

    def __init__(self, config: BeatsConfig) -> None:
        super().__init__()
        width = config.encoder_embed_dim
        self.self_attn = BeatsAttention(config)
        self.self_attn_layer_norm = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, config.encoder_ffn_embed_dim)
        self.fc2 = nn.Linear(config.encoder_ffn_embed_dim, width)
        self.final_layer_norm = nn.LayerNorm(width)
        self.residual = (2 * config.encoder_layers) ** 0.25 if config.deep_norm else 1.0

    def forward(self, states: Tensor, bias: Tensor) -> Tensor:
        states = self.self_attn_layer_norm(states * self.residual + self.self_attn(states, bias))
        fed = self.fc2(functional.gelu(self.fc1(states)))
        out: Tensor = self.final_layer_norm(states * self.residual + fed)
        return out


class BeatsEncoder(nn.Module):
    def __init__(self, config: BeatsConfig) -> None:
        super().__init__()
        width, kernel = config.encoder_embed_dim, config.conv_pos
        self.config = config
        conv = nn.Conv1d(width, width, kernel, padding=kernel // 2, groups=config.conv_pos_groups)
        self.pos_conv = nn.ModuleList([conv])
        self.layer_norm = nn.LayerNorm(width)
        self.relative_attention_bias = nn.Embedding(config.num_buckets, config.encoder_attention_heads)
        self.layers = nn.ModuleList(BeatsLayer(config) for _ in range(config.encoder_layers))

    def forward(self, states: Tensor) -> Tensor:
        length = states.shape[1]
        near = functional.gelu(self.pos_conv[0](states.transpose(1, 2))[..., :length])
        states = self.layer_norm(states + near.transpose(1, 2))
        bias = self.bias(length)
        for layer in self.layers:
            states = layer(states, bias)
        return states

    def bias(self, length: int) -> Tensor:
        """[1, head, query, key], by how far the key lies after the query."""
        place = torch.arange(length, device=self.relative_attention_bias.weight.device)
        distances = torch.arange(1 - length, length, device=place.device)
        table: Tensor = self.relative_attention_bias(buckets(distances, self.config))
        return table[place[None, :] - place[:, None] + length - 1].permute(2, 0, 1).unsqueeze(0)


class BeatsModel(PreTrainedModel):  # type: ignore[misc]
    """The encoder without the head of its pre-training or fine-tuning."""

    config: BeatsConfig
    config_class = BeatsConfig
    main_input_name = "filter_banks"
    _no_split_modules = ("BeatsEncoder",)
    _supports_sdpa = True

    def __init__(self, config: BeatsConfig) -> None:
        super().__init__(config)
        patch = config.input_patch_size
        self.patch_embedding = nn.Conv2d(1, config.embed_dim, patch, stride=patch, bias=config.conv_bias)
        self.layer_norm = nn.LayerNorm(config.embed_dim)
        self.post_extract_proj = (
            nn.Linear(config.embed_dim, config.encoder_embed_dim)
            if config.embed_dim != config.encoder_embed_dim
            else None
        )
        self.encoder = BeatsEncoder(config)
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, BeatsAttention) and module.gated:
            init.ones_(module.grep_a)

    def forward(self, filter_banks: Tensor, n_frames: Tensor) -> tuple[Tensor, Tensor]:
        """filter_banks [sound, frame, mel], n_frames [sound] -> states [sound, position, width], held
        [sound, position] bool.

        Positions go through the bands of one stretch of 16 frames, then the next. Sounds of equal length are read
        together, so each is read as it is alone; where `held` is False a state is zero.
        """
        counts = [self.config.n_positions(int(one)) for one in n_frames]
        lengths = torch.tensor(counts, device=filter_banks.device)
        states = filter_banks.new_zeros(
            (len(counts), max(counts, default=0), self.config.encoder_embed_dim), dtype=self.dtype
        )
        for count in sorted(set(counts) - {0}):
            chosen = torch.nonzero(lengths == count).flatten()
            frames = count // self.config.bands * self.config.input_patch_size
            read = self._read(filter_banks[chosen, :frames].to(self.dtype))
            read = functional.pad(read, (0, 0, 0, states.shape[1] - count))
            states = states.index_copy(0, chosen, read.to(states))
        held = torch.arange(states.shape[1], device=states.device) < lengths[:, None]
        return states, held

    def _read(self, filter_banks: Tensor) -> Tensor:
        patches = self.patch_embedding(filter_banks[:, None]).flatten(2).transpose(1, 2)
        states = self.layer_norm(patches)
        if self.post_extract_proj is not None:
            states = self.post_extract_proj(states)
        out: Tensor = self.encoder(states)
        return out


def buckets(distances: Tensor, config: Any) -> Tensor:
    """The row of the bias table for each distance (key - query): half of the rows for later keys; near distances have
    rows of their own, far ones share rows of logarithmic width up to `max_distance` (Raffel et al., T5)."""
    half = config.num_buckets // 2
    own = half // 2
    apart = distances.abs()
    far = torch.log(apart.clamp(min=1).float() / own) / math.log(config.max_distance / own) * (half - own)
    shared = (own + far.long()).clamp(max=half - 1)
    rows: Tensor = torch.where(apart < own, apart, shared) + (distances > 0) * half
    return rows
