"""Tiny random checkpoints of many families, written to disk once per process and loaded by the real code."""

from __future__ import annotations

import functools
import tempfile
import warnings
from pathlib import Path
from typing import Any

import torch
from tokenizers import ByteLevelBPETokenizer
from transformers import CONFIG_MAPPING, AutoModelForCausalLM, PreTrainedTokenizerFast

CORPUS = [
    "the river was cold and the old boat had gone home by then",
    "three plus five equals eight; 3+5=8, 2*4=8, 15=3*5",
    "one two three four five six seven eight nine ten",
    "El río estaba frío y la casa es grande. Ángel dijo: ¿sí?",
    "河水很冷，我们回家。这代表了三加五等于八。河水很冷，我们回家。",
    "tomorrow two brown horses will cross the bridge near Madrid",
] * 4
SIZE = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
}
GPT = {"n_embd": 32, "n_layer": 4, "n_head": 4, "n_positions": 256}
NEOX = {name: value for name, value in SIZE.items() if name != "num_key_value_heads"}
# family -> its model type and what its configuration needs beyond the vocabulary
FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("llama", SIZE),
    "mistral": ("mistral", {**SIZE, "sliding_window": 8}),
    "qwen2": ("qwen2", SIZE),
    "qwen3": ("qwen3", {**SIZE, "head_dim": 8}),
    "gemma2": (
        "gemma2",
        {
            **SIZE,
            "head_dim": 8,
            "sliding_window": 8,
            "final_logit_softcapping": 5.0,
            "query_pre_attn_scalar": 8,
        },
    ),
    "gemma3": ("gemma3_text", {**SIZE, "head_dim": 8, "sliding_window": 8, "query_pre_attn_scalar": 8}),
    "olmo2": ("olmo2", SIZE),
    "phi3": ("phi3", SIZE),
    "cohere": ("cohere", {**SIZE, "logit_scale": 0.25}),
    "granite": (
        "granite",
        {**SIZE, "logits_scaling": 3.0, "embedding_multiplier": 2.0, "residual_multiplier": 0.7},
    ),
    "gpt2": ("gpt2", GPT),
    "gptj": ("gptj", {**GPT, "rotary_dim": 4}),
    "gpt_neo": (
        "gpt_neo",
        {
            "hidden_size": 32,
            "num_layers": 4,
            "num_heads": 4,
            "max_position_embeddings": 256,
            "attention_types": [[["global", "local"], 2]],
            "window_size": 8,
        },
    ),
    "gpt_neox": ("gpt_neox", NEOX),
    "phi": ("phi", NEOX),
    "opt": ("opt", {**NEOX, "ffn_dim": 48, "word_embed_proj_dim": 32}),
    "opt_narrow": (
        "opt",
        {**NEOX, "ffn_dim": 48, "word_embed_proj_dim": 16, "do_layer_norm_before": False},
    ),
    "bloom": ("bloom", {"hidden_size": 32, "n_layer": 4, "n_head": 4}),
    "falcon": ("falcon", {**NEOX, "new_decoder_architecture": True, "num_kv_heads": 2}),
    "falcon_alibi": (
        "falcon",
        {**NEOX, "alibi": True, "multi_query": True, "parallel_attn": False, "bias": True},
    ),
    "stablelm": ("stablelm", SIZE),
    "starcoder2": ("starcoder2", SIZE),
    "mixtral": ("mixtral", {**SIZE, "num_local_experts": 4, "num_experts_per_tok": 2}),
    "qwen3_moe": (
        "qwen3_moe",
        {**SIZE, "head_dim": 8, "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 24},
    ),
    "mpt": ("mpt", {"d_model": 32, "n_layers": 4, "n_heads": 4, "max_seq_len": 256}),
    "gpt_bigcode": ("gpt_bigcode", GPT),
}


@functools.cache
def tiny_tokenizer() -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer (leading spaces inside tokens, characters of several tokens) with three specials."""
    trained = ByteLevelBPETokenizer(add_prefix_space=False)
    trained.train_from_iterator(
        CORPUS, vocab_size=400, min_frequency=2, special_tokens=["<pad>", "<s>", "</s>"], show_progress=False
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=trained._tokenizer, pad_token="<pad>", bos_token="<s>", eos_token="</s>"
    )


def tiny_model(family: str, seed: int = 0, padding: int = 8, **config: Any) -> Any:
    """A random model in memory. Norms and biases are random too, so that a norm applied twice shows."""
    model_type, needed = FAMILIES[family]
    tokenizer = tiny_tokenizer()
    ids = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    settings = CONFIG_MAPPING[model_type](
        **{"vocab_size": len(tokenizer) + padding, **ids, **needed, **config}
    )
    with torch.random.fork_rng(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(seed)
        model = AutoModelForCausalLM.from_config(settings, dtype=torch.float32)
        with torch.no_grad():
            for name, weight in model.named_parameters():
                if weight.ndim == 1:
                    weight.add_(0.3 * torch.randn_like(weight))
                elif "embed" not in name:
                    weight.mul_(4)
    return model.eval()


def tiny_checkpoint(family: str, folder: str | Path, seed: int = 0, **config: Any) -> Path:
    """Writes the model and its tokenizer to `folder`; `config` overrides settings of the family."""
    path = Path(folder)
    tiny_model(family, seed, **config).save_pretrained(path)
    tiny_tokenizer().save_pretrained(path)
    return path


@functools.cache
def cached_checkpoint(family: str) -> Path:
    """The family's checkpoint with default settings, built once per process."""
    return tiny_checkpoint(family, Path(_home().name) / family)


@functools.cache
def _home() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="semhub-tiny-")
