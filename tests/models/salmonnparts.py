"""Tiny SALMONN checkpoints in the published layout: every name and shape written out, none taken from our model."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import sentencepiece
import torch
import yaml
from torch import Tensor
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
)

SPEECH, SOUND, QUERY, TEXT = 12, 16, 18, 24  # widths of Whisper, BEATs, the Q-Former and the llama
RANK, ALPHA, HEADS = 2, 32, 3
QUERY_INNER, BLOCKS = 28, 3
KERNEL, GROUPS, PATCH = 8, 4, 10
CFG: dict[str, Any] = {
    "activation_fn": "gelu",
    "attention_dropout": 0.0,
    "conv_bias": False,
    "conv_pos": KERNEL,
    "conv_pos_groups": GROUPS,
    "deep_norm": True,
    "dropout": 0.0,
    "embed_dim": PATCH,
    "encoder_attention_heads": 2,
    "encoder_embed_dim": SOUND,
    "encoder_ffn_embed_dim": 20,
    "encoder_layerdrop": 0.05,
    "encoder_layers": 3,
    "finetuned_model": True,
    "gru_rel_pos": True,
    "input_patch_size": 16,
    "layer_norm_first": False,
    "layer_wise_gradient_decay_ratio": 0.6,
    "max_distance": 60,
    "num_buckets": 32,
    "predictor_class": 5,
    "relative_position_embedding": True,
}
SENTENCES = [
    "The river was cold and we went home before dark.",
    "USER: <Speech></Speech> What can be heard?\nASSISTANT: a dog and then a frog",
    "Is this animal a mammal? Answer Yes or No. This represents a cow, a cat, a horse.",
]


def draw(shapes: dict[str, tuple[int, ...]], seed: int, dtype: torch.dtype) -> dict[str, Tensor]:
    """Random tensors; norms' weights about 1."""
    random = torch.Generator().manual_seed(seed)
    found = {}
    for name, shape in shapes.items():
        around = (
            1.0
            if ("norm" in name.lower() and name.endswith("weight")) or name.endswith(("_g", "grep_a"))
            else 0.0
        )
        found[name] = (torch.randn(shape, generator=random, dtype=torch.float64) * 0.3 + around).to(dtype)
    return found


def _linear(name: str, inner: int, outer: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (outer, inner), f"{name}.bias": (outer,)}


def _norm(name: str, width: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def beats_shapes() -> dict[str, tuple[int, ...]]:
    heads, inner = CFG["encoder_attention_heads"], CFG["encoder_ffn_embed_dim"]
    shapes: dict[str, tuple[int, ...]] = {
        "patch_embedding.weight": (PATCH, 1, 16, 16),
        **_norm("layer_norm", PATCH),
        **_linear("post_extract_proj", PATCH, SOUND),
        "encoder.pos_conv.0.weight_g": (1, 1, KERNEL),
        "encoder.pos_conv.0.weight_v": (SOUND, SOUND // GROUPS, KERNEL),
        "encoder.pos_conv.0.bias": (SOUND,),
        **_norm("encoder.layer_norm", SOUND),
    }
    for layer in range(CFG["encoder_layers"]):
        start = f"encoder.layers.{layer}."
        for name in "qkv":
            shapes |= _linear(f"{start}self_attn.{name}_proj", SOUND, SOUND)
        shapes |= _linear(f"{start}self_attn.out_proj", SOUND, SOUND)
        shapes |= _linear(f"{start}self_attn.grep_linear", SOUND // heads, 8)
        shapes[f"{start}self_attn.grep_a"] = (1, heads, 1, 1)
        shapes |= _norm(f"{start}self_attn_layer_norm", SOUND)
        shapes |= _linear(f"{start}fc1", SOUND, inner) | _linear(f"{start}fc2", inner, SOUND)
        shapes |= _norm(f"{start}final_layer_norm", SOUND)
    shapes |= _linear("predictor", SOUND, CFG["predictor_class"])
    return shapes


def beats_file(dtype: torch.dtype = torch.float64, every_layer: bool = True) -> dict[str, Any]:
    """beats.pt; the table of relative positions under every layer, or under the first alone."""
    tensors = draw(beats_shapes(), 1, dtype)
    table = draw({"table": (CFG["num_buckets"], CFG["encoder_attention_heads"])}, 2, dtype)["table"] * 3
    for layer in range(CFG["encoder_layers"] if every_layer else 1):
        tensors[f"encoder.layers.{layer}.self_attn.relative_attention_bias.weight"] = table
    return {"cfg": dict(CFG), "model": tensors}


def salmonn_file(dtype: torch.dtype = torch.float64, default: bool = True) -> dict[str, Any]:
    """salmonn_v1.pth; LoRA's names with peft's `.default`, or without."""
    shapes: dict[str, tuple[int, ...]] = {
        "speech_query_tokens": (1, 1, QUERY),
        **_norm("ln_speech", SPEECH),
        **_norm("ln_audio", SOUND),
        **_linear("speech_llama_proj", QUERY, TEXT),
        **_norm("speech_Qformer.bert.embeddings.LayerNorm", QUERY),
    }
    for layer in range(2):
        start = f"speech_Qformer.bert.encoder.layer.{layer}."
        for attention, width in (("attention", QUERY), ("crossattention", SPEECH + SOUND)):
            shapes |= _linear(f"{start}{attention}.self.query", QUERY, QUERY)
            shapes |= _linear(f"{start}{attention}.self.key", width, QUERY)
            shapes |= _linear(f"{start}{attention}.self.value", width, QUERY)
            shapes |= _linear(f"{start}{attention}.output.dense", QUERY, QUERY)
            shapes |= _norm(f"{start}{attention}.output.LayerNorm", QUERY)
        shapes |= _linear(f"{start}intermediate_query.dense", QUERY, QUERY_INNER)
        shapes |= _linear(f"{start}output_query.dense", QUERY_INNER, QUERY)
        shapes |= _norm(f"{start}output_query.LayerNorm", QUERY)
    suffix = ".default.weight" if default else ".weight"
    for layer in range(BLOCKS):
        for module, outer in (("q_proj", TEXT), ("v_proj", TEXT // 2)):
            start = f"llama_model.base_model.model.model.layers.{layer}.self_attn.{module}.lora_"
            shapes |= {f"{start}A{suffix}": (RANK, TEXT), f"{start}B{suffix}": (outer, RANK)}
    tensors = draw(shapes, 3, dtype)
    tensors["speech_Qformer.bert.embeddings.position_ids"] = torch.arange(512)[None]
    tensors["llama_model.base_model.model.model.layers.0.self_attn.rotary_emb.inv_freq"] = torch.ones(3)
    tensors["beats.encoder.layers.1.self_attn.relative_attention_bias.weight"] = torch.ones(32, 2)
    return {
        "model": tensors,
        "optimizer": {"state": {}},
        "scaler": {},
        "config": {"run": {"lr": 1e-4}},
        "epoch": 2,
    }


def write_whisper(folder: Path, dtype: torch.dtype = torch.float64) -> None:
    torch.manual_seed(4)
    config = WhisperConfig(
        d_model=SPEECH,
        encoder_layers=2,
        encoder_attention_heads=2,
        encoder_ffn_dim=20,
        decoder_layers=1,
        decoder_attention_heads=2,
        decoder_ffn_dim=20,
        max_source_positions=150,
        max_target_positions=8,
        vocab_size=20,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=1,
        init_std=0.3,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        WhisperForConditionalGeneration(config).to(dtype).save_pretrained(folder)
    WhisperFeatureExtractor(chunk_length=3).save_pretrained(folder)


def write_llama(folder: Path, dtype: torch.dtype = torch.float64) -> None:
    """A llama with a sentencepiece model as Vicuna has it, without `[PAD]`."""
    folder.mkdir(parents=True, exist_ok=True)
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(SENTENCES * 20),
        model_writer=out,
        vocab_size=380,
        model_type="bpe",
        byte_fallback=True,
        character_coverage=1.0,
        hard_vocab_limit=False,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        minloglevel=2,
    )
    (folder / "tokenizer.model").write_bytes(out.getvalue())
    (folder / "tokenizer_config.json").write_text(
        '{"tokenizer_class": "LlamaTokenizer", "add_bos_token": true, "add_eos_token": false, "bos_token": "<s>", '
        '"eos_token": "</s>", "unk_token": "<unk>"}'
    )
    size = sentencepiece.SentencePieceProcessor(model_proto=out.getvalue()).get_piece_size()
    torch.manual_seed(5)
    config = LlamaConfig(
        vocab_size=size,
        hidden_size=TEXT,
        intermediate_size=32,
        num_hidden_layers=BLOCKS,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=256,
        initializer_range=0.3,
        pad_token_id=0,
    )
    LlamaForCausalLM(config).to(dtype).save_pretrained(folder)


def write_parts(folder: Path, dtype: torch.dtype = torch.float64, **told: Any) -> Path:
    """All four parts and the YAML, whose path it returns. told: more of what the YAML says."""
    write_whisper(folder / "whisper", dtype)
    write_llama(folder / "vicuna", dtype)
    torch.save(beats_file(dtype), folder / "beats.pt")
    torch.save(salmonn_file(dtype), folder / "salmonn_v1.pth")
    return write_listing(folder, **told)


def write_listing(folder: Path, **told: Any) -> Path:
    path = folder / "salmonn.yaml"
    parts = {"whisper": "whisper", "beats": "beats.pt", "salmonn": "salmonn_v1.pth", "llama": "vicuna"}
    said = {**parts, "qformer_heads": HEADS, "lora_alpha": ALPHA, **told}
    path.write_text(yaml.safe_dump({name: value for name, value in said.items() if value is not None}))
    return path


def clip(seconds: float, seed: int = 0) -> np.ndarray[Any, np.dtype[np.float32]]:
    """A tone that rises, with noise: [sample] at 16 kHz."""
    random = np.random.default_rng(seed)
    at = np.arange(round(seconds * 16_000)) / 16_000
    tone = 0.3 * np.sin(2 * np.pi * (200 + 150 * seed + 300 * at) * at)
    return (tone + 0.05 * random.normal(size=len(at))).astype(np.float32)
