"""Tiny random vision-language checkpoints of every family, written once per process and loaded by the real code."""

from __future__ import annotations

import functools
import io
import json
import tempfile
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image as Pil
from tests.tiny import CORPUS
from tokenizers import ByteLevelBPETokenizer
from transformers import CONFIG_MAPPING, AutoModelForImageTextToText, PreTrainedTokenizerFast

from semhub.types import Image

TEXT = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "head_dim": 8,
}
TOWER = {
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
}
ROPE = {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [1, 1, 2]}
CODES = 12  # of chameleon's picture vocabulary


@dataclass(frozen=True)
class Family:
    """model_type with the sections of its configuration; the image processor with its settings; special tokens.

    named: attribute of the tokenizer -> token. processor: processor_config.json. image_token: the setting of the
    model's configuration that names the placeholder, and the placeholder.
    """

    model_type: str
    processor_class: str
    text: dict[str, Any]
    vision: dict[str, Any]
    image_processor: str
    pixels: dict[str, Any]
    image_token: tuple[str, str] = ("image_token_id", "<image>")
    tokens: tuple[str, ...] = ()
    named: dict[str, str] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    processor: dict[str, Any] = field(default_factory=dict)


CLIP = {"model_type": "clip_vision_model", **TOWER, "projection_dim": 16, "image_size": 24, "patch_size": 8}
SIGLIP = {
    "model_type": "siglip_vision_model",
    **TOWER,
    "image_size": 32,
    "patch_size": 8,
    "vision_use_head": False,
}
LLAVA_PIXELS = {"size": {"shortest_edge": 24}, "crop_size": {"height": 24, "width": 24}}
LLAVA = {"patch_size": 8, "num_additional_image_tokens": 1, "vision_feature_select_strategy": "default"}
QWEN_VISION = {
    "depth": 2,
    "embed_dim": 16,
    "hidden_size": 32,
    "num_heads": 2,
    "patch_size": 4,
    "spatial_merge_size": 2,
    "temporal_patch_size": 2,
}
QWEN_PIXELS = {
    "patch_size": 4,
    "temporal_patch_size": 2,
    "merge_size": 2,
    "size": {"shortest_edge": 8 * 8, "longest_edge": 48 * 48},
}
QWEN: dict[str, Any] = {
    "image_token": ("image_token_id", "<|image_pad|>"),
    "tokens": ("<|vision_start|>", "<|vision_end|>", "<|video_pad|>"),
    "named": {"image_token": "<|image_pad|>", "video_token": "<|video_pad|>"},
}
IDEFICS: dict[str, Any] = {
    "tokens": (
        "<fake_token_around_image>",
        "<global-img>",
        "<end_of_utterance>",
        *(f"<row_{i}_col_{j}>" for i in range(1, 5) for j in range(1, 5)),
    ),
    "settings": {"scale_factor": 2},
    "processor": {"image_seq_len": 4},
}
IDEFICS_TOWER = {**TOWER, "image_size": 16, "patch_size": 4}
IDEFICS_PIXELS = {
    "size": {"longest_edge": 32},
    "max_image_size": {"longest_edge": 16},
    "do_image_splitting": True,
    "do_pad": True,
}
GEMMA = {**TEXT, "model_type": "gemma3_text", "sliding_window": 8, "query_pre_attn_scalar": 8}

FAMILIES: dict[str, Family] = {
    "llava": Family(
        "llava",
        "LlavaProcessor",
        {**TEXT, "model_type": "llama"},
        CLIP,
        "LlavaImageProcessorPil",
        LLAVA_PIXELS,
        settings={"vision_feature_layer": -2},
        processor=LLAVA,
    ),
    "llava_next": Family(
        "llava_next",
        "LlavaNextProcessor",
        {**TEXT, "model_type": "mistral", "sliding_window": None},
        CLIP,
        "LlavaNextImageProcessorPil",
        {**LLAVA_PIXELS, "image_grid_pinpoints": [[24, 48], [48, 24], [48, 48]]},
        settings={"vision_feature_layer": -2, "image_grid_pinpoints": [[24, 48], [48, 24], [48, 48]]},
        processor=LLAVA,
    ),
    "chameleon": Family(
        "chameleon",
        "ChameleonProcessor",
        TEXT,
        {
            "embed_dim": 8,
            "num_embeddings": CODES,
            "latent_channels": 8,
            "resolution": 16,
            "base_channels": 32,
            "channel_multiplier": [1, 1],
            "num_res_blocks": 1,
        },
        "ChameleonImageProcessorPil",
        {"size": {"shortest_edge": 8}, "crop_size": {"height": 8, "width": 8}},
        image_token=("image_token_id", "<image>"),
        tokens=(
            "<racm3:break>",
            "<eoss>",
            "<reserved08706>",
            *(f"IMGIMG{''.join(chr(65 + int(d)) for d in str(i))}Z" for i in range(CODES)),
        ),
        named={"sep_token": "<reserved08706>"},
        settings={"swin_norm": False},
        processor={"image_seq_length": 16},
    ),
    "qwen2_vl": Family(
        "qwen2_vl",
        "Qwen2VLProcessor",
        {**TEXT, "rope_parameters": ROPE},
        QWEN_VISION,
        "Qwen2VLImageProcessorPil",
        QWEN_PIXELS,
        **QWEN,
    ),
    "qwen2_5_vl": Family(
        "qwen2_5_vl",
        "Qwen2_5_VLProcessor",
        {**TEXT, "rope_parameters": ROPE},
        {
            **{name: value for name, value in QWEN_VISION.items() if name != "embed_dim"},
            "hidden_size": 16,
            "intermediate_size": 24,
            "out_hidden_size": 32,
            "fullatt_block_indexes": [1],
            "window_size": 16,
        },
        "Qwen2VLImageProcessorPil",
        QWEN_PIXELS,
        **QWEN,
    ),
    "qwen3_vl": Family(
        "qwen3_vl",
        "Qwen3VLProcessor",
        {**TEXT, "rope_parameters": ROPE},
        {
            **{name: value for name, value in QWEN_VISION.items() if name != "embed_dim"},
            "hidden_size": 16,
            "intermediate_size": 24,
            "out_hidden_size": 32,
            "num_position_embeddings": 16,
            "deepstack_visual_indexes": [0, 1],
        },
        "Qwen2VLImageProcessorPil",
        QWEN_PIXELS,
        **QWEN,
    ),
    "gemma3": Family(
        "gemma3",
        "Gemma3Processor",
        GEMMA,
        SIGLIP,
        "Gemma3ImageProcessorPil",
        {"size": {"height": 32, "width": 32}},
        image_token=("image_token_id", "<image_soft_token>"),
        tokens=("<start_of_image>", "<end_of_image>"),
        named={
            "image_token": "<image_soft_token>",
            "boi_token": "<start_of_image>",
            "eoi_token": "<end_of_image>",
        },
        settings={"mm_tokens_per_image": 4},
        processor={"image_seq_length": 4},
    ),
    "paligemma": Family(
        "paligemma",
        "PaliGemmaProcessor",
        {**TEXT, "model_type": "gemma"},
        {**SIGLIP, "projection_dim": 32},
        "SiglipImageProcessorPil",
        {"size": {"height": 32, "width": 32}, "image_seq_length": 16},
        settings={"projection_dim": 32},
    ),
    "idefics3": Family(
        "idefics3",
        "Idefics3Processor",
        {**TEXT, "model_type": "llama"},
        IDEFICS_TOWER,
        "Idefics3ImageProcessorPil",
        IDEFICS_PIXELS,
        **IDEFICS,
    ),
    "smolvlm": Family(
        "smolvlm",
        "SmolVLMProcessor",
        {**TEXT, "model_type": "llama"},
        IDEFICS_TOWER,
        "SmolVLMImageProcessorPil",
        IDEFICS_PIXELS,
        **IDEFICS,
    ),
    "internvl": Family(
        "internvl",
        "InternVLProcessor",
        {**TEXT, "model_type": "qwen2"},
        {**TOWER, "model_type": "internvl_vision", "image_size": [16, 16], "patch_size": [4, 4]},
        "GotOcr2ImageProcessorPil",
        {"size": {"height": 16, "width": 16}, "crop_to_patches": True, "max_patches": 4},
        image_token=("image_token_id", "<IMG_CONTEXT>"),
        tokens=("<img>", "</img>", "<video>"),
        named={
            "start_image_token": "<img>",
            "end_image_token": "</img>",
            "context_image_token": "<IMG_CONTEXT>",
            "video_token": "<video>",
        },
        settings={"image_seq_length": 4, "downsample_ratio": 0.5},
        processor={"image_seq_length": 4},
    ),
}
# Families that no rule is written for; idefics2's processor does not say what stands for a picture.
AYA_MARKS = ("<|START_OF_IMG|>", "<|END_OF_IMG|>", "TILE", "TILE_GLOBAL")
TILES = [[32, 64], [64, 32], [64, 64]]
OTHERS: dict[str, Family] = {
    "aya_vision": Family(
        "aya_vision",
        "AyaVisionProcessor",
        {**TEXT, "model_type": "cohere2", "sliding_window": 8},
        SIGLIP,
        "GotOcr2ImageProcessorPil",
        {"size": {"height": 32, "width": 32}, "crop_to_patches": True, "max_patches": 4},
        image_token=("image_token_id", "<|IMG_PATCH|>"),
        tokens=AYA_MARKS,
        settings={"downsample_factor": 2, "vision_feature_layer": -1},
        processor={
            "patch_size": 8,
            "img_size": 32,
            "downsample_factor": 2,
            "image_token": "<|IMG_PATCH|>",
            "img_patch_token": "<|IMG_PATCH|>",
            "start_of_img_token": AYA_MARKS[0],
            "end_of_img_token": AYA_MARKS[1],
            "tile_token": AYA_MARKS[2],
            "tile_global_token": AYA_MARKS[3],
        },
    ),
    "llava_onevision": Family(
        "llava_onevision",
        "LlavaOnevisionProcessor",
        {**TEXT, "model_type": "qwen2"},
        SIGLIP,
        "LlavaOnevisionImageProcessorPil",
        {"size": {"height": 32, "width": 32}, "image_grid_pinpoints": TILES},
        tokens=("<video>",),
        settings={
            "image_grid_pinpoints": TILES,
            "vision_feature_select_strategy": "full",
            "vision_feature_layer": -1,
        },
        processor={"num_image_tokens": 16, "vision_feature_select_strategy": "full"},
    ),
    "idefics2": Family(
        "idefics2",
        "Idefics2Processor",
        {**TEXT, "model_type": "mistral"},
        {**TOWER, "image_size": 32, "patch_size": 8},
        "Idefics2ImageProcessorPil",
        {"size": {"shortest_edge": 24, "longest_edge": 32}},
        tokens=("<fake_token_around_image>", "<end_of_utterance>"),
        settings={
            "perceiver_config": {
                "resampler_n_latents": 4,
                "resampler_depth": 1,
                "resampler_n_heads": 2,
                "num_key_value_heads": 1,
                "resampler_head_dim": 8,
            }
        },
        processor={"image_seq_len": 4},
    ),
}
ALL = {**FAMILIES, **OTHERS}


@functools.cache
def vision_tokenizer(family: str) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer with the family's special tokens; every text begins with `<s>`."""
    from tokenizers.processors import TemplateProcessing

    spec = ALL[family]
    special = ["<pad>", "<s>", "</s>", spec.image_token[1], *spec.tokens]
    trained = ByteLevelBPETokenizer(add_prefix_space=False)
    trained.train_from_iterator(
        CORPUS, vocab_size=400 + len(special), min_frequency=2, special_tokens=special, show_progress=False
    )
    trained._tokenizer.post_processor = TemplateProcessing(
        single="<s> $A", pair="<s> $A $B", special_tokens=[("<s>", special.index("<s>"))]
    )
    named = {name: token for name, token in spec.named.items() if name != "sep_token"}
    return PreTrainedTokenizerFast(
        tokenizer_object=trained._tokenizer,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        sep_token=spec.named.get("sep_token"),
        extra_special_tokens=named,
    )


def vision_image_processor(family: str) -> Any:
    import transformers

    spec = ALL[family]
    return getattr(transformers, spec.image_processor)(**spec.pixels)


def vision_config(family: str, padding: int = 8) -> Any:
    spec, tokenizer = ALL[family], vision_tokenizer(family)
    ids = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    text = {"vocab_size": len(tokenizer) + padding, **ids, **spec.text}
    placeholder = {spec.image_token[0]: tokenizer.convert_tokens_to_ids(spec.image_token[1])}
    if spec.model_type == "chameleon":
        return CONFIG_MAPPING["chameleon"](
            **{**text, "head_dim": None},
            vq_config=spec.vision,
            vocabulary_map=tokenizer.get_vocab(),
            **spec.settings,
        )
    if spec.tokens[-1:] == ("<|video_pad|>",):
        placeholder |= {
            f"{name}_id": tokenizer.convert_tokens_to_ids(token)
            for name, token in (
                ("vision_start_token", "<|vision_start|>"),
                ("vision_end_token", "<|vision_end|>"),
                ("video_token", "<|video_pad|>"),
            )
        }
    return CONFIG_MAPPING[spec.model_type](
        text_config=text, vision_config=spec.vision, **placeholder, **ids, **spec.settings
    )


def vision_model(family: str, seed: int = 0, padding: int = 8) -> Any:
    """A random model in memory; norms and biases are random too, so that a norm applied twice shows."""
    config = vision_config(family, padding)
    with torch.random.fork_rng(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(seed)
        model = AutoModelForImageTextToText.from_config(config, dtype=torch.float32)
        with torch.no_grad():
            for name, weight in model.named_parameters():
                if weight.ndim == 1:
                    weight.add_(0.3 * torch.randn_like(weight))
                elif not weight.any():  # left to the checkpoint, as gemma3's projection of pictures
                    weight.normal_(0, 0.3)
                elif "embed" not in name or "patch" in name:
                    weight.mul_(4)
    return model.eval()


def vision_checkpoint(family: str, folder: str | Path, seed: int = 0) -> Path:
    """Writes model, tokenizer, image processor and the processor's settings as the library's own files."""
    path, spec = Path(folder), ALL[family]
    vision_model(family, seed).save_pretrained(path)
    vision_tokenizer(family).save_pretrained(path)
    vision_image_processor(family).save_pretrained(path)
    settings = {"processor_class": spec.processor_class, **spec.processor}
    (path / "processor_config.json").write_text(json.dumps(settings))
    return path


@functools.cache
def cached_vision_checkpoint(family: str) -> Path:
    """The family's checkpoint with default settings, built once per process."""
    return vision_checkpoint(family, Path(_home().name) / family)


@functools.cache
def _home() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="semhub-tiny-vision-")


def picture(width: int, height: int, seed: int = 0) -> Image:
    """A picture of smooth random colours, as the bytes of a PNG."""
    values = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return from_pixels(Pil.fromarray(values).resize((width, height), Pil.Resampling.BICUBIC))


def from_pixels(shown: Pil.Image) -> Image:
    buffer = io.BytesIO()
    shown.save(buffer, "PNG")
    return Image(data=buffer.getvalue())
