"""Activation addition against isotropic noise: the dominant language's direction of two words, added mid-way.

While the model reads the spoke, U[new] - U[old] (unembedding rows of dominant words: old is the coming word, new
that of another case) is added at the middle layer to the last position, as long as the state itself. Claimed if
it raises log p(new) - log p(old) of the *spoke's* words at the output more than an equally long random vector.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from semhub.capture import capture_all
from semhub.generate import next_logprobs
from semhub.lab.prove.cases import Claim, SpokeCases
from semhub.lab.prove.rivals._tests import mean_above_zero
from semhub.measures.words import Ready
from semhub.models.base import Adapter, Encoded
from semhub.steer import Intervention

NAME = "steering against noise"
PREDICTION = "P3"
SOURCE = (
    "Turner et al. 2023, arXiv 2308.10248, with the control of equal-norm Gaussian vectors; t-test over cases"
)
CASES = 150


@dataclass(frozen=True, slots=True)
class Trial:
    """Cases of different contents, and the words (indices into ready.forms) of old and new by condition."""

    case: np.ndarray
    old: dict[str, np.ndarray]
    new: dict[str, np.ndarray]


@torch.inference_mode()
def claims(model: Adapter, cases: SpokeCases) -> Claim:
    rng = cases.rng(NAME)
    ready = cases.ready(model)
    trial = _trial(ready, rng)
    if trial is None:
        return Claim(False, 1.0, float("nan"))
    layer, n = model.n_layers // 2, len(trial.case)
    prompts = [ready.encoded[ready.content[i]].beginning(int(ready.position[i]) + 1) for i in trial.case]
    length = capture_all(model, prompts, layers=[layer]).values[0].norm(dim=-1, keepdim=True)
    before = _contrast(model, ready, trial, prompts)
    direction = _direction(model, ready, trial)
    noise = torch.from_numpy(rng.normal(size=tuple(direction.shape))).float()
    gains = []
    for vectors in (direction, noise):
        vectors = vectors / vectors.norm(dim=-1, keepdim=True).clamp_min(1e-12) * length
        added = Intervention(layer, "add", vectors, torch.arange(n), torch.ones(n))
        gains.append(_contrast(model, ready, trial, prompts, [added]) - before)
    found = mean_above_zero((gains[0] - gains[1])[None])
    return Claim(found.claimed, found.p, found.effect, layer)


def _trial(ready: Ready, rng: np.random.Generator) -> Trial | None:
    """Up to CASES cases of different contents, each with another case's words; None if fewer than two are left."""
    if not ready.cases:
        return None
    order = rng.permutation(len(ready.cases))
    first = order[np.unique(ready.content[order], return_index=True)[1]]
    chosen = rng.permutation(first)[:CASES]
    other = np.roll(chosen, 1)
    words = {name: np.array([group[0] for group in ready.groups[name]]) for name in ("dominant", "surface")}
    differs = np.logical_and.reduce([of[chosen] != of[other] for of in words.values()])
    chosen, other = chosen[differs], other[differs]
    if len(chosen) < 2:
        return None
    return Trial(
        chosen, {k: of[chosen] for k, of in words.items()}, {k: of[other] for k, of in words.items()}
    )


def _direction(model: Adapter, ready: Ready, trial: Trial) -> Tensor:
    """U[new] - U[old] of the dominant words [case, d_model], each the mean over the word's forms."""
    weight = model.unembedding.weight

    def row(word: int) -> Tensor:
        forms = ready.forms[word]
        return weight[ready.targets[forms[forms >= 0]].to(weight.device)].float().mean(dim=0).cpu()

    pairs = zip(trial.new["dominant"].tolist(), trial.old["dominant"].tolist(), strict=True)
    return torch.stack([row(new) - row(old) for new, old in pairs])


def _contrast(
    model: Adapter, ready: Ready, trial: Trial, prompts: Sequence[Encoded], edits: Sequence[Intervention] = ()
) -> np.ndarray:
    """log p(new) - log p(old) of the surface words at the output [case]."""
    new, old = (ready.forms[torch.from_numpy(of["surface"])] for of in (trial.new, trial.old))
    columns = torch.cat([new, old], dim=1)
    tokens = ready.targets[columns.clamp_min(0)].masked_fill(columns < 0, -1)
    found = next_logprobs(model, prompts, range(len(prompts)), edits, tokens=tokens).double()
    width = new.shape[1]
    return np.asarray((found[:, :width].logsumexp(dim=1) - found[:, width:].logsumexp(dim=1)).numpy())
