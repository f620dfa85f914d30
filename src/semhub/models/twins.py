"""Twins: a model of the same class and configuration with new weights, some of them the trained ones."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import torch

from semhub.errors import ModelError


def fresh(model: Any, seed: int) -> Any:
    """The same class and configuration with weights from the class's own initialisation and `seed`."""
    devices = [model.device] if model.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices), torch.device(model.device):
        torch.manual_seed(seed)
        build = getattr(type(model), "_from_config", None)
        parameters = inspect.signature(type(model).__init__).parameters
        if build is None or len(parameters) < 2:
            raise ModelError(f"{type(model).__name__} cannot be built from its configuration alone.")
        new = build(model.config, dtype=model.dtype, attn_implementation=model.config._attn_implementation)
        _wake(model, new)
    return new.to(model.device).eval()


@torch.no_grad()
def _wake(trained: Any, new: Any) -> None:
    """A matrix that the class leaves at zero for the checkpoint to fill (Gemma 3's projection of pictures) is drawn."""
    std = float(getattr(new.config.get_text_config(), "initializer_range", 0.02) or 0.02)
    weights = dict(trained.named_parameters())
    for name, weight in new.named_parameters():
        if weight.ndim > 1 and not bool(weight.any()) and bool(weights[name].any()):
            weight.normal_(0.0, std)


@torch.no_grad()
def copy_embeddings(trained: Any, new: Any) -> None:
    """Copies the input and output embeddings."""
    new.get_input_embeddings().weight.copy_(trained.get_input_embeddings().weight)
    new.get_output_embeddings().load_state_dict(trained.get_output_embeddings().state_dict())


@torch.no_grad()
def copy_all_but(trained: Any, new: Any, parts: Sequence[torch.nn.Module]) -> None:
    """Copies what makes the states of layer 0, with towers and encoders: all weights outside `parts` of `trained`."""
    inside = {id(weight) for part in parts for weight in part.parameters()}
    weights = dict(new.named_parameters())
    for name, weight in trained.named_parameters():
        if id(weight) not in inside:
            weights[name].copy_(weight)
    buffers = dict(new.named_buffers())
    for name, value in trained.named_buffers():
        if name in buffers and buffers[name].shape == value.shape:
            buffers[name].copy_(value)
