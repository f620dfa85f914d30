"""The rows of a table of own pictures: where each lies, its caption, and its nouns and near misses where given."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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
    rows = files.read_csv(table) if table.suffix.lower() == ".csv" else files.read_jsonl(table)
    for number, row in rows:
        where = f"{table}, line {number}"
        name = files.field(row, FILE_KEYS, where)
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


def _caption(row: Mapping[str, Any], where: str) -> str:
    """The caption, or the first of several; empty where there is none."""
    value = row.get(files.present(row, CAPTION_KEYS)) or ""
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
