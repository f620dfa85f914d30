"""GALE: broadcast transcripts with English translations, as .tdf tables.

Source: Linguistic Data Consortium; the paper used LDC2016T25. Licence: LDC User Agreement (not free).
Version: that of the release. How to get it: from https://catalog.ldc.upenn.edu under an LDC licence;
`--data gale=` the folder that holds `source/*.tdf` and `translation/*.eng.tdf`. The text is in the column
`transcript;unicode`; rows are aligned by number.
"""

from __future__ import annotations

from pathlib import Path

from semhub.data import files, languages, pairs
from semhub.data.items import Card, Parallel
from semhub.errors import DataError

CARD = Card(
    name="gale",
    what="GALE transcripts with English translations",
    source="Linguistic Data Consortium, such as LDC2016T25",
    version="that of the release",
    licence="LDC User Agreement",
    get="--data gale=FOLDER with source/*.tdf and translation/*.eng.tdf, licensed from https://catalog.ldc.upenn.edu",
)

COLUMN = "transcript;unicode"


def load(spec: str, dominant: str = "en", asked: tuple[str, ...] = ()) -> Parallel:
    """The sentence pairs of a GALE folder, files by name, rows in order; pairs with an empty side are
    dropped.

    Raises DataError: no .tdf files, a missing translation, a missing column, tables of unequal length.
    """
    folder = files.find(spec, "gale")
    sources = files.data_files(folder / "source", (".tdf",)) if (folder / "source").is_dir() else []
    if not sources:
        raise DataError(f"{folder} has no source/*.tdf. Give the folder that holds source/ and translation/.")
    left: list[str] = []
    right: list[str] = []
    used: list[Path] = []
    for path in sources:
        translation = folder / "translation" / f"{path.stem}.eng.tdf"
        if not translation.is_file():
            raise DataError(f"{translation} is missing: the translation of {path}.")
        one, other = _column(path), _column(translation)
        if len(one) != len(other):
            raise DataError(
                f"{path} has {len(one)} rows, {translation} {len(other)}: aligned tables need equal counts."
            )
        left.extend(one)
        right.extend(other)
        used.extend((path, translation))
    code = languages.from_script(" ".join(left)) or (asked[0] if len(asked) == 1 else None)
    if code is None or code == "en":
        raise DataError(
            f"{folder / 'source'}: its script does not tell the language. Give it with --languages."
        )
    return pairs.collect(folder.name or "gale", CARD, {code: left, "en": right}, used, str(folder))


def _column(path: Path) -> list[str]:
    lines = files.read_lines(path)
    header = [cell.strip() for cell in lines[0].split("\t")]
    if COLUMN not in header:
        raise DataError(f"{path}, line 1: no column {COLUMN!r}. It has {', '.join(header[:8])}.")
    index = header.index(COLUMN)
    texts = []
    for number, line in enumerate(lines[1:], start=2):
        if line.startswith(";;") or not line.strip():
            continue
        cells = line.split("\t")
        if len(cells) <= index:
            raise DataError(
                f"{path}, line {number}: {len(cells)} columns, but {COLUMN!r} is column {index + 1}."
            )
        texts.append(cells[index])
    return texts
