"""A second device without any hardware, to see that nothing stays behind on the CPU.

Its tensors hold the CPU's numbers, and an operation of one of them with one of the CPU's (but a copy, or a single
number) fails, as on a GPU. It is a backend of this process from the import on: import it in a process of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

NAME = "pretend:0"
COPIES = ("aten::copy_", "aten::_to_copy", "aten::_local_scalar_dense")
_setup_privateuseone_for_python_backend("pretend")


class Pretend(Tensor):
    """A tensor of that device around one of the CPU."""

    own: Tensor

    @staticmethod
    def __new__(cls, own: Tensor) -> Pretend:
        made: Pretend = Tensor._make_wrapper_subclass(
            cls,
            own.size(),
            strides=own.stride(),
            storage_offset=own.storage_offset(),
            dtype=own.dtype,
            device=torch.device(NAME),
        )
        made.own = own
        return made

    def tolist(self) -> Any:
        return self.own.tolist()

    def __deepcopy__(self, _: object) -> Tensor:
        copy = Pretend(self.own.clone())
        return nn.Parameter(copy, self.requires_grad) if isinstance(self, nn.Parameter) else copy

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        given = [one for one in tree_leaves((args, kwargs)) if isinstance(one, Tensor)]
        if not func.name().startswith(COPIES):
            for one in given:
                if one.ndim and not isinstance(one, Pretend):
                    raise RuntimeError(f"{func} of tensors of two devices")
        leaves = torch.device(kwargs.get("device") or NAME).type == "cpu"
        if "device" in kwargs:
            kwargs["device"] = torch.device("cpu")
        out = func(*tree_map(_inside, args), **tree_map(_inside, kwargs))
        known = {id(_inside(one)): one for one in given}  # what is changed in place stays what it is

        def outside(value: Any) -> Any:
            if not isinstance(value, Tensor) or leaves:
                return value
            return known[id(value)] if id(value) in known else Pretend(value)

        return tree_map(outside, out)


def _inside(value: Any) -> Any:
    return value.own if isinstance(value, Pretend) else value


def _made(factory: Any) -> Callable[..., Pretend]:
    return lambda *args, **kwargs: Pretend(factory(*args, **{**kwargs, "device": torch.device("cpu")}))


def _copied(source: Tensor, target: Tensor, non_blocking: bool = False) -> Tensor:
    _inside(target).copy_(_inside(source))
    return target


_kernels = torch.library.Library("aten", "IMPL")
_kernels.impl("empty.memory_format", _made(torch.ops.aten.empty.memory_format), "PrivateUse1")
_kernels.impl("empty_strided", _made(torch.ops.aten.empty_strided.default), "PrivateUse1")
_kernels.impl("_copy_from", _copied, "PrivateUse1")
