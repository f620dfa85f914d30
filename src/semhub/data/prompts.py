"""Prompts to be continued in their own language: texts of the user, or beginnings of micro-world
sentences.

Source: the user's file, such as review texts in several languages. Licence, version: theirs. How to get it:
`--data prompts=` a `.jsonl` file with the keys `text` and `language` (an ISO code), or a `.csv` or `.tsv` file with
such columns; optional `id`, `cluster` (prompts of one cluster are resampled together) and `prefix` (what stands
before the text to keep its language, in place of that of prompts.json). Without it, beginnings of sentences.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files as package_files
from pathlib import Path
from typing import Any

from semhub.data import files, languages, microworld
from semhub.data.items import Card
from semhub.errors import DataError, UsageError
from semhub.lab import world
from semhub.types import Content, Prompt, Provenance

CARD = Card(
    name="prompts",
    what="texts to be continued, for steering by sentiment",
    source="the user's file",
    version="not stated",
    licence="not stated",
    get="--data prompts=FILE: .jsonl, .csv or .tsv with text and language, and id, cluster, prefix if there are any",
)
NEEDED, OPTIONAL = ("text", "language"), ("id", "cluster", "prefix")
DELIMITERS = {".csv": ",", ".tsv": "\t"}


@dataclass(frozen=True, slots=True)
class Prompts:
    """Prompts by language, in the order of their file."""

    by_language: Mapping[str, tuple[Prompt, ...]]
    provenance: Provenance


@cache
def prefixes() -> Mapping[str, str]:
    """Language -> what asks for more text in that language."""
    table: dict[str, str] = _table("prompts.json")
    return table


@cache
def good_and_bad() -> Mapping[str, tuple[str, str]]:
    """Language -> a good word and its opposite."""
    return {code: (good, bad) for code, (good, bad) in _table("good_bad.json").items()}


def load(spec: str) -> Prompts:
    """The prompts of a file. Raises DataError for the first row that is none, naming its line."""
    if spec.startswith("hub:"):
        raise UsageError("prompts come from a file: --data prompts=FILE.jsonl, .csv or .tsv.")
    path = files.find(spec, "prompts")
    kinds = [one.lower() for one in path.suffixes if one.lower() != ".gz"]
    kind = kinds[-1] if kinds else ""
    if path.is_dir() or kind not in (".jsonl", ".ndjson", *DELIMITERS):
        raise DataError(f"{path}: prompts come as a .jsonl, .csv or .tsv file with text and language.")
    rows = _table_rows(path, DELIMITERS[kind]) if kind in DELIMITERS else files.read_jsonl(path)
    found: dict[str, list[Prompt]] = {}
    seen: dict[str, int] = {}
    for number, row in rows:
        prompt = _prompt(f"{path}, line {number}", number, row)
        if prompt.case_id in seen:
            first = seen[prompt.case_id]
            raise DataError(f"{path}, line {number}: the id {prompt.case_id!r} is that of line {first} too.")
        seen[prompt.case_id] = number
        found.setdefault(prompt.language, []).append(prompt)
    if not found:
        raise DataError(f"{path} has a header and no prompts.")
    provenance = CARD.provenance(str(path), files.sha256([path]))
    return Prompts({code: tuple(some) for code, some in found.items()}, provenance)


def generated(n: int, seed: int) -> Prompts:
    """The beginnings of `n` held-out sentences of the micro-world, in each of its languages.

    A sentence ends before the second half of its content words: a whole one leaves nothing to say.
    """
    meanings = world.meanings(n, seed, split="heldout")
    found: dict[str, tuple[Prompt, ...]] = {}
    for code in microworld.LANGUAGES:
        sentences = [world.render(meaning, code) for meaning in meanings]
        found[code] = tuple(
            _made(f"micro-world:{i}:{code}", meaning.key, _beginning(sentence), code, prefixes()[code])
            for i, (meaning, sentence) in enumerate(zip(meanings, sentences, strict=True))
        )
    return Prompts(found, microworld.provenance())


def _beginning(sentence: world.Sentence) -> str:
    starts = sorted(word.start for word in sentence.words if word.start)
    return sentence.text[: starts[len(starts) // 2]].rstrip() if starts else sentence.text


def _prompt(where: str, number: int, row: Mapping[str, Any]) -> Prompt:
    for key in NEEDED:
        if key not in row or not _text(row[key]).strip():
            given = f"{row[key]!r:.60}" if key in row else f"only {', '.join(map(str, row))}"
            raise DataError(f'{where}: no text under "{key}", but {given}.')
    for key in OPTIONAL:
        if row.get(key) is not None and not isinstance(row[key], (str, int)):
            raise DataError(f'{where}: "{key}" must be text, not {row[key]!r:.60}.')
    code = languages.normalise(_text(row["language"]).strip())
    if code is None:
        raise DataError(f"{where}: {row['language']!r:.60} is no known language code. Write en, zh, es ...")
    own = row.get("prefix")
    prefix = prefixes().get(code, "") if own is None else str(own)
    name, cluster = (str(row[key]) if row.get(key) not in (None, "") else "" for key in ("id", "cluster"))
    name = name or f"prompts:{number}"
    for part in (row["text"], prefix, name, cluster):
        try:
            part.encode()
        except UnicodeEncodeError as error:
            raise DataError(f"{where}: half a surrogate pair, which is no character. Correct it.") from error
    return _made(name, cluster or name, _text(row["text"]).strip(), code, prefix)


def _made(name: str, cluster: str, text: str, code: str, prefix: str) -> Prompt:
    return Prompt(name, cluster, Content.of(prefix + text), code, Content.of(text))


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _table_rows(path: Path, delimiter: str) -> list[tuple[int, dict[str, Any]]]:
    """(line, row) of a table with a header; an empty cell of an optional column counts as absent."""
    text = io.StringIO(files.read_text(path), newline="")
    if delimiter == "\t":
        reader = csv.reader(text, delimiter=delimiter, quoting=csv.QUOTE_NONE)
    else:
        reader = csv.reader(text, delimiter=delimiter, strict=True)
    rows: list[tuple[int, dict[str, Any]]] = []
    head: list[str] = []
    try:
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if not head:
                head = [cell.strip().lower() for cell in cells]
                continue
            if len(cells) != len(head):
                raise DataError(
                    f"{path}, line {reader.line_num}: {len(cells)} columns where the header has {len(head)}."
                )
            row = dict(zip(head, cells, strict=True))
            kept = {key: value for key, value in row.items() if key in NEEDED or (key in OPTIONAL and value)}
            rows.append((reader.line_num, kept))
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num}: {error}. Correct the quotes.") from error
    missing = [key for key in NEEDED if key not in head]
    if missing:
        raise DataError(f"{path}, line 1: no column {missing[0]!r}; the header needs text and language.")
    return rows


def _table(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        package_files("semhub.data").joinpath(name).read_text(encoding="utf-8")
    )
    return found
