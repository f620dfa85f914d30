"""The tensors of SALMONN's published parts by the names of our model: weight norm folded, LoRA merged."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from semhub.errors import ModelError
from semhub.models.salmonn import SalmonnConfig, SalmonnForConditionalGeneration

Tensors = Mapping[str, Tensor]

TRAINED = "llama_model.base_model.model."  # before the llama's own names, as peft writes them
LORA = re.compile(re.escape(TRAINED) + r"(.+)\.lora_([AB])(?:\.default)?\.weight")
ADAPTED = re.compile(r"model\.layers\.\d+\.self_attn\.[qv]_proj")  # in each block
# (our name's beginning, the part that holds it, the published name's beginning)
PLACES = (
    ("model.whisper.", "whisper", "encoder."),
    ("model.beats.", "beats", ""),
    ("model.qformer.layernorm.", "salmonn", "speech_Qformer.bert.embeddings.LayerNorm."),
    ("model.qformer.", "salmonn", "speech_Qformer.bert."),
    ("model.language_model.", "llama", "model."),
    ("model.", "salmonn", ""),
    ("", "llama", ""),
)


def lay_out(config: SalmonnConfig, parts: Mapping[str, Tensors]) -> dict[str, Tensor]:
    """Every tensor of the model, from the parts by name (`whisper`, `beats`, `salmonn`, `llama`), without LoRA.

    Raises ModelError naming the part and the published name of a tensor that is missing or of another shape.
    """
    with torch.device("meta"):
        wanted = SalmonnForConditionalGeneration(config).state_dict()
    weights: dict[str, Tensor] = {}
    for name, like in wanted.items():
        part, published = _published(name)
        if name == "lm_head.weight" and config.tie_word_embeddings:
            published = "model.embed_tokens.weight"
        if name == "model.beats.encoder.pos_conv.0.weight":
            found = unnormed(parts[part], published)
        else:
            found = one(part, parts[part], published, like.ndim)
        if found.shape != like.shape:
            raise ModelError(
                f"SALMONN's part {part}: the tensor {published} has the shape {tuple(found.shape)}, not "
                f"{tuple(like.shape)}."
            )
        weights[name] = found
    return weights


def one(part: str, tensors: Tensors, name: str, axes: int) -> Tensor:
    """The tensor of that published name. Raises ModelError where it is missing or has other axes."""
    if name not in tensors:
        raise ModelError(f"SALMONN's part {part}: the tensor {name} is missing.")
    if tensors[name].ndim != axes:
        raise ModelError(
            f"SALMONN's part {part}: the tensor {name} has the shape {tuple(tensors[name].shape)}, not {axes} axes."
        )
    return tensors[name]


def _published(name: str) -> tuple[str, str]:
    """The part that holds a tensor of ours and its name there."""
    ours, part, theirs = next(place for place in PLACES if name.startswith(place[0]))
    published = theirs + name.removeprefix(ours)
    if part == "beats":
        published = published.replace("encoder.relative", "encoder.layers.0.self_attn.relative")
    if part == "salmonn":
        published = published.replace("attention.attention.", "attention.self.")
    return part, published


def unnormed(tensors: Tensors, published: str) -> Tensor:
    """weight_g * weight_v / |weight_v|, the norm over all axes but the kernel's (Salimans & Kingma, 2016)."""
    size, direction = (one("beats", tensors, f"{published}_{letter}", 3) for letter in "gv")
    if size.shape != (1, 1, direction.shape[-1]):
        raise ModelError(
            f"SALMONN's part beats: the tensors {published}_g and {published}_v have the shapes {tuple(size.shape)} "
            f"and {tuple(direction.shape)}, which do not fit."
        )
    wide = direction.to(_wide(direction))
    folded: Tensor = size.to(wide) * wide / wide.norm(dim=(0, 1), keepdim=True)
    return folded


def with_lora(weights: Tensors, trained: Tensors, alpha: float) -> Iterator[tuple[str, Tensor]]:
    """(our name, W + alpha / rank * B A) of every matrix of the llama that was adapted, in float32 or wider.

    Hu et al., "LoRA" (arXiv 2106.09685). Raises ModelError for a query or value projection without both of its
    halves, for one that the llama lacks, and for one of another shape.
    """
    halves = {
        (found[1], found[2]): tensor for name, tensor in trained.items() if (found := LORA.fullmatch(name))
    }
    own = {_published(name)[1].removesuffix(".weight"): name for name in weights if "language_model" in name}
    adapted = {module for module in own if ADAPTED.fullmatch(module)} | {module for module, _ in halves}
    for module in sorted(adapted):
        for letter in "AB":
            if (module, letter) not in halves:
                raise ModelError(
                    f"SALMONN's part salmonn: the tensor {TRAINED}{module}.lora_{letter}.default.weight is missing."
                )
        if module not in own:
            raise ModelError(f"SALMONN's part salmonn: LoRA adapts {module}, which the llama lacks.")
        weight, down, up = weights[own[module]], halves[module, "A"], halves[module, "B"]
        if (
            weight.ndim != 2
            or down.shape != (len(down), weight.shape[1])
            or up.shape != (len(weight), len(down))
        ):
            raise ModelError(
                f"SALMONN's part salmonn: LoRA of {module} has the shapes {tuple(down.shape)} and {tuple(up.shape)}, "
                f"which do not fit {tuple(weight.shape)}."
            )
        wide = _wide(weight)
        yield own[module], weight.to(wide) + alpha / len(down) * (up.to(wide) @ down.to(wide))


def lengthen(config: SalmonnConfig, weights: dict[str, Tensor]) -> None:
    """Rows up to the placeholder's, each the mean of those that are there; the configuration follows."""
    text = config.text_config
    missing = config.audio_token_id + 1 - text.vocab_size
    if missing <= 0:
        return
    text.vocab_size += missing
    for name in ("model.language_model.embed_tokens.weight", "lm_head.weight"):
        rows = weights[name]
        mean = rows.mean(dim=0, keepdim=True, dtype=_wide(rows)).to(rows.dtype)
        weights[name] = torch.cat([rows, mean.expand(missing, -1)])


def _wide(tensor: Tensor) -> torch.dtype:
    return torch.promote_types(tensor.dtype, torch.float32)
