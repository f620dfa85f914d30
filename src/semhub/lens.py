"""The logit lens: the only code that turns residual-stream states into token scores.

Everything streams: rows x vocabulary is visited in tiles that fit the cache, and what is kept per row is its
log-normaliser, the scores of the wanted tokens, the top k and weighted sums of the probabilities.
Source: nostalgebraist, "interpreting GPT: the logit lens" (2020); Wu et al., arXiv 2411.04986, section 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from semhub.errors import UsageError

if TYPE_CHECKING:
    from semhub.models.base import Adapter, Unembedding

LensMode = Literal["final_norm", "paper"]
LENS_MODES: tuple[LensMode, ...] = ("final_norm", "paper")

ROWS_PER_CHUNK = 1024
LOWEST = torch.finfo(torch.float32).min
TILE_BYTES = {"cpu": 8 * 2**20, "other": 128 * 2**20}


@dataclass(frozen=True, slots=True)
class Readout:
    """What the lens says of each row. All in float32, natural logarithms.

    log_normaliser [row]; logprob [row, target]; top_ids, top_logprob [row, k], best first;
    weighted [row, column] = sum over readable tokens of p(token) * weights[token, column], p renormalised over
    the readable tokens.
    """

    log_normaliser: Tensor
    logprob: Tensor
    top_ids: Tensor
    top_logprob: Tensor
    weighted: Tensor


def lens_input(adapter: Adapter, states: Tensor, layers: Sequence[int], mode: LensMode) -> Tensor:
    """The states as the unembedding wants them: [layer, row, d_model] -> [layer, row, d_model] float32.

    `final_norm` applies the model's own final norm at every layer; `paper` only at layer L (the authors' code).
    """
    if mode not in LENS_MODES:
        raise UsageError(f"unknown lens mode {mode!r}; choose one of {', '.join(LENS_MODES)}.")
    if mode == "final_norm":
        return adapter.final_norm(states).float()
    last = [
        adapter.final_norm(states[i]) if layer == adapter.n_layers else states[i]
        for i, layer in enumerate(layers)
    ]
    return torch.stack(last).float()


@torch.inference_mode()
def read(
    unembedding: Unembedding,
    states: Tensor,
    *,
    targets: Tensor | None = None,
    top_k: int = 0,
    weights: Tensor | None = None,
    readable: int | None = None,
) -> Readout:
    """Reads lens-ready states [row, d_model] with the unembedding, in float32.

    targets [target]: token ids whose log-probabilities are wanted. weights [readable, column]: see `Readout`.
    readable: ids below it may enter top-k and weighted sums; the log-normaliser is over the whole vocabulary.
    Raises UsageError for a target outside the vocabulary.
    """
    vocab_size = unembedding.weight.shape[0]
    readable = vocab_size if readable is None else readable
    device = states.device
    targets = torch.empty(0, dtype=torch.long) if targets is None else targets.long().cpu()
    if targets.numel() and (int(targets.min()) < 0 or int(targets.max()) >= vocab_size):
        raise UsageError(f"a target token is outside the vocabulary of {vocab_size} ids.")
    weights = torch.zeros(readable, 0) if weights is None else weights
    weights = weights.to(device=device, dtype=torch.float32)
    n_rows, top_k = states.shape[0], min(top_k, readable)
    out = Readout(
        log_normaliser=torch.empty(n_rows, device=device),
        logprob=torch.empty(n_rows, targets.numel(), device=device),
        top_ids=torch.empty(n_rows, top_k, dtype=torch.long, device=device),
        top_logprob=torch.empty(n_rows, top_k, device=device),
        weighted=torch.empty(n_rows, weights.shape[1], device=device),
    )
    tile = _tile_width(device, min(n_rows, ROWS_PER_CHUNK), vocab_size)
    wanted = _targets_per_tile(targets, tile, vocab_size)
    for start in range(0, n_rows, ROWS_PER_CHUNK):
        rows = slice(start, min(start + ROWS_PER_CHUNK, n_rows))
        _read_chunk(unembedding, states[rows].float(), wanted, weights, readable, tile, out, rows)
    return out


def _tile_width(device: torch.device, n_rows: int, vocab_size: int) -> int:
    budget = TILE_BYTES.get(device.type, TILE_BYTES["other"])
    return max(256, min(vocab_size, budget // (4 * max(n_rows, 1))))


def _targets_per_tile(targets: Tensor, tile: int, vocab_size: int) -> list[tuple[Tensor, Tensor]]:
    """For each tile of the vocabulary: which targets lie in it, and their columns there."""
    owner = targets // tile
    found = []
    for index in range((vocab_size + tile - 1) // tile):
        which = torch.nonzero(owner == index).flatten()
        found.append((which, targets[which] - index * tile))
    return found


def _read_chunk(
    unembedding: Unembedding,
    states: Tensor,
    wanted: list[tuple[Tensor, Tensor]],
    weights: Tensor,
    readable: int,
    tile: int,
    out: Readout,
    rows: slice,
) -> None:
    device, n_rows = states.device, states.shape[0]
    vocab_size, top_k = unembedding.weight.shape[0], out.top_ids.shape[1]
    total = torch.full((n_rows,), -torch.inf, device=device)
    counted = torch.full((n_rows,), -torch.inf, device=device)
    sums = torch.zeros(n_rows, weights.shape[1], device=device)
    best = torch.full((n_rows, top_k), -torch.inf, device=device)
    best_ids = torch.zeros((n_rows, top_k), dtype=torch.long, device=device)
    logits_of_targets = out.logprob[rows]
    buffer = torch.empty(n_rows * tile, device=device)
    for index, start in enumerate(range(0, vocab_size, tile)):
        stop = min(start + tile, vocab_size)
        logits = _tile_logits(unembedding, states, start, stop, buffer)
        total = torch.logaddexp(total, torch.logsumexp(logits, dim=-1))
        which, columns = wanted[index]
        if which.numel():
            logits_of_targets[:, which.to(device)] = logits[:, columns.to(device)]
        n_readable = min(stop, readable) - start
        if n_readable <= 0:
            continue
        logits = logits[:, :n_readable]
        if top_k:
            best, best_ids = _merge_top(logits, start, best, best_ids)
        if weights.shape[1]:
            # Sums are kept relative to exp(counted), the normaliser of the readable tokens seen so far.
            # The clamp: a tile may hold masked tokens alone, and -inf - -inf is no number.
            grown = torch.logaddexp(counted, torch.logsumexp(logits, dim=-1)).clamp_min(LOWEST)
            sums.mul_(torch.exp(counted - grown)[:, None])
            sums += logits.sub_(grown[:, None]).exp_() @ weights[start : start + n_readable]
            counted = grown
    out.log_normaliser[rows] = total
    logits_of_targets -= total[:, None]
    out.top_ids[rows] = best_ids
    out.top_logprob[rows] = best - total[:, None]
    out.weighted[rows] = sums


def _tile_logits(unembedding: Unembedding, states: Tensor, start: int, stop: int, buffer: Tensor) -> Tensor:
    """The logits of the tokens start..stop in float32, written into the buffer where nothing follows the product."""
    weight = unembedding.weight[start:stop].float()
    out = buffer[: len(states) * (stop - start)].view(len(states), stop - start)
    if unembedding.bias is None:
        torch.mm(states, weight.T, out=out)
    else:
        torch.addmm(unembedding.bias[start:stop].float(), states, weight.T, out=out)
    return unembedding.finish(out)


def _merge_top(logits: Tensor, start: int, best: Tensor, best_ids: Tensor) -> tuple[Tensor, Tensor]:
    """Merges a tile into the running top k. Rows whose tile maximum cannot enter are left out on the CPU."""
    top_k = best.shape[1]
    if logits.device.type != "cpu":
        rows = torch.arange(logits.shape[0], device=logits.device)
    else:
        rows = torch.nonzero(logits.amax(dim=-1) > best[:, -1]).flatten()
        if not rows.numel():
            return best, best_ids
    values, columns = logits[rows].topk(min(top_k, logits.shape[1]), dim=-1)
    values = torch.cat([best[rows], values], dim=-1)
    ids = torch.cat([best_ids[rows], columns + start], dim=-1)
    values, order = values.topk(top_k, dim=-1)
    best[rows], best_ids[rows] = values, ids.gather(-1, order)
    return best, best_ids
