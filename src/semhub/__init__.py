"""semhub tests the semantic hub hypothesis (Wu et al., arXiv 2411.04986) on any Hugging Face model."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from semhub.errors import DataError, ModelError, RunFolderError, SelfCheckError, SemhubError, UsageError

if TYPE_CHECKING:
    from semhub.api import Grid, Run, lens, patch, run, similarity, steer, test
    from semhub.models import load

__all__ = [
    "DataError",
    "Grid",
    "ModelError",
    "Run",
    "RunFolderError",
    "SelfCheckError",
    "SemhubError",
    "UsageError",
    "lens",
    "load",
    "patch",
    "run",
    "similarity",
    "steer",
    "test",
]


class _Package(ModuleType):
    """Loads torch when a name that needs it is used, so that `semhub --help` answers at once."""

    def __getattr__(self, name: str) -> Any:
        if name not in __all__:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        from semhub import api, models

        value = models.load if name == "load" else getattr(api, name)
        self.__dict__[name] = value
        return value

    def __setattr__(self, name: str, value: object) -> None:
        """`semhub.lens` is the function, also after the module of that name was imported."""
        if not (name in __all__ and isinstance(value, ModuleType)):
            super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *__all__})


sys.modules[__name__].__class__ = _Package
