"""Subspaces of the residual stream, kept apart by zeros in an ordinary checkpoint's weights.

The stream's dimensions are cut into equal parts, one per data type and perhaps one beside them. Attention heads and
MLP units are dealt out likewise: each reads some parts and writes one. What is zero stays zero: `Zeros.apply` is
called after every step. The final norm's and the block norms' scale is one number of the whole state: the only thing
that parts share.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import LlamaForCausalLM

from semhub.errors import UsageError
from semhub.lab.recipe import Recipe
from semhub.lab.shared_words import WordToken

SIDE = "side"


@dataclass(frozen=True, slots=True)
class Subspace:
    """One part of the stream and which parts its heads and units read; they write it, if `written`.

    late: the dimensions among `dims` that the last block alone writes and where the part's words leave; perhaps none.
    """

    name: str
    dims: slice
    late: slice
    heads: slice
    units: slice
    reads: tuple[str, ...]
    written: bool

    @property
    def entering(self) -> slice:
        """Where embeddings of the part's words lie."""
        return slice(self.dims.start, self.late.start)

    @property
    def leaving(self) -> slice:
        """Where unembedding rows of the part's words lie."""
        return self.late if self.late.start < self.late.stop else self.dims


def subspaces(recipe: Recipe, data_types: Sequence[str]) -> tuple[Subspace, ...]:
    """The parts of an isolated recipe, in order. Raises UsageError if the sizes cannot be dealt out evenly."""
    names = [*data_types, *([SIDE] if recipe.side else [])]
    sizes = {"d_model": recipe.d_model, "n_heads": recipe.n_heads, "d_ff": recipe.d_ff}
    for what, size in sizes.items():
        if size % len(names):
            raise UsageError(f"{recipe.name}: {what}={size} cannot be dealt out to {', '.join(names)}.")

    def share(size: int, index: int) -> slice:
        return slice(index * size // len(names), (index + 1) * size // len(names))

    def late(name: str, dims: slice) -> slice:
        apart = recipe.late_words and name not in (recipe.dominant, SIDE)
        return slice((dims.start + dims.stop) // 2 if apart else dims.stop, dims.stop)

    reads: dict[str, tuple[str, ...]] = {name: (name,) for name in data_types}
    reads[SIDE] = {"unread": tuple(names), "shared": (SIDE,), "constant": (), "": ()}[recipe.side]
    return tuple(
        Subspace(
            name,
            share(recipe.d_model, index),
            late(name, share(recipe.d_model, index)),
            share(recipe.n_heads, index),
            share(recipe.d_ff, index),
            reads[name],
            written=not (name == SIDE and recipe.side == "constant"),
        )
        for index, name in enumerate(names)
    )


class Zeros:
    """The mask of every matrix of a llama: 1 where its recipe allows a weight, 0 elsewhere.

    used: data type -> ids of its tokens. A token of one type lives in that type's part, as input and as output. A
    token of several types is output from each of them; its embedding lies in the shared side, or is zero. A constant
    side is the sum of the MLPs' biases.
    """

    def __init__(self, model: LlamaForCausalLM, recipe: Recipe, used: dict[str, Tensor]) -> None:
        self.parts = subspaces(recipe, sorted(used))
        self._by_name = {part.name: part for part in self.parts}
        self._recipe, self._used = recipe, used
        self._head_dim = model.config.head_dim
        self.masks = list(self._masks(model))
        for parameter, mask in self.masks:
            # The norm's gradient at a zero state is huge, and clipping would count it.
            parameter.register_hook(mask.mul)  # type: ignore[no-untyped-call]

    @torch.no_grad()
    def apply(self) -> None:
        for parameter, mask in self.masks:
            parameter.mul_(mask)

    def _masks(self, model: LlamaForCausalLM) -> Iterator[tuple[Tensor, Tensor]]:
        yield model.model.embed_tokens.weight, self._tokens(model.config.vocab_size, output=False)
        yield model.lm_head.weight, self._tokens(model.config.vocab_size, output=True)
        attended, gated = (
            torch.zeros(self._recipe.n_heads * self._head_dim, self._recipe.d_model),
            torch.zeros(self._recipe.d_ff, self._recipe.d_model),
        )
        written = torch.zeros_like(attended.T), torch.zeros_like(gated.T)
        for part in self.parts:
            heads = slice(part.heads.start * self._head_dim, part.heads.stop * self._head_dim)
            for read in part.reads:
                attended[heads, self._by_name[read].dims] = 1
                gated[part.units, self._by_name[read].dims] = 1
            if part.written:
                written[0][part.dims, heads] = 1
                written[1][part.dims, part.units] = 1
        early = written[0].clone(), written[1].clone()
        for part in self.parts:
            for mask in early:
                mask[part.late] = 0
        last = model.model.layers[-1]
        for block in model.model.layers:
            to_attended, to_gated = written if block is last else early
            for projection in (block.self_attn.q_proj, block.self_attn.k_proj, block.self_attn.v_proj):
                yield projection.weight, attended
            yield block.self_attn.o_proj.weight, to_attended
            yield block.mlp.gate_proj.weight, gated
            yield block.mlp.up_proj.weight, gated
            yield block.mlp.down_proj.weight, to_gated
            if self._recipe.side == "constant":
                constant = torch.zeros(self._recipe.d_model)
                constant[self._by_name[SIDE].dims] = 1
                yield block.mlp.down_proj.bias, constant
                for bias in (block.mlp.gate_proj.bias, block.mlp.up_proj.bias):
                    yield bias, torch.zeros_like(bias)

    def _tokens(self, n_tokens: int, output: bool) -> Tensor:
        mask = torch.zeros(n_tokens, self._recipe.d_model)
        times = torch.zeros(n_tokens)
        for ids in self._used.values():
            times[ids] += 1
        for name, ids in self._used.items():
            own = ids if output else ids[times[ids] == 1]
            part = self._by_name[name]
            mask[own, part.leaving if output else part.entering] = 1
            if self._recipe.angle is not None:
                mask[own, self._by_name[self._recipe.dominant].dims] = 1
        if self._recipe.side == "shared":
            mask[times > 1, self._by_name[SIDE].dims] = 1
        if self._recipe.side in ("unread", "constant") and output:
            mask[self._used[self._recipe.dominant], self._by_name[SIDE].dims] = 1
        return mask


class Graded:
    """Holds the embeddings of other types' words at an angle to those of the dominant type's words."""

    def __init__(
        self, model: LlamaForCausalLM, zeros: Zeros, recipe: Recipe, words: Sequence[WordToken]
    ) -> None:
        """words: a token's first meaning counts."""
        assert recipe.angle is not None
        self._cos, self._sin = (
            math.cos(math.radians(recipe.angle)),
            math.sin(math.radians(recipe.angle)),
        )
        self._weight = model.model.embed_tokens.weight
        self._dominant = next(part.dims for part in zeros.parts if part.name == recipe.dominant)
        dominant_ids = torch.zeros(len(self._weight), dtype=torch.bool)
        dominant_ids[zeros._used[recipe.dominant]] = True
        others = ~dominant_ids
        translated = {word.token: word.dominant for word in reversed(words)}
        self._others = others.nonzero()[:, 0]
        self._with = torch.tensor([t for t in translated if others[t]], dtype=torch.long)
        self._source = torch.tensor([translated[t] for t in self._with.tolist()], dtype=torch.long)

    @torch.no_grad()
    def apply(self) -> None:
        english = self._weight[self._source][:, self._dominant]
        self._weight[self._others, self._dominant] = 0
        own = self._weight[self._with]
        norms = english.norm(dim=-1, keepdim=True)
        own = own / own.norm(dim=-1, keepdim=True).clamp_min(1e-9) * norms * self._sin
        own[:, self._dominant] = english * self._cos
        self._weight[self._with] = own
