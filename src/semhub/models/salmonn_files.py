"""SALMONN from the four parts of its release: Whisper, BEATs, a llama, and what was trained between them.

A YAML names them: `whisper` and `llama` (folders or Hub ids), `beats` (beats.pt: `cfg` and `model`) and `salmonn`
(salmonn_v1.pth: `model`). Paths are relative to the YAML. Names of tensors are those of the authors' release
(github.com/bytedance/SALMONN, github.com/microsoft/unilm/tree/master/beats).
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from semhub.errors import ModelError, SemhubError, UsageError
from semhub.models.beats import BeatsConfig
from semhub.models.salmonn import SalmonnConfig, SalmonnForConditionalGeneration
from semhub.models.salmonn_ear import SETTINGS, SalmonnEar
from semhub.models.salmonn_listing import LISTING, Listing, read_listing
from semhub.models.salmonn_weights import lay_out, lengthen, one, with_lora
from semhub.models.sources import HUB_ID, Source, local_folder, read_config
from semhub.models.weights import stored

PLACEHOLDER = "[PAD]"
TOKENIZERS = ("tokenizer.json", "tokenizer.model")  # the library makes up an empty one where both are missing
FETCHED = ["*.json", "*.model", "*.safetensors", "pytorch_model*"]
# Of BEATs' `cfg`, what would change the computation, and the only value that is read.
ONLY = {"activation_fn": "gelu", "layer_norm_first": False, "relative_position_embedding": True}


def read_salmonn(
    path: Path, arguments: dict[str, Any]
) -> tuple[SalmonnForConditionalGeneration, Any, SalmonnEar]:
    """(model with LoRA merged, fast tokenizer with `[PAD]`, ear) of a YAML file or a folder that holds salmonn.yaml.

    arguments: dtype and placement for `from_pretrained`; dtype "auto" is the llama's. Where the vocabulary lacks
    `[PAD]` it is added, with a row that is the mean of the others, as the placeholder of what is heard. Raises
    UsageError for a YAML that is not understood, ModelError naming the part that is missing, broken or misshapen.
    """
    from semhub.models.loading import read_tokenizer

    path = path / LISTING if path.is_dir() else path
    listing = read_listing(path)
    whisper = _folder(path, "whisper", listing.whisper, (SETTINGS,))
    llama = _folder(path, "llama", listing.llama, TOKENIZERS)
    saved = _saved(path, "beats", listing.beats)
    parts: dict[str, dict[str, Tensor]] = {
        "beats": dict(saved["model"]),
        "salmonn": dict(_saved(path, "salmonn", listing.salmonn)["model"]),
        "whisper": dict(_stored("whisper", whisper)),
        "llama": dict(_stored("llama", llama)),
    }
    with _of("llama"):
        tokenizer = read_tokenizer(str(llama), {"trust_remote_code": False})
        tokenizer.add_special_tokens({"pad_token": PLACEHOLDER})
        placeholder = int(tokenizer.convert_tokens_to_ids(PLACEHOLDER))
    config = _config(listing, whisper, llama, _beats_config(saved.get("cfg")), parts["salmonn"], placeholder)
    ear = _ear(whisper, config)
    weights = lay_out(config, parts)
    dtype = arguments.get("dtype", "auto")
    dtype = weights["lm_head.weight"].dtype if dtype == "auto" else dtype
    for name, merged in with_lora(weights, parts["salmonn"], listing.lora_alpha):
        weights[name] = merged.to(dtype)
    lengthen(config, weights)
    if config.tie_word_embeddings:
        del weights["lm_head.weight"]
    parts.clear()
    model, info = SalmonnForConditionalGeneration.from_pretrained(
        None, config=config, state_dict=weights, output_loading_info=True, **{**arguments, "dtype": dtype}
    )
    wrong = sorted(map(str, [*info["missing_keys"], *info["mismatched_keys"], *info["unexpected_keys"]]))
    if wrong:
        raise ModelError(f"{path.name}: {len(wrong)} tensors do not fit, the first is {wrong[0]}.")
    return model, tokenizer, ear


@contextmanager
def _of(part: str) -> Iterator[None]:
    """What goes wrong inside is a fault of that part, in one line."""
    try:
        yield
    except SemhubError as error:
        raise ModelError(f"SALMONN's part {part}: {error}") from error
    except Exception as error:  # of the libraries that read it
        if type(error).__name__ == "UnpicklingError":
            raise ModelError(
                f"SALMONN's part {part} holds more than tensors and plain values, or is cut off; such a file is not "
                "read."
            ) from error
        reason = " ".join(str(error).split())[:200]
        raise ModelError(f"SALMONN's part {part} cannot be read: {type(error).__name__}: {reason}") from error


def _folder(listing: Path, part: str, told: str, needed: tuple[str, ...]) -> Path:
    """The folder of a part, with one of the files `needed`, fetched from the Hub where it is none on this machine."""
    given = Path(told).expanduser()
    here = given if given.is_absolute() else listing.parent / given
    with _of(part):
        if not here.is_dir() and (given.is_absolute() or not HUB_ID.fullmatch(told)):
            raise ModelError(f"{here} is no folder.")
        source = Source(told, given.name, here if here.is_dir() else None)
        kind = read_config(source, None).get("model_type")
        if kind != part:
            raise ModelError(f"{told} is a {kind}, not a {part}.")
        folder = local_folder(source, FETCHED, None)
        if not any((folder / name).is_file() for name in needed):
            raise ModelError(f"{told} has no {' or '.join(needed)}.")
    return folder


def _stored(part: str, folder: Path) -> Iterator[tuple[str, Tensor]]:
    """Tensors of a folder, mapped from disk."""
    with _of(part):
        for name, tensor in stored(folder):
            yield (name.removeprefix("model.") if part == "whisper" else name), tensor


def _saved(listing: Path, part: str, told: str) -> dict[str, Any]:
    """A file that `torch.save` wrote, with a mapping of tensors under `model`."""
    path = listing.parent / Path(told).expanduser()
    with _of(part):
        if not path.is_file():
            raise ModelError(f"{path} is no file.")
        saved = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
        found = saved.get("model") if isinstance(saved, dict) else None
        if not isinstance(found, dict) or not all(isinstance(one, Tensor) for one in found.values()):
            raise ModelError(f"{path.name} holds no tensors under `model`.")
    return dict(saved)


def _beats_config(told: Any) -> BeatsConfig:
    with _of("beats"):
        if not isinstance(told, dict):
            raise ModelError("the file holds no settings under `cfg`.")
        for name, only in ONLY.items():
            if told.get(name, only) != only:
                raise ModelError(f"`cfg` says {name} {told[name]!r}; only {only!r} is read.")
        default = BeatsConfig()
        taken = {
            name: told[name] for name in vars(default) if name in told and name in BeatsConfig.__annotations__
        }
        for name, value in taken.items():
            if type(value) is not type(getattr(default, name)):
                raise ModelError(
                    f"`cfg` says {name} {value!r}, which is no {type(getattr(default, name)).__name__}."
                )
        return BeatsConfig(**taken)


def _config(
    listing: Listing,
    whisper: Path,
    llama: Path,
    beats: BeatsConfig,
    trained: Mapping[str, Tensor],
    placeholder: int,
) -> SalmonnConfig:
    from transformers import Blip2QFormerConfig, LlamaConfig, WhisperConfig

    with _of("whisper"):
        encoder = WhisperConfig.from_pretrained(str(whisper))
    with _of("llama"):
        text = LlamaConfig.from_pretrained(str(llama))
    query = one("salmonn", trained, "speech_query_tokens", 3)
    inner = one("salmonn", trained, "speech_Qformer.bert.encoder.layer.0.intermediate_query.dense.weight", 2)
    qformer = Blip2QFormerConfig(
        hidden_size=query.shape[2],
        num_hidden_layers=listing.qformer_layers,
        num_attention_heads=listing.qformer_heads,
        intermediate_size=inner.shape[0],
        encoder_hidden_size=encoder.d_model + beats.encoder_embed_dim,
        cross_attention_frequency=1,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    if qformer.hidden_size % listing.qformer_heads:
        raise UsageError(
            f"qformer_heads {listing.qformer_heads} does not divide the Q-Former's width {qformer.hidden_size}."
        )
    config = SalmonnConfig(
        whisper_config=encoder,
        beats_config=beats,
        qformer_config=qformer,
        text_config=text,
        audio_token_id=placeholder,
        window_seconds=listing.second_per_window,
        stride_seconds=listing.second_stride,
        num_query_tokens=query.shape[1],
        tie_word_embeddings=bool(text.tie_word_embeddings),
    )
    if min(config.window, config.stride) < 1 or not config.n_windows:
        raise UsageError(
            f"a window of {config.window} positions every {config.stride} does not fit Whisper's "
            f"{encoder.max_source_positions}: see second_per_window and second_stride."
        )
    return config


def _ear(whisper: Path, config: SalmonnConfig) -> SalmonnEar:
    with _of("whisper"):
        return SalmonnEar.read(whisper, config)
