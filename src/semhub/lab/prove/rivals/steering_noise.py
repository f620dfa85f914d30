"""Activation addition against isotropic noise: the dominant language's direction of two words, added mid-way.

While the model reads the spoke, U[new] - U[old] (unembedding rows of dominant words: old is the coming word, new
that of another case) is added at the middle layer to the last position, as long as the state itself. Claimed if
it raises log p(new) - log p(old) of the *spoke's* words at the output more than an equally long random vector.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from semhub.capture import capture_all
from semhub.lab.prove.cases import Claim, SpokeCases
from semhub.lab.prove.rivals._tests import mean_above_zero
from semhub.lens import lens_input, read
from semhub.measures.words import Ready
from semhub.models.base import Adapter, Inputs
from semhub.steer import Edit, write

NAME = "steering against noise"
PREDICTION = "P3"
SOURCE = (
    "Turner et al. 2023, arXiv 2308.10248, with the control of equal-norm Gaussian vectors; t-test over cases"
)
CASES = 150


@dataclass(frozen=True, slots=True)
class Trial:
    """One position per content, longest first, and the words (indices into ready.forms) of old and new."""

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
    layer = model.n_layers // 2
    states = _run(model, ready, trial, [layer, model.n_layers])
    length = states[0].norm(dim=-1, keepdim=True)
    before = _contrast(model, ready, trial, states[1])
    direction = _direction(model, ready, trial)
    noise = torch.from_numpy(rng.normal(size=tuple(direction.shape))).float()
    gains = []
    for vectors in (direction, noise):
        vectors = vectors / vectors.norm(dim=-1, keepdim=True).clamp_min(1e-12) * length
        after = _run(model, ready, trial, [model.n_layers], {layer: vectors})[0]
        gains.append(_contrast(model, ready, trial, after) - before)
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
    longest = np.argsort(-ready.position[chosen], kind="stable")
    chosen, other = chosen[longest], other[longest]
    return Trial(
        chosen, {k: of[chosen] for k, of in words.items()}, {k: of[other] for k, of in words.items()}
    )


def _run(
    model: Adapter,
    ready: Ready,
    trial: Trial,
    layers: list[int],
    vectors: dict[int, Tensor] | None = None,
) -> Tensor:
    """States [layer, case, d_model] at each case's position, with `vectors` [case, d_model] added there.

    One batch, in the order in which `capture` runs it: longest first.
    """
    encoded = [ready.encoded[i] for i in ready.content[trial.case]]
    positions = ready.position[trial.case]

    def add(what: Tensor) -> Edit:
        def edit(states: Tensor, inputs: Inputs) -> Tensor:
            edited = states.clone()
            last = torch.tensor(inputs.lengths, device=states.device) - 1
            edited[torch.arange(len(states), device=states.device), last] += what.to(states)
            return edited

        return edit

    with write(model, {layer: add(what) for layer, what in (vectors or {}).items()}):
        states = capture_all(
            model,
            encoded,
            [[int(p)] for p in positions],
            layers=layers,
            batch_tokens=len(encoded) * int(positions.max() + 1),
        )
    return states.values


def _direction(model: Adapter, ready: Ready, trial: Trial) -> Tensor:
    """U[new] - U[old] of the dominant words [case, d_model], each the mean over the word's forms."""
    weight = model.unembedding.weight

    def row(word: int) -> Tensor:
        forms = ready.forms[word]
        return weight[ready.targets[forms[forms >= 0]].to(weight.device)].float().mean(dim=0).cpu()

    pairs = zip(trial.new["dominant"].tolist(), trial.old["dominant"].tolist(), strict=True)
    return torch.stack([row(new) - row(old) for new, old in pairs])


def _contrast(model: Adapter, ready: Ready, trial: Trial, states: Tensor) -> np.ndarray:
    """log p(new) - log p(old) of the surface words at the output [case]; states [case, d_model] of layer L."""
    placed = states[None].to(model.device, model.dtype)
    normed = lens_input(model, placed, [model.n_layers], "final_norm")[0]
    scores = read(model.unembedding, normed, targets=ready.targets).logprob.double().cpu()

    def of(words: np.ndarray) -> Tensor:
        forms = ready.forms[torch.from_numpy(words)]
        picked = scores.gather(1, forms.clamp_min(0)).masked_fill(forms < 0, -torch.inf)
        return picked.logsumexp(dim=1)

    return np.asarray((of(trial.new["surface"]) - of(trial.old["surface"])).numpy())
