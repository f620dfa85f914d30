"""ESC-50 as published, or a part of it: five seconds of sound each, of 50 categories.

Source: Piczak 2015 (https://doi.org/10.1145/2733373.2806390), https://github.com/karolpiczak/ESC-50. Licence: CC BY-NC
3.0; each clip has its own. Version: that of the file read. How to get it: `--data esc50=` the set's folder, with
`meta/esc50.csv` and the clips; or a folder with `manifest.tsv` (`file`, `category`), or that file.
"""

from __future__ import annotations

import re
from pathlib import Path

from semhub.data import files, labelled
from semhub.data.items import Card
from semhub.data.labelled import NO_LABEL, Clips, Listed
from semhub.errors import DataError

CARD = Card(
    name="esc50",
    what="ESC-50, five-second sounds with labels",
    source="https://github.com/karolpiczak/ESC-50 (Piczak 2015)",
    version="not stated",
    licence="CC BY-NC 3.0 (each clip has its own)",
    get="--data esc50=FOLDER with meta/esc50.csv and audio/, as published, or with manifest.tsv",
)

TABLES = ("meta/esc50.csv", "esc50.csv", "manifest.tsv")
FILE_KEYS = ("filename", "file", "esc50_filename")
LABEL_KEYS = ("category", "label")
LAYOUT = "Give --data esc50=FOLDER with meta/esc50.csv and audio/, as published."
_NAME = re.compile(r"(\d-[^-]+)-[A-Z]+-\d+")  # fold and recording, then take and category


def load(spec: str, n: int | None, seed: int) -> Clips:
    """At most `n` clips; takes of one recording are a cluster. Raises DataError: no table, nothing usable."""
    path = files.find(spec, CARD.name)
    table = (
        path if path.is_file() else next((path / name for name in TABLES if (path / name).is_file()), None)
    )
    if table is None:
        raise DataError(f"{path} has none of {', '.join(TABLES)}. {LAYOUT}")
    folder = table.parent.parent if table.parent.name == "meta" else table.parent
    there = labelled.by_stem(labelled.found(folder))
    listed, stems = [], set()
    for number, row in files.read_csv(table, "\t" if table.suffix.lower() == ".tsv" else ","):
        where = f"{table}, line {number}"
        stem = Path(files.field(row, FILE_KEYS, where)).stem
        stems.add(stem)
        label = labelled.clean(files.field(row, LABEL_KEYS, where))
        listed.append(Listed(f"esc50:{stem}", there.get(stem), label, _recording(stem)))
    rest = sorted(set(there) - stems)
    listed += [Listed(f"esc50:{stem}", there[stem], "", reason=NO_LABEL) for stem in rest]
    return labelled.clips(CARD, spec, table, listed, n, seed, LAYOUT)


def _recording(stem: str) -> str:
    name = _NAME.fullmatch(stem)
    return f"esc50:{name[1] if name else stem}"
