"""The one place that attaches hooks, and that says at which module boundary layer l is read and written."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from semhub.errors import UsageError
from semhub.models.base import Adapter, Entered

Visit = Callable[[Tensor], Tensor | None]


def check_layer(layer: int, n_layers: int) -> int:
    """Raises UsageError for a layer outside 0..L."""
    if not 0 <= layer <= n_layers:
        raise UsageError(
            f"layer {layer} is out of range: this model has the layers 0 (embedding) to {n_layers}."
        )
    return layer


@contextmanager
def visiting(adapter: Adapter, visits: Mapping[int, Visit]) -> Iterator[None]:
    """While open, each forward pass hands the states [content, position, d_model] of layer l to `visits[l]`.

    A visit that returns a tensor replaces the states. Visits of one layer run in the order of their opening.
    """
    with ExitStack() as stack:
        for layer, visit in sorted(visits.items()):
            check_layer(layer, adapter.n_layers)
            stack.callback(_attach(adapter.blocks, layer, visit).remove)
        adapter.visits += 1
        try:
            yield
        finally:
            adapter.visits -= 1


def _attach(blocks: tuple[nn.Module, ...], layer: int, visit: Visit) -> RemovableHandle:
    if layer == 0:
        return blocks[0].register_forward_pre_hook(_entering(visit), with_kwargs=True)
    return blocks[layer - 1].register_forward_hook(_leaving(visit))


def _entering(visit: Visit) -> Callable[..., Any]:
    def hook(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if args:
            changed = visit(args[0])
            return None if changed is None else ((changed, *args[1:]), kwargs)
        changed = visit(kwargs["hidden_states"])
        return None if changed is None else (args, {**kwargs, "hidden_states": changed})

    return hook


def _leaving(visit: Visit) -> Callable[..., Any]:
    def hook(_: nn.Module, __: Any, output: Any) -> Any:
        if isinstance(output, Tensor):
            return visit(output)
        changed = visit(output[0])
        return None if changed is None else (changed, *output[1:])

    return hook


@contextmanager
def passing(blocks: Sequence[nn.Module], returned: int) -> Iterator[None]:
    """While open, these blocks return the states that they are given; they compute and remember nothing.

    returned: how many values a block returns, the states first; 0 for the bare states.
    """

    def forward(*args: Any, **kwargs: Any) -> Any:
        states = args[0] if args else kwargs["hidden_states"]
        return (states, *[None] * (returned - 1)) if returned else states

    with ExitStack() as stack:
        for block in blocks:
            stack.callback(_put, block, vars(block).get("forward"))
            block.forward = forward
        yield


def _put(block: nn.Module, forward: Callable[..., Any] | None) -> None:
    """The block's own forward, or the one that somebody set before."""
    if forward is None:
        del block.forward
    else:
        block.forward = forward


@contextmanager
def going_on(adapter: Adapter, entered: Entered) -> Iterator[None]:
    """While open, a pass of `entered.inputs` begins with its states; the blocks below its layer are not run.

    A past that the pass is given lacks the new columns in those blocks afterwards.
    """
    skipped = adapter.blocks[: entered.layer]
    with (
        passing(skipped, adapter.returned_by_blocks if skipped else 0),
        visiting(adapter, {entered.layer: lambda _: entered.states}),
    ):
        yield


def returned_by(block: nn.Module, run: Callable[[], object]) -> int:
    """How many values the block returns while `run` runs the model; 0 for bare states."""
    found = [0]

    def leave(_: nn.Module, __: Any, output: Any) -> None:
        found.append(0 if isinstance(output, Tensor) else len(output))

    handle = block.register_forward_hook(leave)
    try:
        run()
    finally:
        handle.remove()
    return found[-1]


@dataclass(slots=True, eq=False)
class Call:
    """One call of a module: the modules it ran inside of, the first tensor it was given and returned."""

    module: nn.Module
    parents: tuple[nn.Module, ...]
    given: Tensor | None
    returned: Tensor | None = None


def trace(model: nn.Module, run: Callable[[], object]) -> list[Call]:
    """Every module call while `run` runs the model, in the order of entering."""
    calls: list[Call] = []
    inside: list[Call] = []

    def enter(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        given = first_tensor(args)
        given = first_tensor(kwargs) if given is None else given
        call = Call(module, tuple(outer.module for outer in inside), given)
        calls.append(call)
        inside.append(call)

    def leave(module: nn.Module, _: Any, output: Any) -> None:
        inside.pop().returned = first_tensor(output)

    with ExitStack() as stack:
        for module in model.modules():
            stack.callback(module.register_forward_pre_hook(enter, with_kwargs=True).remove)
            stack.callback(module.register_forward_hook(leave).remove)
        run()
    return calls


@contextmanager
def returning(module: nn.Module, value: Tensor) -> Iterator[None]:
    """While open, the module returns `value` whatever it is given."""
    handle = module.register_forward_hook(lambda *_: value)
    try:
        yield
    finally:
        handle.remove()


def first_tensor(value: Any) -> Tensor | None:
    """The tensor itself, the `hidden_states` of a mapping, or else the first tensor inside."""
    if isinstance(value, Tensor):
        return value
    if isinstance(value, Mapping):
        named = value.get("hidden_states")
        return named if isinstance(named, Tensor) else first_tensor(tuple(value.values()))
    if isinstance(value, (tuple, list)):
        return next((item for item in value if isinstance(item, Tensor)), None)
    return None
