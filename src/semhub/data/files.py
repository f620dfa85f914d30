"""Reading user files: every failure is a DataError that names the file and, where there is one, the line."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from semhub.errors import DataError

NOT_DATA = ("readme", "source", "licence", "license", "manifest")


def find(path: str | Path, option: str) -> Path:
    """The path, if it exists; `option` is the `--data` name for the message."""
    found = Path(path).expanduser()
    if not str(path) or not found.exists():
        raise DataError(
            f"{path or '(empty path)'} does not exist. Give --data {option}=PATH an existing file or folder."
        )
    return found


def read_bytes(path: Path) -> bytes:
    """The file's bytes, gunzipped if the name ends in .gz."""
    try:
        raw = path.read_bytes()
        return gzip.decompress(raw) if path.suffix == ".gz" else raw
    except (OSError, EOFError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{path} cannot be read: {reason}.") from error


def read_text(path: Path) -> str:
    """UTF-8 text without a byte-order mark, line ends as \\n. Raises DataError when empty or undecodable."""
    raw = read_bytes(path)
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise DataError(
            f"{path}, line {line}: byte 0x{raw[error.start]:02x} is not UTF-8. Convert the file to UTF-8."
        ) from error
    if "\x00" in text:
        line = text[: text.index("\x00")].count("\n") + 1
        raise DataError(f"{path}, line {line}: a zero byte; this is no text file. Give a UTF-8 text file.")
    text = text.replace("\r\n", "\n")
    if not text.strip():
        raise DataError(f"{path} is empty. Give a file with at least one line.")
    return text


def read_lines(path: Path) -> list[str]:
    """The lines, blank ones included, split at \\n alone: Unicode line separators inside a sentence stay."""
    text = read_text(path)
    return (text[:-1] if text.endswith("\n") else text).split("\n")


def read_json(path: Path) -> Any:
    """The JSON value of a whole file."""
    try:
        return json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise DataError(
            f"{path}, line {error.lineno}: not JSON ({error.msg}). Correct or remove it."
        ) from error


def read_jsonl(path: Path) -> list[tuple[int, dict[str, Any]]]:
    """(line number, object) for each non-blank line."""
    rows = []
    for number, line in enumerate(read_lines(path), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise DataError(
                f"{path}, line {number}: not JSON ({error.msg}). One JSON object per line."
            ) from error
        if not isinstance(row, dict):
            raise DataError(
                f"{path}, line {number}: a JSON {type(row).__name__}, not an object. Use {{...}} lines."
            )
        rows.append((number, row))
    return rows


def read_rows(path: Path, separator: str = ",") -> list[tuple[int, list[str]]]:
    """(line number, fields) of each line of a CSV file that is not empty, its header too; tabs know no quotes."""
    lines = io.StringIO(read_text(path), newline="")
    if separator == "\t":
        reader = csv.reader(lines, delimiter=separator, quoting=csv.QUOTE_NONE, strict=True)
    else:
        reader = csv.reader(lines, delimiter=separator, strict=True)
    try:
        return [(reader.line_num, row) for row in reader if row]
    except csv.Error as error:
        raise DataError(
            f"{path}, line {reader.line_num}: not CSV ({error}). Quote fields with commas."
        ) from error


def read_csv(path: Path, separator: str = ",") -> list[tuple[int, dict[str, str]]]:
    """(line number, name -> field) of each line of a CSV file below its header."""
    (_, header), *rows = read_rows(path, separator)
    for number, row in rows:
        if len(row) != len(header):
            raise DataError(
                f"{path}, line {number}: not as many fields as the header has. Quote those with commas."
            )
    names = [name.strip() for name in header]
    return [(number, dict(zip(names, row, strict=True))) for number, row in rows]


def present(row: Mapping[str, Any], keys: Sequence[str]) -> str:
    """The first of the keys that the row has, else the first."""
    return next((key for key in keys if key in row), keys[0])


def field(row: Mapping[str, Any], keys: Sequence[str], where: str) -> str:
    """The text under the first of the keys that the row has. Raises DataError, which says where the row is."""
    value = row.get(present(row, keys))
    if not isinstance(value, str):
        has = ", ".join(map(str, list(row)[:8]))
        raise DataError(f"{where}: no text under {' or '.join(keys[:2])}. The row has {has}.")
    return value.strip()


def data_files(folder: Path, suffixes: Sequence[str] = ()) -> list[Path]:
    """The folder's own files by name, without hidden ones, READMEs, licences and the like."""
    try:
        files = sorted(path for path in folder.iterdir() if path.is_file())
    except OSError as error:
        raise DataError(f"{folder} cannot be listed: {error.strerror or error}.") from error
    return [
        path
        for path in files
        if not path.name.startswith(".")
        and not path.name.lower().startswith(NOT_DATA)
        and (not suffixes or path.suffix.lower() in suffixes)
    ]


def sha256(paths: Sequence[Path]) -> str:
    """Of one file: its own hash. Of several: the hash of their hashes' sorted hexadecimal lines."""
    hashes = []
    for path in paths:
        try:
            with path.open("rb") as handle:
                hashes.append(hashlib.file_digest(handle, "sha256").hexdigest())
        except OSError as error:
            raise DataError(f"{path} cannot be read: {error.strerror or error}.") from error
    if len(hashes) == 1:
        return hashes[0]
    return hashlib.sha256("".join(f"{one}\n" for one in sorted(hashes)).encode()).hexdigest()
