"""What a model says under edits: the next token's scores, and generated text, of many rows in few passes.

A row is a prompt with its own vectors and strengths. Columns before the first edited one are the same in every row of
a prompt: they are read once for each prompt, and their keys and values are shared; so are whole rows that are alike.
Nor does an edit change the layers below it: where a prompt has many rows, the next token's pass begins at the lowest
layer that is written, with the states that the prompt has there. A row gives what it gives alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

from semhub.capture import capture
from semhub.errors import ModelError, UsageError
from semhub.models.base import Adapter, Encoded, Entered, out_of_memory, release
from semhub.models.past import Past
from semhub.models.sites import going_on, visiting
from semhub.steer import Intervention, Writer, check, first_written

T = TypeVar("T")
MANY = 4  # rows of each prompt, from which on what it takes to begin inside the model is worth it
REST = 0.75  # finished rows are let go once fewer than this share of a batch goes on


@dataclass(frozen=True, slots=True)
class Sampling:
    """temperature divides the logits; top_p: of the most probable tokens, as many as it takes to reach this mass;
    frequency_penalty: is taken from a token's logit for each time it was generated. Raises UsageError."""

    temperature: float = 1.0
    top_p: float = 1.0
    frequency_penalty: float = 0.0

    def __post_init__(self) -> None:
        if not self.temperature > 0:
            raise UsageError(f"the temperature must be above 0, not {self.temperature}.")
        if not 0 < self.top_p <= 1:
            raise UsageError(f"top_p must be above 0 and at most 1, not {self.top_p}.")
        if not math.isfinite(self.frequency_penalty):
            raise UsageError(f"the frequency penalty must be a number, not {self.frequency_penalty}.")


@torch.inference_mode()
def next_logprobs(
    adapter: Adapter,
    prompts: Sequence[Encoded],
    rows: Sequence[int],
    interventions: Sequence[Intervention] = (),
    *,
    tokens: Tensor | None = None,
    batch_tokens: int = 4096,
    progress: Callable[[int], None] | None = None,
) -> Tensor:
    """Log-probabilities of the token after each row's prompt, float32 on the host.

    rows: each row's prompt (an index). tokens [row, token]: the ids that are wanted, -1 for none (-inf there);
    without it the result is [row, vocab]. progress: called with the number of rows done.
    """
    width = adapter.vocab_size if tokens is None else tokens.shape[1]
    out = torch.empty(len(rows), width)
    done = 0

    _check(adapter, prompts, rows, interventions, 0, batch_tokens)
    alike = _alike(rows, interventions)

    def score(batch: _Batch) -> Tensor:
        at = torch.tensor([row for first in batch.rows for row in alike[first]])
        logprobs = batch.logits(batch.writer.lowest).float().log_softmax(dim=-1)
        own = torch.tensor([i for i, first in enumerate(batch.rows) for _ in alike[first]]).to(
            logprobs.device
        )
        if tokens is None:
            out[at] = logprobs[own].cpu()
        else:
            wanted = tokens[at].to(logprobs.device)
            found = logprobs[own[:, None], wanted.clamp_min(0)]
            out[at] = found.masked_fill(wanted < 0, -torch.inf).cpu()
        return at

    for at in _each_batch(adapter, prompts, rows, interventions, 0, batch_tokens, score, list(alike)):
        done += len(at)
        if progress is not None:
            progress(done)
    return out


@torch.inference_mode()
def generate(
    adapter: Adapter,
    prompts: Sequence[Encoded],
    rows: Sequence[int],
    interventions: Sequence[Intervention] = (),
    *,
    new_tokens: int,
    sampling: Sampling | None = None,
    seeds: Sequence[int] = (),
    stop: Callable[[str], bool] | None = None,
    keep_end: bool = False,
    batch_tokens: int = 4096,
    progress: Callable[[int], None] | None = None,
) -> list[tuple[int, ...]]:
    """The tokens that follow each row's prompt, at most `new_tokens`.

    sampling: greedy if None; else each row draws from a generator of its own, seeded with seeds[row]. stop: a row whose
    text so far it says True to is not continued. keep_end: the token that ends a text is among them. Raises UsageError.
    """
    if new_tokens < 1:
        raise UsageError(f"at least one new token is needed, not {new_tokens}.")
    if sampling is not None and len(seeds) != len(rows):
        raise UsageError(f"{len(rows)} rows that are sampled need as many seeds, not {len(seeds)}.")
    out: list[tuple[int, ...]] = [()] * len(rows)
    done = 0
    _check(adapter, prompts, rows, interventions, new_tokens, batch_tokens)
    alike = _alike(rows, interventions) if sampling is None else {row: [row] for row in range(len(rows))}

    def decode(batch: _Batch) -> dict[int, list[int]]:
        draw = None if sampling is None else _Draw(sampling, [seeds[row] for row in batch.rows])
        return _decode(batch, new_tokens, draw, stop, keep_end)

    batches = _each_batch(
        adapter, prompts, rows, interventions, new_tokens, batch_tokens, decode, list(alike)
    )
    for said in batches:
        for first, tokens in said.items():
            for row in alike[first]:
                out[row] = tuple(tokens)
            done += len(alike[first])
        if progress is not None:
            progress(done)
    return out


@torch.inference_mode()
def continuation_logprobs(
    adapter: Adapter,
    before: Sequence[Sequence[int] | Encoded],
    after: Sequence[Sequence[int]],
    *,
    batch_tokens: int = 4096,
) -> list[Tensor]:
    """Log-probability of every token of `after` given `before` and those ahead of it, unedited; nats, float32.

    before: tokens, or a content with its pictures.
    """
    starts = [one if isinstance(one, Encoded) else Encoded(tuple(one), ()) for one in before]
    whole = [one.followed_by(two) for one, two in zip(starts, after, strict=True)]
    if any(two and not one.ids for one, two in zip(starts, after, strict=True)):
        raise UsageError("a continuation needs at least one token before it.")
    places = [
        list(range(len(one.ids) - 1, len(one.ids) + len(two) - 1))
        for one, two in zip(starts, after, strict=True)
    ]
    out = [torch.empty(len(two)) for two in after]
    parts = capture(adapter, whole, places, layers=[adapter.n_layers], batch_tokens=batch_tokens)
    for part in parts:
        logits = adapter.unembedding.logits(adapter.final_norm(part.values[0])).float()
        following = torch.tensor(
            [whole[i].ids[p + 1] for i, p in zip(part.content.tolist(), part.position.tolist(), strict=True)]
        )
        scores = logits.log_softmax(-1).gather(1, following.to(logits.device)[:, None])[:, 0].cpu()
        for i in dict.fromkeys(part.content.tolist()):
            out[i] = scores[part.content == i]
    return out


def _check(
    adapter: Adapter,
    prompts: Sequence[Encoded],
    rows: Sequence[int],
    interventions: Sequence[Intervention],
    new_tokens: int,
    batch_tokens: int,
) -> None:
    """Raises UsageError for what cannot be run."""
    if batch_tokens < 1:
        raise UsageError(f"batch_tokens must be at least 1, not {batch_tokens}.")
    if any(not 0 <= row < len(prompts) for row in rows):
        raise UsageError(f"a row asks for a prompt beyond the {len(prompts)} there are.")
    lengths = [len(prompts[owner].ids) for owner in rows]
    if adapter.max_positions is not None and rows and max(lengths) + new_tokens > adapter.max_positions:
        raise UsageError(
            f"a prompt of {max(lengths)} tokens and {new_tokens} new ones do not fit into the model's "
            f"{adapter.max_positions} positions."
        )
    check(adapter, interventions, lengths)


def _alike(rows: Sequence[int], interventions: Sequence[Intervention]) -> dict[int, list[int]]:
    """The first of the rows that have one prompt and one set of edits -> all of them; strength 0 is no edit."""
    found: dict[object, list[int]] = {}
    strengths = [one.strength.tolist() for one in interventions]
    which = [one.which.tolist() for one in interventions]
    for row, prompt in enumerate(rows):
        edits = [
            (i, which[i][row], strengths[i][row], tuple(one.places(row)))
            for i, one in enumerate(interventions)
            if strengths[i][row] != 0
        ]
        found.setdefault((prompt, *edits), []).append(row)
    return {same[0]: same for same in found.values()}


class _Draw:
    """Samples one token for each row, from generators that stay with their rows."""

    def __init__(self, sampling: Sampling, seeds: Sequence[int]) -> None:
        self.sampling = sampling
        self.generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        self.counts: Tensor | None = None

    def keep(self, rows: Tensor) -> None:
        self.generators = [self.generators[i] for i in rows.tolist()]
        self.counts = None if self.counts is None else self.counts[rows]

    def tokens(self, logits: Tensor) -> Tensor:
        """logits [row, vocab] -> the drawn ids [row]: inverse of the cumulative distribution, most probable first."""
        if self.counts is None:
            self.counts = torch.zeros_like(logits, dtype=torch.float64)
        penalised = logits.double() - self.sampling.frequency_penalty * self.counts
        order = (penalised / self.sampling.temperature).softmax(-1).sort(dim=-1, descending=True, stable=True)
        before = order.values.cumsum(-1) - order.values
        kept = order.values.masked_fill(before >= self.sampling.top_p, 0.0)
        drawn = torch.stack([torch.rand((), generator=one, dtype=torch.float64) for one in self.generators])
        aim = drawn.to(logits.device)[:, None] * kept.sum(-1, keepdim=True)
        index = (kept.cumsum(-1) <= aim).sum(-1, keepdim=True)
        index = torch.minimum(index, (kept > 0).sum(-1, keepdim=True) - 1)  # rounding at the far end
        chosen = order.indices.gather(1, index)[:, 0]
        self.counts.scatter_add_(1, chosen[:, None], torch.ones_like(self.counts[:, :1]))
        return chosen


class _Batch:
    """Rows that go through the model together; `logits` reads their prompts, `advance` one more token each."""

    def __init__(
        self,
        adapter: Adapter,
        prompts: Sequence[Encoded],
        owner: Sequence[int],
        interventions: Sequence[Intervention],
        rows: list[int],
    ) -> None:
        self.adapter, self.rows = adapter, rows
        self.prompt_of = {row: prompts[owner[row]] for row in rows}
        used = list(dict.fromkeys(owner[row] for row in rows))
        self.inputs = adapter.collate([prompts[i] for i in used], padding="left")
        self.width = self.inputs.ids.shape[1]
        lengths = [len(prompts[owner[row]].ids) for row in rows]
        index = {prompt: k for k, prompt in enumerate(used)}
        self.index = torch.tensor([index[owner[row]] for row in rows], device=adapter.device)
        self.writer = Writer(interventions, rows, lengths, self.width, adapter.device)
        self.shared = self.width - first_written(interventions, rows, lengths)
        together = [one for one in (prompts[i] for i in used) if one.whole_until]
        if any(self.width - len(one.ids) + one.whole_until > self.shared for one in together):
            self.shared = 0  # a picture or a prefix is read in one pass
        self.columns = self.inputs.rows(self.index)
        self.past: Past | None = None
        self.read = 0
        self.entered: Entered | None = None

    def logits(self, first: int = 0) -> Tensor:
        """Logits of the token after every prompt, [row, vocab].

        first: the layer where the rows may begin to differ; above 0 no token can be added after it.
        """
        self.past = self.adapter.no_past()
        if self.past is not None and self.shared > 0:
            self.adapter.forward(self.inputs.columns(0, self.shared), self.past)
            self.read = self.shared
        if len(self.inputs.ids) < len(self.rows):
            self.entered = self._entered(first if len(self.rows) >= MANY * len(self.inputs.ids) else 0)
        if self.past is not None and self.read:
            self.past = self.past.rows(self.index)
        return self._forward()

    def _entered(self, first: int) -> Entered | None:
        """What the rows of each prompt have in common of the columns that are left: up to `first`, or to where its
        pictures and sounds are taken in."""
        inputs, past = self.inputs.columns(self.read), self.past if self.read else None
        found = self.adapter.entered(inputs, first, past) if first else None
        found = self.adapter.entered(inputs, 0, past) if found is None else found
        return None if found is None else found.rows(self.index)

    def advance(self, tokens: Tensor) -> Tensor:
        """Adds one token [row] to every row; logits of the token after it."""
        self.columns = self.columns.followed_by(tokens)
        return self._forward()

    def keep(self, rows: Tensor) -> None:
        """Goes on with some of the rows."""
        self.rows = [self.rows[i] for i in rows.tolist()]
        placed = rows.to(self.adapter.device)
        self.columns = self.columns.rows(placed)
        self.past = None if self.past is None else self.past.rows(placed)
        self.writer.keep(placed)

    def _forward(self) -> Tensor:
        start = self.read if self.past is not None else 0
        last: list[Tensor] = []
        entered, self.entered = self.entered, None
        inputs = self.columns.columns(start) if entered is None else entered.inputs
        top = self.adapter.n_layers
        with (
            nullcontext() if entered is None else going_on(self.adapter, entered),
            self.writer.writing(self.adapter, start),
            visiting(self.adapter, {top: lambda states: last.append(states[:, -1])}),
        ):
            self.adapter.forward(inputs, self.past)
        self.read = self.columns.ids.shape[1]
        return self.adapter.unembedding.logits(self.adapter.final_norm(last[0]))


def _each_batch(
    adapter: Adapter,
    prompts: Sequence[Encoded],
    rows: Sequence[int],
    interventions: Sequence[Intervention],
    new_tokens: int,
    batch_tokens: int,
    work: Callable[[_Batch], T],
    wanted: Sequence[int],
) -> Iterator[T]:
    """What `work` makes of each batch of the wanted rows: by the length of their prompts, longest first, one prompt's
    together.

    Out of memory halves the batch and goes on; ModelError if one row alone does not fit.
    """
    lengths = [len(prompts[owner].ids) for owner in rows]
    pending = sorted(wanted, key=lambda row: (-lengths[row], rows[row], row))
    while pending:
        longest = lengths[pending[0]] + new_tokens
        chosen = pending[: max(1, batch_tokens // longest)]
        found: list[T] = []
        try:
            found.append(work(_Batch(adapter, prompts, rows, interventions, chosen)))
        except RuntimeError as error:
            if not out_of_memory(error):
                raise
            if len(chosen) == 1:
                raise ModelError(
                    f"out of memory on one prompt of {lengths[chosen[0]]} tokens: shorten it, use a smaller dtype, "
                    "or another device."
                ) from error
        if not found:  # outside the handler, whose traceback would keep the failed batch alive
            release(adapter.device)
            batch_tokens = max(1, len(chosen) // 2) * longest
            continue
        pending = pending[len(chosen) :]
        yield found[0]


def _decode(
    batch: _Batch, new_tokens: int, draw: _Draw | None, stop: Callable[[str], bool] | None, keep_end: bool
) -> dict[int, list[int]]:
    """row -> its tokens."""
    adapter = batch.adapter
    said: dict[int, list[int]] = {row: [] for row in batch.rows}
    logits = batch.logits()
    going = [True] * len(batch.rows)
    for step in range(new_tokens):
        chosen = logits.argmax(-1) if draw is None else draw.tokens(logits)
        for i, token in enumerate(chosen.tolist()):
            if not going[i]:
                continue
            row = batch.rows[i]
            if token in adapter.end_ids:
                going[i] = False
                said[row] += [token] if keep_end else []
            else:
                said[row].append(token)
                text = adapter.continuation(batch.prompt_of[row].ids, said[row]) if stop else ""
                going[i] = not (stop is not None and stop(text))
        if not any(going) or step == new_tokens - 1:
            break
        if sum(going) < REST * len(going):
            left = torch.tensor([i for i, on in enumerate(going) if on])
            batch.keep(left)
            if draw is not None:
                draw.keep(left)
            chosen, going = chosen[left.to(chosen.device)], [True] * len(left)
        logits = batch.advance(chosen)
    return said
