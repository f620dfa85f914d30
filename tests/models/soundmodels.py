"""Tiny random checkpoints of every family that hears, written once per process and loaded by the real code."""

from __future__ import annotations

import functools
import json
import tempfile
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from tests.models.visionmodels import QWEN_PIXELS, QWEN_VISION, ROPE, TEXT
from tests.tiny import CORPUS
from tokenizers import ByteLevelBPETokenizer
from transformers import CONFIG_MAPPING, PreTrainedTokenizerFast, WhisperFeatureExtractor

from semhub.sounds import wav
from semhub.types import Sound

RATE = 16_000
MEL = 8
FILLER = tuple(f"<unused{index}>" for index in range(21))  # so that Voxtral's placeholder has the id 24


@dataclass(frozen=True)
class Family:
    """model_type with the sections of its configuration; window: of the feature extractor, in whole seconds.

    placeholder: the token that stands for one feature. tokens: further special tokens. named: attribute of the
    tokenizer -> token. settings: of the model's configuration. processor: processor_config.json. longest: what is heard
    of a sound, in seconds.
    """

    model_type: str
    model_class: str
    processor_class: str
    audio: dict[str, Any]
    window: int
    placeholder: str
    longest: float
    text: dict[str, Any] = field(default_factory=dict)
    tokens: tuple[str, ...] = ()
    named: dict[str, str] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    processor: dict[str, Any] = field(default_factory=dict)


ENCODER = {
    "num_mel_bins": MEL,
    "encoder_layers": 2,
    "encoder_attention_heads": 2,
    "encoder_ffn_dim": 24,
    "d_model": 16,
}
MODERN = {
    "num_mel_bins": MEL,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "hidden_size": 16,
}
AUDIO_MARKS = ("<|audio_bos|>", "<|audio_eos|>")

FAMILIES: dict[str, Family] = {
    "qwen2_audio": Family(
        "qwen2_audio",
        "Qwen2AudioForConditionalGeneration",
        "Qwen2AudioProcessor",
        {**ENCODER, "model_type": "qwen2_audio_encoder", "max_source_positions": 100},
        window=2,
        placeholder="<|AUDIO|>",
        longest=2.0,
        text={"model_type": "qwen2"},
        tokens=AUDIO_MARKS,
    ),
    "voxtral": Family(
        "voxtral",
        "VoxtralForConditionalGeneration",
        "VoxtralProcessor",
        {**MODERN, "model_type": "voxtral_encoder", "max_source_positions": 100, "intermediate_size": 64},
        window=2,
        placeholder="[AUDIO]",
        longest=60.0,
        text={"model_type": "llama"},
        tokens=("[BEGIN_AUDIO]",),
    ),
    "audioflamingo3": Family(
        "audioflamingo3",
        "AudioFlamingo3ForConditionalGeneration",
        "AudioFlamingo3Processor",
        {**MODERN, "model_type": "audioflamingo3_encoder", "max_source_positions": 50},
        window=1,
        placeholder="<sound>",
        longest=3.0,
        text={"model_type": "qwen2"},
        processor={"max_audio_len": 3},
    ),
    "qwen2_5_omni": Family(
        "qwen2_5_omni_thinker",
        "Qwen2_5OmniThinkerForConditionalGeneration",
        "Qwen2_5OmniProcessor",
        {**ENCODER, "max_source_positions": 100, "n_window": 10, "output_dim": 32},
        window=3,
        placeholder="<|AUDIO|>",
        longest=3.0,
        text={"rope_parameters": ROPE},
        tokens=(*AUDIO_MARKS, "<|IMAGE|>", "<|VIDEO|>", "<|vision_bos|>", "<|vision_eos|>"),
        named={
            "image_token": "<|IMAGE|>",
            "audio_token": "<|AUDIO|>",
            "video_token": "<|VIDEO|>",
            "vision_bos_token": "<|vision_bos|>",
            "vision_eos_token": "<|vision_eos|>",
            "audio_bos_token": "<|audio_bos|>",
            "audio_eos_token": "<|audio_eos|>",
        },
        settings={
            "vision_config": {
                **{name: value for name, value in QWEN_VISION.items() if name != "embed_dim"},
                "hidden_size": 16,
                "intermediate_size": 24,
                "out_hidden_size": 32,
                "fullatt_block_indexes": [1],
                "window_size": 16,
            }
        },
    ),
}
SEEING = ("qwen2_5_omni",)
SALMONN = Family("salmonn", "", "", {}, window=3, placeholder="[PAD]", longest=3.0, text={"head_dim": 8})
HEARING = {**FAMILIES, "salmonn": SALMONN}


@functools.cache
def sound_tokenizer(family: str) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer with the family's special tokens; every text begins with `<s>`."""
    from tokenizers.processors import TemplateProcessing

    spec = HEARING[family]
    special = ["<pad>", "<s>", "</s>", *spec.tokens]
    special += [*FILLER, spec.placeholder][-(25 - len(special)) :]
    trained = ByteLevelBPETokenizer(add_prefix_space=False)
    trained.train_from_iterator(
        CORPUS, vocab_size=400 + len(special), min_frequency=2, special_tokens=special, show_progress=False
    )
    trained._tokenizer.post_processor = TemplateProcessing(
        single="<s> $A", pair="<s> $A $B", special_tokens=[("<s>", special.index("<s>"))]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=trained._tokenizer,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        extra_special_tokens=spec.named,
    )


def sound_extractor(family: str) -> WhisperFeatureExtractor:
    return WhisperFeatureExtractor(feature_size=MEL, chunk_length=HEARING[family].window)


def sound_config(family: str, padding: int = 8) -> Any:
    spec, tokenizer = HEARING[family], sound_tokenizer(family)
    ids = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    vocabulary = tokenizer.get_vocab()
    named = {"audio_token_id": vocabulary[spec.placeholder]}
    if family in SEEING:
        named = {
            "audio_token_index": vocabulary["<|AUDIO|>"],
            "image_token_index": vocabulary["<|IMAGE|>"],
            "video_token_index": vocabulary["<|VIDEO|>"],
            "audio_start_token_id": vocabulary["<|audio_bos|>"],
            "audio_end_token_id": vocabulary["<|audio_eos|>"],
            "vision_start_token_id": vocabulary["<|vision_bos|>"],
            "vision_end_token_id": vocabulary["<|vision_eos|>"],
        }
    text = {"vocab_size": len(tokenizer) + padding, **ids, **TEXT, **spec.text}
    if family == "salmonn":
        return _salmonn(text, vocabulary[spec.placeholder])
    if family in SEEING:
        text.pop("head_dim")
    return CONFIG_MAPPING[spec.model_type](
        text_config=text, audio_config=spec.audio, **named, **spec.settings, **ids
    )


def _salmonn(text: dict[str, Any], placeholder: int) -> Any:
    from transformers import Blip2QFormerConfig, LlamaConfig, WhisperConfig

    from semhub.models.beats import BeatsConfig
    from semhub.models.salmonn import SalmonnConfig

    whisper = WhisperConfig(
        d_model=16,
        encoder_layers=2,
        encoder_attention_heads=2,
        encoder_ffn_dim=24,
        num_mel_bins=MEL,
        max_source_positions=150,
        decoder_layers=1,
        decoder_attention_heads=1,
    )
    beats = BeatsConfig(
        embed_dim=8,
        encoder_layers=2,
        encoder_embed_dim=16,
        encoder_ffn_embed_dim=24,
        encoder_attention_heads=2,
        conv_pos=8,
        conv_pos_groups=4,
        num_buckets=32,
        max_distance=80,
    )
    qformer = Blip2QFormerConfig(
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=24,
        encoder_hidden_size=32,
        cross_attention_frequency=1,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    return SalmonnConfig(
        whisper_config=whisper,
        beats_config=beats,
        qformer_config=qformer,
        text_config=LlamaConfig(**text),
        audio_token_id=placeholder,
    )


def _salmonn_class() -> Any:
    from semhub.models.salmonn import SalmonnForConditionalGeneration

    return SalmonnForConditionalGeneration


def sound_model(family: str, seed: int = 0, padding: int = 8) -> Any:
    """A random model in memory; norms and biases are random too, so that a norm applied twice shows."""
    config = sound_config(family, padding)
    with torch.random.fork_rng(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(seed)
        kind = _salmonn_class() if family == "salmonn" else getattr(transformers, HEARING[family].model_class)
        model = kind._from_config(config, dtype=torch.float32)
        with torch.no_grad():
            for name, weight in model.named_parameters():
                if weight.ndim == 1:
                    weight.add_(0.3 * torch.randn_like(weight))
                elif "embed" not in name or "patch" in name:
                    weight.mul_(4)
    return model.eval()


def sound_checkpoint(family: str, folder: str | Path, seed: int = 0) -> Path:
    """Writes model, tokenizer, feature extractor and the processor's settings as the library's own files."""
    path, spec = Path(folder), HEARING[family]
    sound_model(family, seed).save_pretrained(path)
    sound_tokenizer(family).save_pretrained(path)
    sound_extractor(family).save_pretrained(path)
    if family in SEEING:
        pixels = transformers.Qwen2VLImageProcessorPil(**QWEN_PIXELS).to_dict()
        file = path / "preprocessor_config.json"
        file.write_text(json.dumps({**pixels, **json.loads(file.read_text())}))
    if family == "salmonn":
        return path
    settings = {"processor_class": spec.processor_class, **spec.processor}
    (path / "processor_config.json").write_text(json.dumps(settings))
    return path


@functools.cache
def cached_sound_checkpoint(family: str) -> Path:
    """The family's checkpoint with default settings, built once per process."""
    return sound_checkpoint(family, Path(_home().name) / family)


@functools.cache
def _home() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="semhub-tiny-sound-")


def noise(seconds: float, seed: int = 0) -> np.ndarray:
    """Noise that grows louder and softer, [sample] at RATE."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=round(seconds * RATE))
    knots = np.arange(0, len(values) + 800, 800)
    loud = np.interp(np.arange(len(values)), knots, rng.uniform(0.1, 1, len(knots)))
    return (0.2 * loud * values).astype(np.float32)


def sound(seconds: float, seed: int = 0) -> Sound:
    """`noise` as the bytes of a WAV file."""
    return Sound(data=wav(noise(seconds, seed), RATE))
