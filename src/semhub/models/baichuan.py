"""Baichuan and Baichuan-2 of 7 B parameters, read as a llama without the checkpoint's own code.

They differ from a llama in their files only: query, key and value share one matrix `W_pack`, and Baichuan-2 reads
the unembedding with its rows scaled to unit length ("NormHead"; Yang et al., arXiv 2309.10305, section 2.4). The
13 B models use ALiBi instead of rotary positions and are refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from semhub.errors import ModelError
from semhub.models.sentencepiece import fast_tokenizer
from semhub.models.weights import stored

VERSION_1_VOCABULARY = 64000
VERSION_2_VOCABULARY = 125696
KNOWN_OPTIONS = [
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "hidden_act",
    "rms_norm_eps",
    "max_position_embeddings",
    "model_max_length",
    "initializer_range",
    "use_cache",
    "pad_token_id",
    "bos_token_id",
    "eos_token_id",
    "tie_word_embeddings",
    "z_loss_weight",
    "gradient_checkpointing",
    "architectures",
    "auto_map",
    "model_type",
    "tokenizer_class",
    "torch_dtype",
    "dtype",
    "transformers_version",
    "_from_model_config",
    "_name_or_path",
    "name_or_path",
]
FILES = [
    "config.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "*.safetensors",
    "pytorch_model*",
    "model*.json",
]


def read_baichuan(folder: Path, raw: dict[str, Any], arguments: dict[str, Any]) -> tuple[Any, Any]:
    """The checkpoint in `folder` as (LlamaForCausalLM, fast tokenizer).

    raw: its config.json. arguments: dtype and placement for `from_pretrained`. Raises ModelError for a 13 B model,
    an option that is not known, or a checkpoint with missing tensors.
    """
    from transformers import LlamaConfig, LlamaForCausalLM

    _refuse(folder, raw)
    config = LlamaConfig(
        vocab_size=raw["vocab_size"],
        hidden_size=raw["hidden_size"],
        intermediate_size=raw["intermediate_size"],
        num_hidden_layers=raw["num_hidden_layers"],
        num_attention_heads=raw["num_attention_heads"],
        max_position_embeddings=raw["max_position_embeddings"],
        hidden_act=raw.get("hidden_act", "silu"),
        rms_norm_eps=raw.get("rms_norm_eps", 1e-6),
        initializer_range=raw.get("initializer_range", 0.02),
        tie_word_embeddings=False,
        pad_token_id=raw.get("pad_token_id", 0),
        bos_token_id=raw.get("bos_token_id", 1),
        eos_token_id=raw.get("eos_token_id", 2),
        dtype=raw.get("torch_dtype", raw.get("dtype")),
    )
    weights = dict(_as_llama(stored(folder), normalised_head=_has_normalised_head(folder, raw)))
    model, info = LlamaForCausalLM.from_pretrained(
        None, config=config, state_dict=weights, output_loading_info=True, **arguments
    )
    wrong = sorted(map(str, [*info["missing_keys"], *info["mismatched_keys"], *info["unexpected_keys"]]))
    if wrong:
        raise ModelError(
            f"{folder.name}: {len(wrong)} tensors do not fit a Baichuan of 7 B layout, the first is {wrong[0]}."
        )
    return model, _tokenizer(folder)


def _refuse(folder: Path, raw: dict[str, Any]) -> None:
    if "max_position_embeddings" not in raw or raw.get("hidden_size") == 5120:
        raise ModelError(
            f"{folder.name} is a Baichuan of 13 B: its ALiBi positions are not read, only the 7 B layout is."
        )
    unknown = sorted(set(raw) - set(KNOWN_OPTIONS))
    if unknown:
        raise ModelError(
            f"{folder.name}: the Baichuan option {unknown[0]} is not known, so nothing is assumed about it."
        )
    needed = ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
    for name in needed:
        if not isinstance(raw.get(name), int):
            raise ModelError(f"{folder.name}: config.json lacks {name}.")
    if raw.get("tie_word_embeddings"):
        raise ModelError(f"{folder.name}: a Baichuan with tied embeddings is not known.")


def _has_normalised_head(folder: Path, raw: dict[str, Any]) -> bool:
    """Version 2 scales the head's rows; it is told by its vocabulary or by an option that version 1 lacks."""
    if raw["vocab_size"] == VERSION_2_VOCABULARY or "z_loss_weight" in raw:
        return True
    if raw["vocab_size"] == VERSION_1_VOCABULARY:
        return False
    raise ModelError(
        f"{folder.name}: a Baichuan with {raw['vocab_size']} ids is neither version 1 nor 2; whether its head is "
        "normalised cannot be told. Set z_loss_weight in config.json if it is version 2."
    )


def _as_llama(tensors: Iterator[tuple[str, Tensor]], normalised_head: bool) -> Iterator[tuple[str, Tensor]]:
    for name, tensor in tensors:
        if name.endswith("self_attn.W_pack.weight"):
            for letter, part in zip("qkv", tensor.chunk(3), strict=True):
                yield name.replace("W_pack", f"{letter}_proj"), part
        elif name == "lm_head.weight" and normalised_head:
            yield name, torch.nn.functional.normalize(tensor.float(), dim=-1).to(tensor.dtype)
        elif not name.endswith("rotary_emb.inv_freq"):
            yield name, tensor


def _tokenizer(folder: Path) -> Any:
    path, settings = folder / "tokenizer.model", folder / "tokenizer_config.json"
    if not path.is_file():
        raise ModelError(
            f"{folder.name} has no tokenizer.model; a Baichuan folder needs its sentencepiece model."
        )
    told = json.loads(settings.read_text("utf-8")) if settings.is_file() else {}
    return fast_tokenizer(
        path, add_bos=bool(told.get("add_bos_token")), add_eos=bool(told.get("add_eos_token"))
    )
