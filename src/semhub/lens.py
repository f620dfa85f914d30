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
BLOCK = 64
PLAIN = 40.0  # exp(PLAIN) times any vocabulary is far from overflow in float32, exp(-PLAIN) from underflow
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
    width = max(256, min(vocab_size, budget // (4 * max(n_rows, 1))))
    return width // BLOCK * BLOCK if width > BLOCK else width


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
    sums = _Sums(n_rows, weights, device)
    best = torch.full((n_rows, top_k), -torch.inf, device=device)
    best_ids = torch.zeros((n_rows, top_k), dtype=torch.long, device=device)
    logits_of_targets = out.logprob[rows]
    buffer = torch.empty(n_rows * tile, device=device)
    for index, start in enumerate(range(0, vocab_size, tile)):
        stop = min(start + tile, vocab_size)
        logits = _tile_logits(unembedding, states, start, stop, buffer)
        which, columns = wanted[index]
        if which.numel():
            logits_of_targets[:, which.to(device)] = logits[:, columns.to(device)]
        n_readable = max(0, min(stop, readable) - start)
        peaks = _peaks(logits)
        if top_k and n_readable:
            part = peaks if n_readable == logits.shape[1] else _peaks(logits[:, :n_readable])
            _merge_top(logits[:, :n_readable], part, start, best, best_ids)
        sums.add(logits, peaks.amax(dim=-1), start, n_readable)
    total = sums.log_normaliser()
    out.log_normaliser[rows] = total
    logits_of_targets -= total[:, None]
    out.top_ids[rows] = best_ids
    out.top_logprob[rows] = best - total[:, None]
    out.weighted[rows] = sums.weighted()


class _Sums:
    """Sums of exp(logit - shift) over the tiles seen so far: of all tokens, and of the readable ones with weights.

    The shift is each row's running maximum. On the CPU it stays zero, which saves a pass over the logits, for as
    long as every tile's maximum is within PLAIN of zero.
    """

    def __init__(self, n_rows: int, weights: Tensor, device: torch.device) -> None:
        self.table = weights
        self.plain = device.type == "cpu"
        self.shift = torch.full((n_rows,), LOWEST, device=device)
        self.total = torch.zeros(n_rows, device=device)
        self.counted = torch.zeros(n_rows, device=device)
        self.sums = torch.zeros(n_rows, weights.shape[1], device=device)

    def add(self, logits: Tensor, highest: Tensor, start: int, n_readable: int) -> None:
        """Adds the tile whose first column is the token `start`, highest [row] its maxima; overwrites the logits."""
        self.plain = self.plain and bool(highest.abs().amax() <= PLAIN)
        if self.plain:
            self.shift.zero_()
        else:
            self._rebase(highest)
            logits.sub_(self.shift[:, None])
        terms = logits.exp_()
        self.total += terms.sum(dim=-1)
        if self.table.shape[1] and n_readable:
            terms = terms[:, :n_readable]
            self.counted += terms.sum(dim=-1)
            self.sums += terms @ self.table[start : start + n_readable]

    def _rebase(self, highest: Tensor) -> None:
        grown = torch.maximum(self.shift, highest)
        factor = torch.exp(self.shift - grown)
        for sums in (self.total, self.counted, self.sums.T):
            sums *= factor
        self.shift = grown

    def log_normaliser(self) -> Tensor:
        return self.total.log() + self.shift

    def weighted(self) -> Tensor:
        return self.sums / self.counted[:, None]


def _tile_logits(unembedding: Unembedding, states: Tensor, start: int, stop: int, buffer: Tensor) -> Tensor:
    """The logits of the tokens start..stop in float32, written into the buffer where nothing follows the product."""
    weight = unembedding.weight[start:stop].float()
    out = buffer[: len(states) * (stop - start)].view(len(states), stop - start)
    if unembedding.bias is None:
        torch.mm(states, weight.T, out=out)
    else:
        torch.addmm(unembedding.bias[start:stop].float(), states, weight.T, out=out)
    return unembedding.hide(unembedding.finish(out), start)


def _peaks(logits: Tensor) -> Tensor:
    """Maxima of each row's blocks of BLOCK columns [row, block]; of the whole row where the width is no multiple."""
    n_rows, width = logits.shape
    return logits.view(n_rows, -1, BLOCK if width % BLOCK == 0 else width).amax(dim=-1)


def _merge_top(logits: Tensor, peaks: Tensor, start: int, best: Tensor, best_ids: Tensor) -> None:
    """Merges a tile into the running top k, in place; on the CPU without the rows whose peak cannot enter.

    The k largest lie in the k blocks of the largest peaks, so only those are searched.
    """
    (n_rows, width), (n_blocks, top_k) = logits.shape, (peaks.shape[1], best.shape[1])
    rows = torch.arange(n_rows, device=logits.device)
    if logits.device.type == "cpu":
        rows = torch.nonzero(peaks.amax(dim=-1) > best[:, -1]).flatten()
        if not rows.numel():
            return
    if n_blocks <= top_k:
        values, ids = logits[rows].topk(min(top_k, width), dim=-1)
    else:
        chosen = peaks[rows].topk(top_k, dim=-1).indices
        values = logits.view(n_rows, n_blocks, BLOCK)[rows[:, None], chosen].flatten(1)
        ids = (chosen[:, :, None] * BLOCK + torch.arange(BLOCK, device=logits.device)).flatten(1)
    values = torch.cat([best[rows], values], dim=1)
    best[rows], order = values.topk(top_k, dim=-1)
    best_ids[rows] = torch.cat([best_ids[rows], ids + start], dim=1).gather(1, order)
