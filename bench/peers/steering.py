"""The steering job, the same for every contestant: rows of prompt, condition and strength, and greedy tokens.

A row adds strength x (its prompt's vector of its condition) to the states of the middle layer at the last token of the
prompt, once; then tokens are generated. No token of the model ends a text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch

STRENGTHS = (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0)
CONDITIONS = 5
NEW_TOKENS = 16
PART, FEW = (
    24,
    4,
)  # additions of the part that is timed; of the fewer that the plain loop does, and all to compare
BATCH_TOKENS = 4096
NORM = 10.0  # of a vector: about that of the states it is added to, in the large model

Work = Callable[["Batch"], torch.Tensor]


@dataclass(frozen=True, slots=True)
class Steering:
    """prompts: token ids. vectors [prompt, condition, d_model]. owner, condition and strength of each row."""

    prompts: list[list[int]]
    vectors: torch.Tensor
    owner: torch.Tensor
    condition: torch.Tensor
    strength: torch.Tensor

    @property
    def added(self) -> torch.Tensor:
        """What each row adds, [row, d_model]."""
        return self.strength[:, None] * self.vectors[self.owner, self.condition]


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows padded on the left: ids and mask [row, position], added [row, d_model]."""

    rows: list[int]
    ids: torch.Tensor
    mask: torch.Tensor
    added: torch.Tensor


def steering(inputs: dict, width: int, part: int | None = None) -> Steering:
    """The job on all additions, or on `part` of them, evenly spaced."""
    texts, ids = inputs["arithmetic"]["texts"], inputs["arithmetic"]["ids"]
    prompts = [one for text, one in zip(texts, ids, strict=True) if text.endswith("+")]
    vectors = torch.randn(len(prompts), CONDITIONS, width, generator=torch.Generator().manual_seed(0))
    vectors = NORM * vectors / vectors.norm(dim=-1, keepdim=True)
    if part is not None:
        chosen = [i * len(prompts) // part for i in range(part)]
        prompts, vectors = [prompts[i] for i in chosen], vectors[chosen]
    sizes = (torch.arange(n) for n in (len(prompts), CONDITIONS, len(STRENGTHS)))
    owner, condition, strength = torch.cartesian_prod(*sizes).unbind(1)
    return Steering(prompts, vectors, owner, condition, torch.tensor(STRENGTHS)[strength])


def batches(job: Steering, batch_tokens: int) -> Iterator[Batch]:
    """Rows of similar length, as many as have `batch_tokens` tokens, padding and new ones counted."""
    lengths = [len(job.prompts[owner]) for owner in job.owner]
    pending, added = sorted(range(len(lengths)), key=lambda row: -lengths[row]), job.added
    while pending:
        width = lengths[pending[0]]
        rows = pending[: max(1, batch_tokens // (width + NEW_TOKENS))]
        pending = pending[len(rows) :]
        ids, mask = (
            torch.zeros(len(rows), width, dtype=torch.long),
            torch.zeros(len(rows), width, dtype=torch.long),
        )
        for i, row in enumerate(rows):
            ids[i, width - lengths[row] :] = torch.tensor(job.prompts[job.owner[row]])
            mask[i, width - lengths[row] :] = 1
        yield Batch(rows, ids, mask, added[rows])


def batched(inputs: dict, width: int, work: Work) -> dict[str, Callable[[], dict[str, np.ndarray]]]:
    """The jobs of a contestant; work(batch) gives the generated ids [row, step]."""

    def run(part: int) -> Callable[[], dict[str, np.ndarray]]:
        job = steering(inputs, width, part)

        @torch.inference_mode()
        def go() -> dict[str, np.ndarray]:
            out = torch.empty(len(job.owner), NEW_TOKENS, dtype=torch.long)
            for batch in batches(job, BATCH_TOKENS):
                out[batch.rows] = work(batch)
            return {"tokens": out.numpy()}

        return go

    return {"part": run(PART), "few": run(FEW)}
