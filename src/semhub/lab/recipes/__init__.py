"""One file per organism: its stem, with hyphens, is the organism's name, its `RECIPE` what it is made of."""

from __future__ import annotations

import importlib
import pkgutil

from semhub.errors import UsageError
from semhub.lab.recipe import Recipe


def recipes() -> dict[str, Recipe]:
    """Every recipe in this folder, by name."""
    stems = sorted(info.name for info in pkgutil.iter_modules(__path__))
    return {stem.replace("_", "-"): importlib.import_module(f"{__name__}.{stem}").RECIPE for stem in stems}


def recipe(name: str) -> Recipe:
    """One recipe. Raises UsageError for an unknown name."""
    known = recipes()
    if name not in known:
        raise UsageError(f"unknown recipe {name!r}; there are {', '.join(known)}.")
    return known[name]
