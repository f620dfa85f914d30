"""Weights as numbers: are they finite, what is their hash."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import torch
from torch import Tensor

Named = Iterable[tuple[str, Tensor]]


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
