"""Own pictures with captions: a folder, a JSONL or CSV file, or a Hub data set.

Source: the user's files. Licence, version: theirs. How to get it: `--data images=` a folder with pictures and
`captions.jsonl` or `captions.csv` (or `metadata.*`), or that file itself, with `file` (also `image`, `file_name`,
`path`; relative to the file), `caption` (also `text`) and, where there are any, `nouns` and `negatives` (lists of
words, and of captions of near misses; in CSV separated by `|`); `stems:FOLDER` for a folder whose files are named by
their captions, as in `a-red-hat.png`; or `hub:org/name` with the columns `image` and `caption`, `captions` or `text`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from semhub import pictures
from semhub.data import captioned, files, hub, nouns
from semhub.data.captioned import BROKEN, NO_CAPTION, REPEATED, Picture, Pictures
from semhub.data.image_rows import CAPTION_KEYS, HINT, Row, is_there, listed, row_of
from semhub.data.items import Card
from semhub.errors import DataError
from semhub.types import Image, Kept, Provenance

CARD = Card(
    name="images",
    what="own pictures with captions",
    source="the user's files",
    version="not stated",
    licence="not stated",
    get="--data images=FOLDER with pictures and captions.jsonl (file, caption), or that file, or stems:FOLDER",
)

STEMS = "stems:"
TABLES = ("captions.jsonl", "captions.csv", "metadata.jsonl", "metadata.csv")
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff")
NOT_LISTED = "no line in the captions file"


def load(spec: str, n: int | None, seed: int, language: str = "en") -> Pictures:
    """At most `n` of the pictures, with captions in `language`, as far as the user says so.

    Raises DataError: nothing there, a row without its keys, nothing usable.
    """
    rows, path, provenance = _from_hub(spec, n) if hub.is_hub(spec) else _from_files(spec)
    first = {row.image: index for index, row in reversed(list(enumerate(rows)))}

    reasons = [
        row.reason or ("" if row.caption else NO_CAPTION) or (REPEATED if first[row.image] < index else "")
        for index, row in enumerate(rows)
    ]
    chosen, dropped = captioned.draw([row.image for row in rows], reasons, n, seed)
    if not chosen:
        raise captioned.nothing(path, dropped, HINT)
    used = [rows[i] for i in chosen]
    found = nouns.find([row.caption for row in used], [row.nouns for row in used], language)
    items = [
        Picture(row.id, row.image, row.caption, words, row.negatives)
        for row, words in zip(used, found.each, strict=True)
    ]
    return Pictures(
        name=Path(path).name if not hub.is_hub(spec) else path.removeprefix(hub.PREFIX),
        items=tuple(items),
        kept=Kept(len(rows), dropped),
        provenance=provenance(used),
        how=found.how,
    )


_Found = tuple[list[Row], str, Callable[[Sequence[Row]], Provenance]]


def _from_files(spec: str) -> _Found:
    stems = spec.startswith(STEMS)
    path = files.find(spec.removeprefix(STEMS), CARD.name)
    table: Path | None = None
    if stems:
        if not path.is_dir():
            raise DataError(f"{path} is no folder. Give --data images={STEMS}FOLDER.")
        rows = [Row(f"images:{one.name}", Image(path=str(one)), _told(one)) for one in _pictures(path)]
    else:
        table = _table(path) if path.is_dir() else path
        rows = list(listed(table))
        if path.is_dir():
            named = {Path(row.image.path).resolve() for row in rows if not row.reason}
            rest = [one for one in _pictures(path) if one.resolve() not in named]
            rows += [Row(f"images:{one.name}", Image(path=str(one)), reason=NOT_LISTED) for one in rest]

    def provenance(used: Sequence[Row]) -> Provenance:
        paths = [*([table] if table else []), *(Path(row.image.path) for row in used)]
        return CARD.provenance(str(path), files.sha256(paths))

    return rows, str(path), provenance


def _told(path: Path) -> str:
    return captioned.clean(path.stem.replace("_", " ").replace("-", " "))


def _pictures(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file())
    except OSError as error:
        raise DataError(f"{folder} cannot be listed: {error.strerror or error}.") from error


def _table(folder: Path) -> Path:
    found = next((folder / name for name in TABLES if (folder / name).is_file()), None)
    if found is None:
        there = len(_pictures(folder))
        say = f"--data images={STEMS}{folder} if its files are named by their captions"
        raise DataError(
            f"{folder} has {there} pictures and none of {', '.join(TABLES)}. Write one, or give {say}."
        )
    return found


def _from_hub(spec: str, n: int | None) -> _Found:
    """Streams as many rows as are asked for."""
    found, _, version = hub.rows(spec, n)
    name = spec.removeprefix(hub.PREFIX).split(":")[0]
    if "image" not in found[0] or not any(key in found[0] for key in CAPTION_KEYS):
        raise DataError(
            f"{spec} has no columns `image` and `caption`. It has {', '.join(list(found[0])[:12])}."
        )
    rows = []
    for index, row in enumerate(found):
        where, item = f"{spec}, row {index}", f"{name.split('/')[-1]}:{index}"
        image = _hub_image(row["image"])
        reason = "" if image.data else BROKEN
        rows.append(row_of(row, item, image, reason, where))

    def provenance(used: Sequence[Row]) -> Provenance:
        digest = hashlib.sha256(b"".join(hashlib.sha256(row.image.data).digest() for row in used))
        for row in used:
            digest.update(f"{row.caption}\n".encode())
        source = f"https://huggingface.co/datasets/{name}"
        licence = "see the data set's page"
        return Provenance(CARD.name, source, version or CARD.version, licence, spec, digest.hexdigest())

    return rows, spec, provenance


def _hub_image(value: Any) -> Image:
    """A column's picture: `bytes` where they are kept as they were, else what `datasets` decoded; else no bytes."""
    if isinstance(value, Mapping):
        data, path = value.get("bytes"), value.get("path")
        if isinstance(data, bytes):
            return Image(data=data)
        return (
            Image(data=Path(path).read_bytes()) if isinstance(path, str) and is_there(Path(path)) else Image()
        )
    try:
        return Image(data=pictures.png(value.convert("RGB")))
    except Exception:  # whatever it is, it is no picture
        return Image()
