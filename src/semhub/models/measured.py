"""How far apart two things are, and how far they may be: the deviations and tolerances of the self-checks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from semhub.models.base import Adapter
from semhub.models.structure import NEVER

EXACT = {torch.float64: 1e-9, torch.float32: 2e-5, torch.float16: 4e-3, torch.bfloat16: 2e-2}
BATCHED = {torch.float64: 1e-6, torch.float32: 1e-4, torch.float16: 3e-2, torch.bfloat16: 1e-1}
QUANTISED = 0.2


@dataclass(frozen=True, slots=True)
class Measured:
    """What one check found; `why` says more where the deviation alone would not."""

    deviation: float
    tolerance: float
    why: str = ""


def allowance(adapter: Adapter, table: dict[torch.dtype, float]) -> float:
    """What EXACT or BATCHED allow a model of that dtype."""
    if adapter.quantization:
        return QUANTISED if table is BATCHED else EXACT[torch.bfloat16]
    return table.get(adapter.dtype, table[torch.bfloat16])


def apart(one: Tensor, other: Tensor) -> float:
    """Relative distance of states [layer, position, d_model]: mean over positions, the worst layer."""
    if one.shape != other.shape:
        return math.inf
    distance = (one - other).norm(dim=-1) / other.norm(dim=-1).clamp(min=1e-12)
    return float(distance.mean(dim=-1).amax())


def worst(deviations: Sequence[float]) -> float:
    """The largest, a NaN before all."""
    return next((value for value in deviations if math.isnan(value)), max(deviations))


def relative(one: Tensor, other: Tensor) -> float:
    """Largest difference of logits against the largest logit, over what the other does not mask."""
    if one.shape != other.shape:
        return math.inf
    said = other > NEVER
    one, other = one[said], other[said]
    return float((one.double() - other.double()).abs().max() / other.double().abs().max().clamp(min=1e-12))
