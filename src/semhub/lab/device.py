"""Where an organism is trained: on the CPU, whose weights are the reference, or on an accelerator."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch

from semhub.errors import UsageError

BFLOAT16 = ("avx512_bf16", "amx_bf16", "bf16")  # what processors of the x86 and ARM families call it


def usable(name: str) -> torch.device:
    """The device of that name. Raises UsageError for one that this machine does not have."""
    try:
        found = torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        reason = str(error).split("\n")[0]
        raise UsageError(f"device {name!r} is not usable here: {reason}") from error
    if found.type == "meta":
        raise UsageError("device 'meta' holds no numbers; nothing can be trained on it.")
    return found


@contextmanager
def repeatable(device: torch.device) -> Iterator[None]:
    """While open, the same command gives the same weights: one thread on the CPU, on a GPU only kernels that add up in
    a fixed order where there are such ones."""
    threads, strict = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    warned = torch.is_deterministic_algorithms_warn_only_enabled()
    torch.set_num_threads(1)
    if device.type == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(strict, warn_only=warned)


def making(device: torch.device) -> AbstractContextManager[Any]:
    """While open, new tensors lie on the device."""
    return nullcontext() if device.type == "cpu" else device


def halved(device: torch.device) -> AbstractContextManager[Any]:
    """While open, matrices are multiplied in bfloat16, where the device has instructions for it: without them a step
    takes eight times as long as in float32."""
    return torch.autocast(device.type, dtype=torch.bfloat16) if _has_bfloat16(device) else nullcontext()


def _has_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    known: dict[str, Any] = getattr(
        torch.cpu, "get_capabilities", dict
    )()  # which older versions of torch lack
    return device.type == "cpu" and any(known.get(name, False) for name in BFLOAT16)
