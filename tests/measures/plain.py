"""Plain references in float64 numpy, written from the definitions: loops over pairs, dense matrices, no tricks."""

from __future__ import annotations

import numpy as np
import torch

from semhub.measures.similarity import PairStates
from semhub.types import Content, Pair


def cosine(x: np.ndarray, y: np.ndarray) -> float:
    return float(x @ y / np.sqrt((x @ x) * (y @ y)))


def centred(states: np.ndarray) -> np.ndarray:
    return states - states.mean(axis=0)


def paper_score(a: np.ndarray, b: np.ndarray) -> float:
    """Mean cosine of the pairs minus the mean cosine over all (i, j != i)."""
    n = len(a)
    matched = [cosine(a[i], b[i]) for i in range(n)]
    others = [cosine(a[i], b[j]) for i in range(n) for j in range(n) if i != j]
    return float(np.mean(matched) - np.mean(others))


def retrieval(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """[case]: half for b_i nearest to a_i among all b, half for a_i nearest to b_i among all a."""
    table = np.array([[cosine(x, y) for y in b] for x in a])
    forward = np.array([table[i].argmax() == i for i in range(len(a))], dtype=float)
    backward = np.array([table[:, i].argmax() == i for i in range(len(a))], dtype=float)
    return (forward + backward) / 2


def score_of_list(a: np.ndarray, b: np.ndarray, drawn: list[int], centre: bool) -> float:
    """The paper score of a list of pairs with repeats; two copies of one pair are no non-pair."""
    a, b = a[drawn], b[drawn]
    if centre:
        a, b = centred(a), centred(b)
    matched = [cosine(x, y) for x, y in zip(a, b, strict=True)]
    others = [
        cosine(a[i], b[j]) for i in range(len(drawn)) for j in range(len(drawn)) if drawn[i] != drawn[j]
    ]
    return float(np.mean(matched) - np.mean(others))


def neighbours(x: np.ndarray, k: int) -> list[set[int]]:
    out = []
    for i in range(len(x)):
        near = sorted((-cosine(x[i], x[j]), j) for j in range(len(x)) if j != i)
        out.append({j for _, j in near[:k]})
    return out


def mutual_knn(a: np.ndarray, b: np.ndarray, k: int) -> float:
    near_a, near_b = neighbours(a, k), neighbours(b, k)
    return float(np.mean([len(near_a[i] & near_b[i]) / k for i in range(len(a))]))


def hsic(k: np.ndarray, m: np.ndarray) -> float:
    """The unbiased estimator HSIC_1 of Song et al. 2012, equation (5)."""
    n = len(k)
    k, m = k - np.diag(np.diag(k)), m - np.diag(np.diag(m))
    one = np.ones(n)
    total = np.trace(k @ m) + (one @ k @ one) * (one @ m @ one) / ((n - 1) * (n - 2))
    return float((total - 2 / (n - 2) * (one @ k @ m @ one)) / (n * (n - 3)))


def cka(a: np.ndarray, b: np.ndarray) -> float:
    k, m = a @ a.T, b @ b.T
    return hsic(k, m) / float(np.sqrt(hsic(k, k) * hsic(m, m)))


def double_centre(m: np.ndarray) -> np.ndarray:
    """c_i = M_ii - M_i. - M_.i + M_.. of a square matrix [position, word]."""
    return np.diag(m) - m.mean(axis=1) - m.mean(axis=0) + m.mean()


def log_softmax(logits: np.ndarray) -> np.ndarray:
    highest = logits.max(axis=-1, keepdims=True)
    return logits - highest - np.log(np.exp(logits - highest).sum(axis=-1, keepdims=True))


def pair_states(
    a: np.ndarray,
    b: np.ndarray,
    *,
    clusters: list[str] | None = None,
    groups: list[str] | None = None,
    negatives: dict[int, np.ndarray] | None = None,
    dtype: torch.dtype = torch.float32,
) -> PairStates:
    """a, b [layer, case, d_model] and negatives case -> [layer, negative, d_model] as `PairStates`."""
    n, negatives = a.shape[1], negatives or {}
    owner = [i for i, states in negatives.items() for _ in range(states.shape[1])]
    pairs = [
        Pair(
            f"case {i}",
            clusters[i] if clusters else f"cluster {i}",
            Content.of(f"a{i}"),
            Content.of(f"b{i}"),
            tuple(Content.of(f"n{i}.{k}") for k in range(negatives[i].shape[1] if i in negatives else 0)),
            groups[i] if groups else "",
        )
        for i in range(n)
    ]
    states = np.concatenate([a, b, *negatives.values()], axis=1)
    return PairStates(
        pairs=pairs,
        states=torch.from_numpy(states).to(dtype),
        a_index=torch.arange(n),
        b_index=torch.arange(n) + n,
        negative_index=torch.arange(len(owner)) + 2 * n,
        negative_of=torch.tensor(owner, dtype=torch.long),
    )


def beyond_one_pattern(m: np.ndarray, own: list[int]) -> np.ndarray:
    """m less a_i + b_j + s_i p_j, by filling each own cell with its fitted value, a thousand times over."""
    n, cases = len(m), np.arange(len(m))
    alone = np.array([own.count(j) == n for j in range(m.shape[1])])
    others = np.ones(m.shape, dtype=bool)
    others[cases, own] = False
    filled = np.where(others, m, np.nan)
    start = np.nanmean(filled, axis=1)
    for i, j in enumerate(own):
        column = 0.0 if alone[j] else np.nanmean(np.where(others, m, np.nan)[:, j])
        filled[i, j] = start[i] + column - start.mean()
    for _ in range(1000):
        left = double_centred(filled)
        u, size, v = np.linalg.svd(left, full_matrices=False)
        fitted = filled - left + size[0] * np.outer(u[:, 0], v[0])
        filled = np.where(others, m, fitted)
    return np.where(alone, 0.0, m - fitted)


def double_centred(m: np.ndarray) -> np.ndarray:
    return m - m.mean(axis=0) - m.mean(axis=1, keepdims=True) + m.mean()
