"""Finds the parts of a decoder by running it once: nothing is guessed from a name.

A probe forward pass records which module runs when and on what. The blocks are the module list of
`num_hidden_layers` members that run once each, every one on the output of the one before; the final norm is what
runs between the last block and the unembedding; scale and softcap are measured by feeding known numbers through
whatever follows the unembedding.
"""

from __future__ import annotations

import inspect
import itertools
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from semhub.errors import ModelError
from semhub.models.base import Unembedding
from semhub.models.sites import Call, returning, trace

PROBE_LENGTH = 6
NEVER = -6e4  # below any logit: the lowest number of float16 is -65504
ONE_STREAM = "semhub reads decoders with one residual stream"


@dataclass(frozen=True, slots=True, eq=False)
class Structure:
    """The parts an adapter needs. tail: the modules between the last block and the unembedding, in order."""

    trunk: nn.Module
    blocks: tuple[nn.Module, ...]
    tail: tuple[nn.Module, ...]
    unembedding: Unembedding
    d_model: int
    dtype: torch.dtype
    takes_position_ids: bool


@torch.no_grad()
def find_structure(model: Any) -> Structure:
    """Raises ModelError, naming what was not understood, for a model that is no plain decoder."""
    kind = type(model).__name__
    head = model.get_output_embeddings()
    if head is None:
        raise ModelError(f"{kind} has no unembedding: semhub reads decoders with a language-model head.")
    ids = _probe_ids(model)
    calls = trace(model, lambda: model(input_ids=ids, use_cache=False))
    blocks = _find_blocks(model, calls)
    tail = _find_tail(kind, calls, blocks, head)
    trunk = model.base_model
    if trunk is model or not set(map(id, blocks)) <= set(map(id, trunk.modules())):
        raise ModelError(
            f"{kind} has no base model that holds its blocks; semhub cannot run it without its head."
        )
    stream = next(call.returned for call in calls if call.module is blocks[-1])
    assert stream is not None
    tail, unembedding = _fold_projection(kind, tail, _find_unembedding(model, head, calls), stream.shape[-1])
    return Structure(
        trunk=trunk,
        blocks=blocks,
        tail=tail,
        unembedding=unembedding,
        d_model=stream.shape[-1],
        dtype=stream.dtype,
        takes_position_ids="position_ids" in inspect.signature(trunk.forward).parameters,
    )


@torch.no_grad()
def after_head(model: Any, projected: Tensor) -> Tensor:
    """What the model makes of the unembedding's product: projected [vocab] -> logits [vocab], float32 on the host."""
    ids = _probe_ids(model)
    value = projected.to(ids.device).expand(1, ids.shape[1], -1).contiguous()
    with returning(model.get_output_embeddings(), value):
        logits: Tensor = model(input_ids=ids, use_cache=False).logits
    return logits[0, -1].float().cpu()


def _probe_ids(model: Any) -> Tensor:
    weight = model.get_input_embeddings().weight
    ids = torch.arange(1, PROBE_LENGTH + 1) % weight.shape[0]
    device: torch.device = torch.device("cpu") if weight.is_meta else weight.device
    placed: Tensor = ids.unsqueeze(0).to(device)
    return placed


def _find_blocks(model: Any, calls: list[Call]) -> tuple[nn.Module, ...]:
    kind = type(model).__name__
    wanted = getattr(model.config.get_text_config(), "num_hidden_layers", None)
    if not isinstance(wanted, int):
        raise ModelError(f"{kind}: its configuration does not say how many blocks it has; {ONE_STREAM}.")
    found = []
    for module in model.modules():
        if isinstance(module, nn.ModuleList) and len(module) == wanted:
            members = {id(member) for member in module}
            runs = [call for call in calls if id(call.module) in members]
            if [run.module for run in runs] == list(module) and _chained(runs):
                found.append((len(runs[0].parents), tuple(module)))
    outermost = min((depth for depth, _ in found), default=0)
    chosen = [blocks for depth, blocks in found if depth == outermost]
    if len(chosen) != 1:
        raise ModelError(
            f"{kind}: {len(chosen)} lists of {wanted} blocks, each run once on the output of the one before, were "
            f"found, not one; {ONE_STREAM}."
        )
    return chosen[0]


def _chained(runs: list[Call]) -> bool:
    return all(_same(before.returned, after.given) for before, after in itertools.pairwise(runs))


def _same(one: Tensor | None, other: Tensor | None) -> bool:
    if one is None or other is None or one.shape != other.shape:
        return False
    return torch.equal(one.cpu(), other.cpu())


def _find_tail(
    kind: str, calls: list[Call], blocks: tuple[nn.Module, ...], head: nn.Module
) -> tuple[nn.Module, ...]:
    """The outermost modules between the last block and the unembedding, checked to form a chain."""
    start = next(index for index, call in enumerate(calls) if call.module is blocks[-1])
    heads = [index for index, call in enumerate(calls) if call.module is head]
    if len(heads) != 1 or heads[0] < start:
        raise ModelError(f"{kind}: the unembedding does not run once after the last block; {ONE_STREAM}.")
    tail, stream, entered = [], calls[start].returned, {id(blocks[-1])}
    for call in calls[start + 1 : heads[0]]:
        inner = any(id(parent) in entered for parent in call.parents)
        entered.add(id(call.module))
        if inner:
            continue
        if not _same(stream, call.given):
            raise ModelError(
                f"{kind}: {type(call.module).__name__} after the last block is not understood; {ONE_STREAM}."
            )
        if not _same(stream, call.returned):
            tail.append(call.module)
        stream = call.returned
    if not _same(stream, calls[heads[0]].given):
        raise ModelError(
            f"{kind}: what the unembedding reads is not the output of the final norm; {ONE_STREAM}."
        )
    return tuple(tail)


def _fold_projection(
    kind: str, tail: tuple[nn.Module, ...], unembedding: Unembedding, d_model: int
) -> tuple[tuple[nn.Module, ...], Unembedding]:
    """A linear map from the stream to a narrower head (OPT-350M) becomes part of the unembedding."""
    maps = [module for module in tail if isinstance(module, nn.Linear)]
    if not maps and unembedding.weight.shape[1] == d_model:
        return tail, unembedding
    if len(maps) != 1 or tail[-1] is not maps[0]:
        raise ModelError(f"{kind}: the step from {d_model} dimensions to the unembedding is not understood.")
    weight, bias = unembedding.weight @ maps[0].weight.detach(), unembedding.bias
    if maps[0].bias is not None:
        extra = unembedding.weight @ maps[0].bias.detach()
        bias = extra if bias is None else bias + extra
    return tail[:-1], replace(unembedding, weight=weight, bias=bias)


def _find_unembedding(model: Any, head: Any, calls: list[Call]) -> Unembedding:
    kind, weight, bias = type(model).__name__, getattr(head, "weight", None), getattr(head, "bias", None)
    call = next(call for call in calls if call.module is head)
    given, returned = call.given, call.returned
    assert given is not None
    assert returned is not None
    if weight is None or weight.is_meta or weight.shape != (returned.shape[-1], given.shape[-1]):
        raise ModelError(
            f"{kind}: the unembedding's matrix cannot be read (quantised or offloaded); keep the head unquantised "
            "and the model in memory."
        )
    product = nn.functional.linear(given.to(weight), weight, bias).float()
    said = returned.float() > NEVER  # what the model masks, it masks in place
    expected, product = returned.float()[said], product[said]
    if not len(expected) or not torch.allclose(product, expected, 0.02, 0.02 * float(expected.abs().max())):
        raise ModelError(f"{kind}: {type(head).__name__} is not a plain product with its weight.")
    scale, softcap, masked = _measure_head(model, weight.shape[0])
    bias = None if bias is None else bias.detach()
    return Unembedding(weight.detach(), bias, scale, softcap, masked)


def _measure_head(model: Any, vocab_size: int) -> tuple[float, float | None, Tensor | None]:
    """Scale and softcap after the unembedding and the ids that are never said, from its response to two numbers.

    A measured number that the configuration names (or whose inverse it names) takes the configuration's digits.
    """
    small, huge = 1e-3, 1e6
    said = after_head(model, torch.full((vocab_size,), small))
    free = said > NEVER
    if not bool(free.any()):
        raise ModelError(f"{type(model).__name__} masks every token in its logits.")
    scale = float(said[free].median()) / small
    top = float(after_head(model, torch.full((vocab_size,), huge))[free].median())
    if not scale > 0:
        raise ModelError(f"{type(model).__name__}: its logits do not grow with the unembedding's product.")
    named = {**model.config.to_dict(), **model.config.get_text_config().to_dict()}
    declared = [float(value) for value in named.values() if type(value) in (int, float) and value > 0]
    scale = _snap(scale, [1.0, *declared, *(1 / value for value in declared)])
    softcap = None if top > 0.5 * scale * huge else _snap(top, declared)
    return scale, softcap, None if bool(free.all()) else torch.nonzero(~free).flatten()


def _snap(measured: float, declared: list[float]) -> float:
    nearest = min(declared, key=lambda value: abs(value - measured), default=measured)
    return nearest if abs(nearest - measured) <= 1e-4 * abs(measured) else measured
