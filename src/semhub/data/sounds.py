"""Own sounds with labels: a folder whose folders are named by labels, or a JSONL or CSV file.

Source: the user's files. Licence, version: theirs. How to get it: `--data sounds=` a folder such as `dog/1.wav`,
`violin/a.flac`; a folder with `labels.jsonl` or `labels.csv` (or `metadata.*`), or that file itself, with `file` (also
`sound`, `file_name`, `path`; relative to the file) and `label` (also `category`, `caption`, `text`), and where several
clips are cut from one recording its name as `recording`: they are then one cluster.
"""

from __future__ import annotations

from pathlib import Path

from semhub.data import files, labelled
from semhub.data.image_rows import is_there
from semhub.data.items import Card
from semhub.data.labelled import Clips, Listed
from semhub.errors import DataError

CARD = Card(
    name="sounds",
    what="own sounds with labels",
    source="the user's files",
    version="not stated",
    licence="not stated",
    get=(
        "--data sounds=FOLDER with a folder of clips for each label, or a .jsonl or .csv file (file, label, and "
        "recording where it has several clips)"
    ),
)

TABLES = ("labels.jsonl", "labels.csv", "metadata.jsonl", "metadata.csv")
FILE_KEYS = ("file", "sound", "file_name", "path")
LABEL_KEYS = ("label", "category", "caption", "text")
NOT_LISTED = "no line in the labels file"
HINT = 'Give --data sounds=FOLDER with clips in folders named by their labels, or lines of {"file": ..., "label": ...}.'


def load(spec: str, n: int | None, seed: int) -> Clips:
    """At most `n` of the clips. Raises DataError: nothing there, a row without its keys, nothing usable."""
    path = files.find(spec, CARD.name)
    if path.is_file():
        return labelled.clips(CARD, spec, path, _listed(path), n, seed, HINT)
    there = labelled.found(path)
    table = next((path / name for name in TABLES if (path / name).is_file()), None)
    if table is None:
        listed = [Listed(_id(one, path), one, _folder(one, path)) for one in there]
    else:
        listed = _listed(table)
        named = {one.path.resolve() for one in listed if one.path}
        rest = [one for one in there if one.resolve() not in named]
        listed += [Listed(_id(one, path), one, "", reason=NOT_LISTED) for one in rest]
    return labelled.clips(CARD, spec, table, listed, n, seed, HINT)


def _listed(table: Path) -> list[Listed]:
    kind = table.suffix.lower()
    if kind not in (".jsonl", ".ndjson", ".csv", ".tsv"):
        raise DataError(f"{table} is neither .jsonl nor .csv. {HINT}")
    separator = "\t" if kind == ".tsv" else ","
    rows = files.read_csv(table, separator) if kind in (".csv", ".tsv") else files.read_jsonl(table)
    listed = []
    for number, row in rows:
        where = f"{table}, line {number}"
        name = files.field(row, FILE_KEYS, where)
        path = Path(table.parent, name)
        label = row.get(files.present(row, LABEL_KEYS)) or ""
        if not isinstance(label, str):
            raise DataError(f"{where}: the label is no text.")
        there = path if name and is_there(path) else None
        recording = str(row.get("recording") or "").strip()
        cluster = f"sounds:{recording}" if recording else ""
        listed.append(Listed(f"sounds:{number}", there, labelled.clean(label), cluster))
    return listed


def _id(path: Path, folder: Path) -> str:
    return f"sounds:{path.relative_to(folder).as_posix()}"


def _folder(path: Path, folder: Path) -> str:
    return "" if path.parent == folder else labelled.clean(path.parent.name)
