"""The direction of dependencies: spokes know no models, measures know the abstract adapter alone, stats know
rows, figures and report know tables. Imports are read with `ast`, inside functions too, from every file."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "semhub"

# A part of the package (the longest matching prefix decides) -> the other parts it may import.
LEAVES = {"types", "errors"}
PROOF = LEAVES | {
    "lab",
    "lab.world",
    "lab.pool",
    "lab.judge",
    "models",
    "runs",
    "results",
    "stats",
    "figures",
    "report",
}
CHECKED = LEAVES | {"models", "capture", "lens", "steer", "pictures", "sounds"}
MAY_IMPORT: dict[str, set[str]] = {
    "types": set(),
    "errors": set(),
    "registry": LEAVES | {"spokes"},
    "results": LEAVES,
    "lab.world": LEAVES | {"pictures"},
    "data": LEAVES | {"lab.world", "pictures", "sounds"},
    "spokes": LEAVES | {"data"},
    "organisms": LEAVES | {"registry"},
    "models": LEAVES | {"registry", "organisms", "models.selfcheck", "pictures", "sounds"},
    "models.selfcheck": CHECKED | {"models.sensecheck"},
    "models.sensecheck": CHECKED,
    "capture": LEAVES | {"models.base", "models.sites"},
    "lens": LEAVES | {"models.base", "capture"},
    "steer": LEAVES | {"models.base", "models.sites"},
    "generate": LEAVES | {"models.base", "models.past", "models.sites", "capture", "steer"},
    "pictures": LEAVES,
    "sounds": LEAVES,
    "gguf": LEAVES,
    "directions": LEAVES | {"models.base", "capture", "gguf"},
    "stats": LEAVES | {"registry", "results"},
    "measures": LEAVES
    | {"registry", "results", "models.base", "capture", "lens", "steer", "generate", "stats"},
    "figures": LEAVES | {"registry", "results"},
    "report": LEAVES | {"registry", "results", "figures"},
    "lab": LEAVES | {"registry", "data", "lab.world", "lab.audio"},
    "lab.audio": LEAVES
    | {"data", "lab", "lab.world", "models.beats", "models.salmonn", "models.salmonn_ear"},
    "lab.pool": LEAVES | {"runs.store"},
    "lab.judge": LEAVES | {"results", "models", "stats", "runs"},
    "lab.prove": PROOF | {"registry", "data", "capture", "lens", "steer", "generate", "measures"},
    "lab.sweep": PROOF | {"registry"},
    "lab.cli": LEAVES | {"lab", "lab.prove", "lab.sweep"},
    "runs": LEAVES
    | {"registry", "results", "data", "spokes", "organisms", "models", "pictures", "sounds"}
    | {"capture", "lens", "steer", "generate", "stats", "measures", "figures", "report"},
}
FREE = {
    "",
    "api",
    "catalogue",
    "cli",
    "cli_options",
    "cli_steer",
    "marked",
    "patching",
    "steering",
    "steering_show",
    "__main__",
}  # the outermost ring may import everything
HEAVY = {"torch", "transformers", "accelerate"}
WITHOUT_TORCH = {
    "types",
    "errors",
    "registry",
    "results",
    "sounds",
    "lab.world",
    "data",
    "spokes",
    "stats",
    "figures",
    "report",
}
HOOKS = {"register_forward_hook", "register_forward_pre_hook", "register_module_forward_hook"}
# Where layers are: only capture reads there and only steer writes. Training swaps states of what it trains.
MAY_HOOK = {"models.sites", "lab.senses"}
DECODERS = {"soundfile", "av"}  # which only `semhub.sounds` knows
PICKLERS = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}


def part_of(module: str) -> str:
    """The part of the package a module (`a.b.c`, without `semhub.`) belongs to."""
    names = module.split(".")
    for length in range(len(names), 0, -1):
        prefix = ".".join(names[:length])
        if prefix in MAY_IMPORT:
            return prefix
    return names[0]


def modules(root: Path) -> dict[str, Path]:
    """Every module under `root` by its dotted name without the package's own ("" is `__init__`)."""
    found = {}
    for path in sorted(root.rglob("*.py")):
        names = list(path.relative_to(root).with_suffix("").parts)
        if names[-1] == "__init__":
            names.pop()
        found[".".join(names)] = path
    return found


def imports(module: str, path: Path, known: dict[str, Path]) -> Iterator[tuple[int, str, bool]]:
    """(line, name, internal) of each import of a file; internal names come without `semhub.`."""
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        targets: list[str] = []
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = ["semhub", *filter(None, package.split("."))]
                base = ".".join([*parents[: len(parents) - node.level + 1], *filter(None, [base])])
            inner = base.removeprefix("semhub").removeprefix(".")
            for alias in node.names:
                name = f"{inner}.{alias.name}".lstrip(".")
                is_module = base.split(".")[0] == "semhub" and name in known
                targets.append(f"{base}.{alias.name}" if is_module else base)
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in {"import_module", "__import__"} and isinstance(node.args[0].value, str):
                targets = [node.args[0].value]
        for target in dict.fromkeys(targets):
            head, _, rest = target.partition(".")
            yield getattr(node, "lineno", 0), rest if head == "semhub" else target, head == "semhub"


def wrong_direction(root: Path) -> list[str]:
    known, found = modules(root), []
    for module, path in known.items():
        part = part_of(module)
        if part in FREE:
            continue
        if part not in MAY_IMPORT:
            found.append(f"{module}: MAY_IMPORT does not say what this part may import")
            continue
        for line, name, internal in imports(module, path, known):
            allowed = any(f"{name}.".startswith(f"{other}.") for other in MAY_IMPORT[part])
            if internal and part_of(name) != part and not allowed:
                found.append(
                    f"{module}:{line} imports semhub.{name}; {part} may import {sorted(MAY_IMPORT[part])}"
                )
    return found


def reaches_torch(root: Path) -> list[str]:
    """Modules that must load without torch but do not, with the chain of imports that leads there."""
    known, found = modules(root), []
    edges = {module: list(imports(module, path, known)) for module, path in known.items()}
    for start in known:
        if part_of(start) not in WITHOUT_TORCH:
            continue
        chains, seen = [[start]], {start}
        while chains:
            chain = chains.pop()
            for _, name, internal in edges[chain[-1]]:
                if not internal and name.split(".")[0] in HEAVY:
                    found.append(" -> ".join([*chain, name]))
                parents = (
                    [".".join(name.split(".")[:k]) for k in range(1, name.count(".") + 2)] if name else []
                )
                for step in parents if internal else []:
                    if step in known and step not in seen:
                        seen.add(step)
                        chains.append([*chain, step])
    return found


def stray_hooks(root: Path) -> list[str]:
    return [
        f"{module}:{node.lineno} calls {node.attr}; only {sorted(MAY_HOOK)} may, for capture and steer"
        for module, path in modules(root).items()
        if module not in MAY_HOOK
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr in HOOKS
    ]


def pickles(root: Path) -> list[str]:
    known, found = modules(root), []
    for module, path in known.items():
        for line, name, internal in imports(module, path, known):
            if not internal and name.split(".")[0] in PICKLERS:
                found.append(f"{module}:{line} imports {name}")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load":
                safe = [
                    k for k in node.keywords if k.arg == "weights_only" and ast.unparse(k.value) == "True"
                ]
                if not safe:
                    found.append(f"{module}:{node.lineno} torch.load without weights_only=True")
    return found


def stray_decoders(root: Path) -> list[str]:
    known = modules(root)
    return [
        f"{module}:{line} imports {name}; only semhub.sounds opens sounds"
        for module, path in known.items()
        if module != "sounds"
        for line, name, internal in imports(module, path, known)
        if not internal and name.split(".")[0] in DECODERS
    ]


CHECKS = {
    check.__name__: check for check in (wrong_direction, reaches_torch, stray_hooks, stray_decoders, pickles)
}


@pytest.mark.parametrize("check", CHECKS)
def test_package_holds(check: str) -> None:
    assert CHECKS[check](SOURCE) == []


def test_every_module_is_found() -> None:
    found = modules(SOURCE)
    assert {"", "types", "errors", "results"} <= set(found)
    assert len(found) == len(list(SOURCE.rglob("*.py")))


FAULTS = [
    ("wrong_direction", "spokes/new.py", "from semhub.models import base"),
    ("wrong_direction", "spokes/new.py", "def f():\n    import semhub.models.base"),
    ("wrong_direction", "spokes/new.py", "from ..models import base"),
    ("wrong_direction", "spokes/new.py", "from semhub import models"),
    (
        "wrong_direction",
        "spokes/new.py",
        "import importlib\nm = importlib.import_module('semhub.models.base')",
    ),
    ("wrong_direction", "spokes/new.py", "from semhub import load"),
    ("wrong_direction", "models/new.py", "from semhub.spokes import language"),
    ("wrong_direction", "measures/new.py", "from semhub.models import load"),
    ("wrong_direction", "stats/new.py", "from semhub.measures import similarity"),
    ("wrong_direction", "figures/new.py", "from semhub.runs import store"),
    ("wrong_direction", "data/new.py", "from semhub.lab import train"),
    ("wrong_direction", "measures/new.py", "from semhub.models.sites import visiting"),
    ("wrong_direction", "newpart.py", "x = 1"),
    ("reaches_torch", "spokes/new.py", "import torch"),
    ("reaches_torch", "stats/new.py", "from transformers import AutoModel"),
    ("reaches_torch", "spokes/new.py", "from semhub.lab import train"),
    ("stray_hooks", "measures/new.py", "def f(block):\n    block.register_forward_hook(print)"),
    ("stray_decoders", "data/new.py", "import soundfile"),
    ("stray_decoders", "models/new.py", "def f():\n    import av"),
    ("pickles", "runs/new.py", "import pickle"),
    ("pickles", "models/new.py", "import torch\nw = torch.load('x')"),
    ("pickles", "models/new.py", "import torch\nw = torch.load('x', weights_only=False)"),
]
GOOD = {
    "__init__.py": "from semhub.models import load",
    "types.py": "",
    "cli.py": "from semhub.runs import store",
    "data/__init__.py": "",
    "lab/__init__.py": "",
    "lab/world.py": "from semhub.types import X",
    "lab/train.py": "import torch\nfrom semhub.lab.world import meanings",
    "models/__init__.py": "def load():\n    from semhub.models.selfcheck import run",
    "models/base.py": "import torch\nfrom ..types import X",
    "models/selfcheck.py": "from semhub.capture import capture\nfrom semhub.models.base import A",
    "models/sites.py": "from semhub.models.base import A\ndef f(block):\n    block.register_forward_hook(print)",
    "capture.py": "from semhub.models.sites import f",
    "measures/__init__.py": "",
    "measures/similarity.py": "from semhub.models.base import A\nfrom semhub.stats import permutation",
    "stats/__init__.py": "",
    "stats/permutation.py": "import numpy",
    "spokes/__init__.py": "",
    "spokes/language.py": "from semhub.data import pairs\nfrom semhub.types import X",
    "data/pairs.py": "from semhub.lab.world import meanings",
    "figures/__init__.py": "",
    "runs/__init__.py": "",
    "runs/store.py": "import torch\nw = torch.load('x', weights_only=True)\nfrom semhub import figures",
}


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


@pytest.mark.parametrize("check", CHECKS)
def test_a_sound_package_passes(check: str, tmp_path: Path) -> None:
    assert CHECKS[check](write(tmp_path, GOOD)) == []


@pytest.mark.parametrize(("check", "name", "text"), FAULTS)
def test_each_fault_is_found(check: str, name: str, text: str, tmp_path: Path) -> None:
    assert CHECKS[check](write(tmp_path, {**GOOD, name: text}))
