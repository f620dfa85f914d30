"""The rows of a table of own pictures: where each lies, its caption, and its nouns and near misses where given."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from semhub.data import captioned, files
from semhub.data.captioned import MISSING
from semhub.errors import DataError
from semhub.types import Image

FILE_KEYS = ("file", "image", "file_name", "path")
CAPTION_KEYS = ("caption", "text", "captions", "sentences")
HINT = 'Give --data images=FOLDER with pictures and captions.jsonl, one {"file": ..., "caption": ...} a line.'


@dataclass(frozen=True, slots=True)
class Row:
    """One row: nouns None where none are given; `reason` is why it cannot be used."""

    id: str
    image: Image
    caption: str = ""
    nouns: tuple[str, ...] | None = None
    negatives: tuple[str, ...] = ()
    reason: str = ""


def row_of(row: Mapping[str, Any], id: str, image: Image, reason: str, where: str) -> Row:
    """The row of a table. Raises DataError, which says where the row is, for a caption or list that is none."""
    caption = captioned.clean(_caption(row, where))
    given = row.get("nouns")
    nouns = None if given is None or given == "" else tuple(map(captioned.clean, _list(row, "nouns", where)))
    return Row(id, image, caption, nouns, captioned.distinct(_list(row, "negatives", where), caption), reason)


def listed(table: Path) -> Iterator[Row]:
    """The rows of a .jsonl or .csv file. Raises DataError for another one, and for lines that cannot be read."""
    if table.suffix.lower() not in (".jsonl", ".ndjson", ".csv"):
        raise DataError(f"{table} is neither .jsonl nor .csv. {HINT}")
    rows = _csv(table) if table.suffix.lower() == ".csv" else files.read_jsonl(table)
    for number, row in rows:
        where = f"{table}, line {number}"
        name = _text(row, FILE_KEYS, where)
        path = Path(table.parent, name)
        yield row_of(
            row, f"images:{number}", Image(path=str(path)), "" if name and is_there(path) else MISSING, where
        )


def is_there(path: Path) -> bool:
    """Whether there is such a file; no name is too odd to ask."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def _csv(table: Path) -> list[tuple[int, dict[str, Any]]]:
    lines = io.StringIO(files.read_text(table), newline="")
    try:
        reader = csv.DictReader(lines, strict=True)
        rows = [(reader.line_num, row) for row in reader]
    except csv.Error as error:
        raise DataError(
            f"{table}, line {reader.line_num + 1}: not CSV ({error}). Quote fields with commas."
        ) from error
    for number, row in rows:
        if None in row or None in row.values():
            raise DataError(
                f"{table}, line {number}: not as many fields as the header has. Quote those with commas."
            )
    return [(number, {str(key).strip(): value for key, value in row.items()}) for number, row in rows]


def _present(row: Mapping[str, Any], keys: Sequence[str]) -> str:
    return next((key for key in keys if key in row), keys[0])


def _text(row: Mapping[str, Any], keys: Sequence[str], where: str) -> str:
    value = row.get(_present(row, keys))
    if not isinstance(value, str):
        has = ", ".join(map(str, list(row)[:8]))
        raise DataError(f"{where}: no text under {' or '.join(keys[:2])}. The row has {has}.")
    return value.strip()


def _caption(row: Mapping[str, Any], where: str) -> str:
    """The caption, or the first of several; empty where there is none."""
    value = row.get(_present(row, CAPTION_KEYS)) or ""
    if isinstance(value, list):
        value = value[0] if value else ""
    if not isinstance(value, str):
        raise DataError(f"{where}: the caption is no text.")
    return value


def _list(row: Mapping[str, Any], key: str, where: str) -> tuple[str, ...]:
    value = row.get(key) or []
    if isinstance(value, str):
        value = value.split("|")
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise DataError(f'{where}: "{key}" must be a list of texts.')
    return tuple(value)
