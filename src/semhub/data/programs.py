"""Python programs: a folder of .py files, or HumanEval.

Source: the user's files, or HumanEval (Chen et al. 2021, https://github.com/openai/human-eval, MIT). Licence, version:
theirs. How to get it: `--data programs=` a folder (read with its subfolders), one .py file, HumanEval's .jsonl or
.jsonl.gz (`task_id`, `prompt`, `canonical_solution`, `test`, `entry_point`), or `hub:openai/openai_humaneval`. A
description is the docstring of the module or its first function (HumanEval: of the function asked for), up to the first
doctest example.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from semhub.data import files, hub
from semhub.data.docstrings import described
from semhub.data.items import Card, merge, subsample
from semhub.data.source import NOT_PARSED, parse
from semhub.errors import DataError
from semhub.types import Kept, Provenance

CARD = Card(
    name="programs",
    what="Python programs: .py files or HumanEval",
    source="the user's files, or HumanEval (Chen et al. 2021)",
    version="not stated",
    licence="not stated (HumanEval: MIT)",
    get="--data programs=FOLDER of .py files, or HumanEval.jsonl from https://github.com/openai/human-eval",
)

LARGE = 100_000  # bytes
NOT_SAMPLED = "program: not drawn into the sample"
HIDDEN = "program: hidden file"
TOO_LARGE = "program: over 100 kB"
NOT_TEXT = "program: not UTF-8 text"
EMPTY = "program: empty"


@dataclass(frozen=True, slots=True)
class Program:
    """A program that parses, its tests and its description (both may be empty).

    shown: the program without the docstring that serves as description. near: near misses of `shown` that the data set
    has of its own.
    """

    id: str
    code: str
    tests: str
    description: str
    shown: str
    near: tuple[str, ...] = ()

    @property
    def tested(self) -> str:
        """The program and its tests."""
        return f"{self.code}\n{self.tests}" if self.tests else self.code


@dataclass(frozen=True, slots=True)
class Programs:
    """Programs in the order of their data set. kept counts programs."""

    items: tuple[Program, ...]
    kept: Kept
    provenance: Provenance


Entry = tuple[str, str, str, str]  # code, tests, description, shown
Read = Callable[[int], Entry | str]  # the index of a program -> the program, or why it is left out


def collect(name: str, total: int, read: Read, limit: int, seed: int) -> tuple[tuple[Program, ...], Kept]:
    """At most `limit` of the `total` programs that `read` gives, without those that do not parse."""
    drawn = subsample(total, limit, seed)
    dropped: Counter[str] = Counter({NOT_SAMPLED: total - len(drawn)})
    items: list[Program] = []
    for index in drawn:
        found = read(index)
        reason = found if isinstance(found, str) else _unusable(*found)
        if isinstance(found, str) or reason:
            dropped[reason] += 1
        else:
            items.append(Program(f"{name}:{index}", *found))
    return tuple(items), Kept(total, merge(dropped))


def load(spec: str, limit: int, seed: int) -> Programs:
    """At most `limit` programs at `spec`, drawn from the seed.

    Raises DataError: nothing there, no program, a row without HumanEval's keys.
    """
    if hub.is_hub(spec):
        rows, _, version = hub.rows(spec)
        numbered = list(enumerate(rows))
        items, kept = _human_eval(spec, "row", numbered, limit, seed)
        return Programs(items, kept, hub_provenance(CARD, spec, version, rows))
    path = files.find(spec, CARD.name)
    if path.is_dir() and (modules := sorted(path.rglob("*.py"))):
        return _folder(path, modules, limit, seed)
    if path.suffix == ".py":
        return _folder(path.parent, [path], limit, seed)
    paths = files.data_files(path, (".jsonl", ".gz")) if path.is_dir() else [path]
    if len(paths) != 1:
        raise DataError(f"{path} has no .py file and {len(paths)} .jsonl files. Give --data programs=FILE.")
    numbered = list(files.read_jsonl(paths[0]))
    items, kept = _human_eval(str(paths[0]), "line", numbered, limit, seed)
    return Programs(items, kept, CARD.provenance(str(path), files.sha256(paths)))


def hub_provenance(card: Card, spec: str, version: str, rows: Sequence[Mapping[str, Any]]) -> Provenance:
    """The card of a Hub copy, with the hash of its rows."""
    digest = hashlib.sha256(repr([sorted(row.items()) for row in rows]).encode()).hexdigest()
    repo = spec.removeprefix(hub.PREFIX).split(":")[0]
    return replace(card.provenance(spec, digest, version), source=f"https://huggingface.co/datasets/{repo}")


def text_of(row: Mapping[str, Any], key: str, where: str) -> str:
    """The text under a key of a row. Raises DataError, which says where the row is."""
    if not isinstance(row.get(key), str):
        raise DataError(f'{where}: no text under "{key}". The row has {", ".join(map(str, list(row)[:8]))}.')
    return str(row[key])


def _folder(folder: Path, paths: Sequence[Path], limit: int, seed: int) -> Programs:
    def read(index: int) -> Entry | str:
        path = paths[index]
        if any(part.startswith(".") for part in path.relative_to(folder).parts):
            return HIDDEN
        if path.stat().st_size > LARGE:
            return TOO_LARGE
        try:
            code = files.read_bytes(path).decode("utf-8-sig")
        except UnicodeDecodeError:
            return NOT_TEXT
        description, shown = described(code)
        return code, "", description, shown

    items, kept = collect(CARD.name, len(paths), read, limit, seed)
    if not items and len(paths) == sum(kept.dropped.values()) - kept.dropped.get(NOT_SAMPLED, 0):
        raise DataError(f"{folder} has no usable program: {_listed(kept)}.")
    return Programs(items, kept, CARD.provenance(str(folder), files.sha256(paths)))


def _human_eval(
    spec: str, unit: str, rows: Sequence[tuple[int, Mapping[str, Any]]], limit: int, seed: int
) -> tuple[tuple[Program, ...], Kept]:
    def read(index: int) -> Entry | str:
        number, row = rows[index]
        where = f"{spec}, {unit} {number}"
        keys = ("prompt", "canonical_solution", "test", "entry_point")
        prompt, solution, tests, entry = (text_of(row, key, where) for key in keys)
        description, shown = described(prompt + solution, entry)
        return prompt + solution, tests, description, shown

    return collect(CARD.name, len(rows), read, limit, seed)


def _unusable(code: str, *others: str) -> str:
    try:
        "".join(others).encode()
    except UnicodeEncodeError:
        return NOT_TEXT
    return EMPTY if not code.strip() else NOT_PARSED if parse(code) is None else ""


def _listed(kept: Kept) -> str:
    return ", ".join(f"{reason} {count}" for reason, count in kept.dropped.items())
