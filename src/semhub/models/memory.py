"""A device that has run out of memory: told apart from other errors, and given back what is unused."""

from __future__ import annotations

import torch


def out_of_memory(error: Exception) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def release(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.empty_cache()
