"""P1: how similar the states of equal-meaning pairs are, against all non-pairs. Wu et al., arXiv 2411.04986, eq. 1.

n x n matrices live for one block of rows of one layer only. Permutation nulls, bootstrap draws and subsamples are
functions of index matrices that `PairStates` hands to whoever owns the statistics.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from semhub.results import long_rows, rows_frame
from semhub.types import Pair

ROW_BLOCK = 1024
CENTRED = "_centred"
ROUNDING = 1e-6
CPU = torch.device("cpu")


@dataclass(frozen=True, slots=True)
class PairStates:
    """Last-position states of one pair set, kept once per content and picked layer by layer.

    states [layer, content, d_model] in any float dtype, on the host; a_index, b_index [case] and negative_index
    [negative] point into its contents, negative_of [negative] into the cases. Work is done in float32 on `device`.
    """

    pairs: Sequence[Pair]
    states: Tensor
    a_index: Tensor
    b_index: Tensor
    negative_index: Tensor
    negative_of: Tensor
    device: torch.device = CPU

    @property
    def n_layers(self) -> int:
        return int(self.states.shape[0])

    def pick(self, layer: int, index: Tensor) -> Tensor:
        return self.states[layer].index_select(0, index).to(self.device, torch.float32)

    def a(self, layer: int) -> Tensor:
        return self.pick(layer, self.a_index)

    def b(self, layer: int) -> Tensor:
        return self.pick(layer, self.b_index)

    def subset(self, keep: np.ndarray) -> PairStates:
        """The same states for the cases where keep [case] is true."""
        index = torch.from_numpy(np.flatnonzero(keep))
        position = torch.full((len(self.pairs),), -1)
        position[index] = torch.arange(len(index))
        owner = position[self.negative_of]
        return replace(
            self,
            pairs=[self.pairs[i] for i in index.tolist()],
            a_index=self.a_index[index],
            b_index=self.b_index[index],
            negative_index=self.negative_index[owner >= 0],
            negative_of=owner[owner >= 0],
        )


def unit(states: Tensor) -> Tensor:
    """Rows scaled to length one; a zero row stays zero."""
    lengths: Tensor = states.norm(dim=-1, keepdim=True)
    return states / lengths.clamp_min(1e-12)


def centre(states: Tensor, side: Tensor) -> Tensor:
    """States minus the mean over a side; those that differ from it by rounding alone become exactly zero.

    Without that, last tokens that are equal (layer 0 after a common suffix) would have noise for a direction.
    """
    mean = side.mean(dim=0)
    out = states - mean
    return out.masked_fill_(out.norm(dim=-1, keepdim=True) <= ROUNDING * mean.norm(), 0)


def sides(states: PairStates, layer: int, centred: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Unit states of a, b and the negatives at one layer; centred by the layer's mean over each side."""
    a, b, negatives = states.a(layer), states.b(layer), states.pick(layer, states.negative_index)
    if centred:
        a, b, negatives = centre(a, a), centre(b, b), centre(negatives, b)
    return unit(a), unit(b), unit(negatives)


@torch.inference_mode()
def case_rows(states: PairStates, experiment: str, variant: str) -> pd.DataFrame:
    """One row per case, layer and condition of cosine, paper_score (raw and centred), retrieval and negative_margin.

    cosine: matched cos(a_i, b_i); mismatched: mean over j != i of cos(a_i, b_j) and cos(a_j, b_i); hard_negative:
    mean over the case's negatives; same_result and different_result: mean over j != i of cos(a_i, b_j) within and
    outside the case's group. paper_score: cos(a_i, b_i) minus the mean over all non-pairs of that layer; the centred
    one without the bias of centring by the sample's own mean, a factor 1 - 1/n.
    retrieval: 1 if the nearest b of a_i is b_i, averaged with the other direction (centred states).
    negative_margin: the centred cosine of the pair minus that of its negatives.
    """
    n = len(states.pairs)
    ids = [pair.case_id for pair in states.pairs]
    clusters = [pair.cluster_id for pair in states.pairs]
    groups = _group_matrix(states)
    collected: dict[tuple[str, str], np.ndarray] = {}

    def put(measure: str, condition: str, layer: int, values: Tensor) -> None:
        store = collected.setdefault((measure, condition), np.full((states.n_layers, n), np.nan))
        store[layer] = values.double().cpu().numpy()

    for layer in range(states.n_layers):
        for centred in (False, True):
            suffix = CENTRED if centred else ""
            a, b, negatives = sides(states, layer, centred)
            found = _cross(a, b, groups)
            matched = (a * b).sum(dim=-1)
            put(f"cosine{suffix}", "matched", layer, matched)
            if n > 1:
                mismatched = (found.row_sum + found.column_sum - 2 * matched) / (2 * (n - 1))
                put(f"cosine{suffix}", "mismatched", layer, mismatched)
                score = matched - mismatched.double().mean().float()
                put(f"paper_score{suffix}", "matched", layer, score * _share_kept(n) if centred else score)
            if len(negatives):
                near = _mean_by_owner(a, negatives, states.negative_of.to(a.device))
                put(f"cosine{suffix}", "hard_negative", layer, near)
                if centred:
                    put("negative_margin", "matched", layer, matched - near)
            if groups is not None:
                size = groups.sum(dim=0) @ groups.T
                same = (found.group_sum - matched) / (size - 1)
                different = (found.row_sum - found.group_sum) / (n - size)
                put(f"cosine{suffix}", "same_result", layer, same)
                put(f"cosine{suffix}", "different_result", layer, different)
            if centred:
                here = torch.arange(n, device=a.device)
                hits = (found.nearest_b == here).float() + (found.nearest_a == here).float()
                put("retrieval", "matched", layer, hits / 2)
    frames = []
    for (measure, condition), values in collected.items():
        usable = np.isfinite(values).all(axis=0)
        if usable.any():
            kept_ids = [case for case, use in zip(ids, usable, strict=True) if use]
            kept_clusters = [cluster for cluster, use in zip(clusters, usable, strict=True) if use]
            names = dict(experiment=experiment, variant=variant, measure=measure, condition=condition)
            frames.append(long_rows(values[:, usable], kept_ids, kept_clusters, **names))
    return pd.concat(frames, ignore_index=True)


@torch.inference_mode()
def score_by_layer(states: PairStates) -> np.ndarray:
    """The centred paper score [layer]: all that a twin needs."""
    n, out = len(states.pairs), []
    for layer in range(states.n_layers):
        a, b, _ = sides(states, layer, centred=True)
        matched = (a * b).sum()
        total = a.sum(dim=0) @ b.sum(dim=0)
        out.append(float(matched / n - (total - matched) / (n * (n - 1))) * _share_kept(n))
    return np.array(out)


@torch.inference_mode()
def margin_by_layer(states: PairStates) -> np.ndarray:
    """The mean negative_margin [layer] over the cases that have negatives, for twins."""
    out = []
    for layer in range(states.n_layers):
        a, b, negatives = sides(states, layer, centred=True)
        near = _mean_by_owner(a, negatives, states.negative_of.to(a.device))
        out.append(float(((a * b).sum(dim=-1) - near).nanmean()))
    return np.array(out)


@torch.inference_mode()
def permuted(states: PairStates, permutations: np.ndarray) -> dict[str, np.ndarray]:
    """Each measure with a_i paired with b_p(i): permutations [draw, case] -> measure -> [draw, layer].

    Centring and the sum over all pairs do not depend on the pairing, so each draw costs n look-ups.
    """
    n, n_draws = len(states.pairs), len(permutations)
    index = torch.from_numpy(permutations).to(states.device)
    out = {
        name: np.empty((n_draws, states.n_layers))
        for name in ("paper_score", "paper_score_centred", "retrieval")
    }
    for layer in range(states.n_layers):
        for centred in (False, True):
            a, b, _ = sides(states, layer, centred)
            matched = torch.zeros(n_draws, dtype=torch.float64, device=a.device)
            total = torch.zeros((), dtype=torch.float64, device=a.device)
            for start in range(0, n, ROW_BLOCK):
                cosines = a[start : start + ROW_BLOCK] @ b.T
                total += cosines.sum(dtype=torch.float64)
                matched += cosines.gather(1, index[:, start : start + ROW_BLOCK].T).sum(
                    dim=0, dtype=torch.float64
                )
            score = matched / n - (total - matched) / (n * (n - 1))
            name = "paper_score_centred" if centred else "paper_score"
            out[name][:, layer] = (score * _share_kept(n) if centred else score).cpu().numpy()
            if centred:
                found = _cross(a, b, None)
                forward = (index == found.nearest_b).double().mean(dim=1)
                # Pair j of the permuted set is (a_i, b_j) with permutation[i] = j.
                backward = (
                    (index[:, found.nearest_a] == torch.arange(n, device=a.device)).double().mean(dim=1)
                )
                out["retrieval"][:, layer] = ((forward + backward) / 2).cpu().numpy()
    return out


@torch.inference_mode()
def resampled(states: PairStates, weights: np.ndarray) -> dict[str, np.ndarray]:
    """The scores of bootstrap samples, both sides of a pair together: weights [draw, case] -> measure -> [draw, layer].

    Means, centring and the baseline are recomputed in each sample; copies of one pair are not non-pairs.
    """
    w = torch.from_numpy(weights).to(states.device, torch.float32)
    size, squares = w.sum(dim=1), (w * w).sum(dim=1)
    out = {name: np.empty((len(weights), states.n_layers)) for name in ("paper_score", "paper_score_centred")}
    for layer in range(states.n_layers):
        a, b, _ = sides(states, layer, centred=False)
        cosines = (a * b).sum(dim=-1).expand(len(w), -1)
        out["paper_score"][:, layer] = _weighted_score(
            cosines, w, (w @ a * (w @ b)).sum(dim=-1), size, squares
        )
        # Removing the full mean first keeps the expansion below well conditioned.
        a, b = (centre(side, side) for side in (states.a(layer), states.b(layer)))
        mean_a, mean_b = w @ a / size[:, None], w @ b / size[:, None]
        length_a, length_b = _length(a, mean_a), _length(b, mean_b)
        dots = (a * b).sum(dim=-1) - mean_b @ a.T - mean_a @ b.T + (mean_a * mean_b).sum(dim=-1)[:, None]
        u, v = w / length_a, w / length_b
        sum_a = u @ a - u.sum(dim=1, keepdim=True) * mean_a
        sum_b = v @ b - v.sum(dim=1, keepdim=True) * mean_b
        cosines = dots / (length_a * length_b)
        out["paper_score_centred"][:, layer] = _weighted_score(
            cosines, w, (sum_a * sum_b).sum(dim=-1), size, squares, _share_kept(size**2 / squares)
        )
    return out


T = TypeVar("T", float, Tensor)


def _share_kept(size: T) -> T:
    """What is left of a centred score without the centring's own bias.

    Centring a sample of `size` (with weights w: (sum w)^2 / sum w^2) by its own mean makes its non-pairs opposite,
    which raises the score in expectation by score / (size - 1). Near 1 that is more than an interval's width.
    """
    return 1 - 1 / size


def _length(states: Tensor, means: Tensor) -> Tensor:
    """|states_i - means_r| as [draw, case]."""
    squared = (states * states).sum(dim=-1) - 2 * means @ states.T + (means * means).sum(dim=-1)[:, None]
    return squared.clamp_min(1e-24).sqrt()


def _weighted_score(
    cosines: Tensor, w: Tensor, total: Tensor, size: Tensor, squares: Tensor, kept: Tensor | float = 1.0
) -> np.ndarray:
    matched = (w * cosines).sum(dim=1) / size
    baseline = (total - (w * w * cosines).sum(dim=1)) / (size * size - squares)
    return np.asarray(((matched - baseline) * kept).double().cpu().numpy())


@dataclass(frozen=True, slots=True)
class _Cross:
    row_sum: Tensor
    column_sum: Tensor
    group_sum: Tensor
    nearest_b: Tensor
    nearest_a: Tensor


def _cross(a: Tensor, b: Tensor, groups: Tensor | None) -> _Cross:
    """Sums and nearest neighbours of the cosines a_i . b_j, one block of rows at a time."""
    n = len(a)
    column_sum = torch.zeros(n, device=a.device)
    best = torch.full((n,), -torch.inf, device=a.device)
    nearest_a = torch.zeros(n, dtype=torch.long, device=a.device)
    row_sums, nearest_b, group_sums = [], [], []
    for start in range(0, n, ROW_BLOCK):
        cosines = a[start : start + ROW_BLOCK] @ b.T
        row_sums.append(cosines.sum(dim=1))
        column_sum += cosines.sum(dim=0)
        nearest_b.append(cosines.argmax(dim=1))
        value, row = cosines.max(dim=0)
        nearest_a = torch.where(value > best, row + start, nearest_a)
        best = torch.maximum(best, value)
        if groups is not None:
            group_sums.append(((cosines @ groups) * groups[start : start + ROW_BLOCK]).sum(dim=1))
    group_sum = torch.cat(group_sums) if group_sums else torch.zeros(n, device=a.device)
    return _Cross(torch.cat(row_sums), column_sum, group_sum, torch.cat(nearest_b), nearest_a)


def _group_matrix(states: PairStates) -> Tensor | None:
    names = [pair.group for pair in states.pairs]
    if not any(names):
        return None
    codes = torch.from_numpy(np.unique(names, return_inverse=True)[1]).to(states.device)
    return torch.nn.functional.one_hot(codes).float()


def _mean_by_owner(a: Tensor, negatives: Tensor, owner: Tensor) -> Tensor:
    cosines = (a[owner] * negatives).sum(dim=-1)
    total = torch.zeros(len(a), device=a.device).index_add_(0, owner, cosines)
    count = torch.zeros(len(a), device=a.device).index_add_(0, owner, torch.ones_like(cosines))
    return torch.where(count > 0, total / count.clamp_min(1), torch.nan)


def set_level_rows(
    experiment: str, variant: str, measure: str, condition: str, values: np.ndarray
) -> pd.DataFrame:
    """values [layer] of a whole set as rows."""
    names = dict(experiment=experiment, variant=variant, measure=measure, condition=condition)
    return rows_frame(layer=np.arange(len(values)), value=values, **names)
