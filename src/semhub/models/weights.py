"""Weights as numbers: read from files, are they finite, what is their hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import torch
from torch import Tensor

from semhub.errors import ModelError

Named = Iterable[tuple[str, Tensor]]


def stored(folder: Path) -> Iterator[tuple[str, Tensor]]:
    """Every tensor of the checkpoint, mapped from disk; .bin files through `weights_only`."""
    for path in _shards(folder):
        if path.suffix == ".safetensors":
            from safetensors import safe_open

            with safe_open(path, framework="pt") as file:
                for name in file.keys():  # noqa: SIM118 (a safetensors file is no mapping)
                    yield name, file.get_tensor(name)
        else:
            yield from torch.load(path, map_location="cpu", weights_only=True, mmap=True).items()


def not_finite(weights: Named) -> list[str]:
    """Names of the floating-point tensors that hold a NaN or an infinity."""
    return [name for name, weight in weights if _readable(weight) and not _finite(weight)]


def sha256(weights: Named) -> str:
    """SHA-256 over names, shapes, dtypes and bytes, in the order of the names."""
    digest = hashlib.sha256()
    for name, weight in sorted(weights, key=lambda pair: pair[0]):
        digest.update(f"{name} {tuple(weight.shape)} {weight.dtype}\n".encode())
        if not weight.is_meta:
            raw = weight.detach().contiguous().flatten().view(torch.uint8).cpu()
            digest.update(raw.numpy().data)
    return digest.hexdigest()


def _readable(weight: Tensor) -> bool:
    return (
        weight.is_floating_point() and weight.element_size() > 1 and weight.numel() > 0 and not weight.is_meta
    )


def _finite(weight: Tensor) -> bool:
    # Minimum and maximum carry a NaN along and need no copy of the tensor.
    return all(bool(torch.isfinite(bound)) for bound in torch.aminmax(weight.detach()))


def _shards(folder: Path) -> list[Path]:
    """The files an index names, or all of one kind; safetensors before .bin."""
    for pattern, index in (
        ("*.safetensors", "model.safetensors"),
        ("pytorch_model*.bin", "pytorch_model.bin"),
    ):
        listing = folder / f"{index}.index.json"
        if listing.is_file():
            named = {folder / name for name in json.loads(listing.read_text("utf-8"))["weight_map"].values()}
            missing = sorted(path.name for path in named if not path.is_file())
            if missing:
                raise ModelError(
                    f"{folder.name}: the shard {missing[0]} that {listing.name} names is missing."
                )
            return sorted(named)
        if found := sorted(folder.glob(pattern)):
            return found
    raise ModelError(
        f"{folder.name} holds no weights: no *.safetensors and no pytorch_model*.bin in the folder."
    )
