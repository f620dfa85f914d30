"""Set-level comparisons of geometry, shown beside P1 and never part of a verdict.

mutual_knn: share of the k nearest neighbours of a_i among a that are also neighbours of b_i among b (cosine of
centred states; Huh et al. 2024). cka: linear CKA with the unbiased HSIC estimator (Song et al. 2012; Nguyen et
al. 2021), which is 0 on average for unrelated states whatever n and d are.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from semhub.measures.similarity import PairStates, centre, unit

NEIGHBOURS = 10
MEASURES = ("mutual_knn", "cka")


@torch.inference_mode()
def overlap_and_cka(states: PairStates, permutations: np.ndarray) -> dict[str, np.ndarray]:
    """mutual_knn and cka with the b side permuted: permutations [draw, case] -> measure -> [draw, layer].

    The identity permutation gives the observed value; NaN where a side does not vary. Needs at least 4 pairs.
    """
    index = torch.from_numpy(permutations).to(states.device)
    out = {name: np.empty((len(permutations), states.n_layers)) for name in MEASURES}
    for layer in range(states.n_layers):
        a, b = states.a(layer), states.b(layer)
        a, b = centre(a, a), centre(b, b)
        # States that do not vary have no neighbours, only ties, whose order would agree on both sides.
        varies = bool(a.any()) and bool(b.any())
        out["mutual_knn"][:, layer] = _overlap(unit(a), unit(b), index) if varies else np.nan
        out["cka"][:, layer] = _cka(a, b, index)
    return out


def _overlap(a: Tensor, b: Tensor, index: Tensor) -> np.ndarray:
    k = min(NEIGHBOURS, len(a) - 1)
    near_a, near_b = _neighbours(a, k), _neighbours(b, k)
    out = []
    for permutation in index:
        # Case i is now (a_i, b_p(i)); its neighbours j among a stand for b_p(j).
        mapped, own = permutation[near_a], near_b[permutation]
        out.append((mapped[:, :, None] == own[:, None, :]).sum(dim=(1, 2)).double().mean() / k)
    return np.asarray(torch.stack(out).cpu().numpy())


def _neighbours(states: Tensor, k: int, block: int = 1024) -> Tensor:
    found = []
    for start in range(0, len(states), block):
        cosines = states[start : start + block] @ states.T
        rows = torch.arange(len(cosines), device=states.device)
        cosines[rows, rows + start] = -torch.inf
        found.append(cosines.topk(k, dim=1).indices)
    return torch.cat(found)


def _cka(a: Tensor, b: Tensor, index: Tensor) -> np.ndarray:
    """Unbiased linear CKA for each permutation of b's rows, from n x d products (no n x n matrix is kept)."""
    scale_a, scale_b = a.norm().clamp_min(1e-30), b.norm().clamp_min(1e-30)
    a, b = a.double() / scale_a, b.double() / scale_b
    self_a, self_b = _hsic(a, a), _hsic(b, b)
    if self_a <= 0 or self_b <= 0:
        return np.full(len(index), np.nan)
    cross = torch.stack([_hsic(a, b[permutation]) for permutation in index])
    return np.asarray((cross / (self_a * self_b).sqrt()).cpu().numpy())


def _hsic(a: Tensor, b: Tensor) -> Tensor:
    """Unbiased HSIC of the linear kernels a a' and b b' with their diagonals removed (Song et al. 2012, eq. 5)."""
    n = len(a)
    square_a, square_b = (a * a).sum(dim=1), (b * b).sum(dim=1)
    if n <= a.shape[1]:
        trace = ((a @ a.T) * (b @ b.T)).sum() - (square_a * square_b).sum()
    else:
        trace = (a.T @ b).square().sum() - (square_a * square_b).sum()
    sums_a, sums_b = a @ a.sum(dim=0) - square_a, b @ b.sum(dim=0) - square_b
    product = sums_a.sum() * sums_b.sum() / ((n - 1) * (n - 2))
    return (trace + product - 2 * (sums_a @ sums_b) / (n - 2)) / (n * (n - 3))
