"""What there is to run: a spoke is a file in spokes/, an entry point, or a path to a .py file.

A spoke module has NAME and EXPERIMENTS; nothing is registered anywhere else.
"""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType

from semhub import spokes as spokes_package
from semhub.errors import SemhubError, UsageError
from semhub.types import CaseSet, Experiment, Provenance, Request

Built = tuple[list[CaseSet], list[Provenance]]
ENTRY_POINTS = "semhub.spokes"


def spokes() -> dict[str, ModuleType]:
    """Name -> module of every spoke: the shipped ones in order of their file names, then installed entry points."""
    found = {}
    for info in sorted(pkgutil.iter_modules(spokes_package.__path__), key=lambda info: info.name):
        found[info.name] = importlib.import_module(f"{spokes_package.__name__}.{info.name}")
    for point in entry_points(group=ENTRY_POINTS):
        found.setdefault(point.name, point.load())
    return found


def spoke(name: str) -> ModuleType:
    """One spoke by its name or by the path of its .py file. Raises UsageError."""
    if name.endswith(".py"):
        return _from_file(Path(name))
    known = spokes()
    if name not in known:
        raise UsageError(
            f"unknown spoke {name!r}; there are {', '.join(known)}, or give the path of a .py file."
        )
    return known[name]


def experiments(spoke_names: Sequence[str] = (), ids: Sequence[str] = ()) -> list[Experiment]:
    """The experiments of the named spokes (all, if none is named) that are also among `ids` (all, if none).

    Raises UsageError for an unknown name, or if nothing is left.
    """
    modules = [spoke(name) for name in dict.fromkeys(spoke_names)] if spoke_names else list(spokes().values())
    found = [experiment for module in modules for experiment in module.EXPERIMENTS]
    known = {experiment.id for module in [*spokes().values(), *modules] for experiment in module.EXPERIMENTS}
    for name in ids:
        if name not in known:
            raise UsageError(f"unknown experiment {name!r}; `semhub list experiments` shows what there is.")
    chosen = [experiment for experiment in found if not ids or experiment.id in ids]
    if not chosen:
        raise UsageError(
            f"no experiment is left: {', '.join(ids)} is not in the spokes {', '.join(spoke_names)}."
        )
    return chosen


def _from_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise UsageError(f"{path} is not a file.")
    spec = importlib.util.spec_from_file_location(f"semhub_spoke_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise UsageError(f"{path} cannot be imported.")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise UsageError(f"{path} cannot be imported: {type(error).__name__}: {error}") from error
    found = getattr(module, "EXPERIMENTS", None)
    listed = isinstance(found, (list, tuple)) and all(isinstance(one, Experiment) for one in found)
    if not found or not listed or not isinstance(getattr(module, "NAME", None), str):
        raise UsageError(
            f"{path} is no spoke: it needs NAME and EXPERIMENTS, a list of Experiment (docs/add-a-spoke.md)."
        )
    module.EXPERIMENTS = tuple(replace(one, build=_guarded(path, one)) for one in found)  # type: ignore[attr-defined]
    return module


def _guarded(path: Path, experiment: Experiment) -> Callable[[Request], Built]:
    """The experiment's own build, whose errors become one line that names the file: it is the user's code."""

    def build(request: Request) -> Built:
        try:
            sets, provenance = experiment.build(request)
            wrong = next((one for one in sets if one.experiment != experiment.id), None)
            made = list(sets), list(provenance)
        except SemhubError:
            raise
        except Exception as error:
            raise UsageError(f"{path}, {experiment.id}: {type(error).__name__}: {error}") from error
        if wrong is not None:
            raise UsageError(
                f"{path}, {experiment.id}: a case set names the experiment {wrong.experiment!r}."
            )
        return made

    return build
