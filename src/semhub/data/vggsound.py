"""VGGSound as published: ten seconds of sound each, of a video, with one of 309 labels.

Source: Chen et al. 2020 (https://arxiv.org/abs/2004.14368), https://www.robots.ox.ac.uk/~vgg/data/vggsound. Licence:
annotations CC BY 4.0; each clip belongs to its uploader. Version: that of the file read. How to get it:
`--data vggsound=` a folder with `vggsound.csv` (YouTube id, start in seconds, label, split) or `test.csv` (file name,
label), and anywhere in it the clips, named as the set names them: `ID_000030.mp4`, or `.wav`, `.flac` and the like; or
that file, beside the clips. Reading .mp4 needs `pip install 'semhub[mp4]'`.
"""

from __future__ import annotations

from pathlib import Path

from semhub.data import files, labelled
from semhub.data.items import Card
from semhub.data.labelled import NO_LABEL, Clips, Listed
from semhub.errors import DataError

CARD = Card(
    name="vggsound",
    what="VGGSound, ten-second sounds of videos with labels",
    source="https://www.robots.ox.ac.uk/~vgg/data/vggsound (Chen et al. 2020)",
    version="not stated",
    licence="CC BY 4.0 (annotations; each clip belongs to its uploader)",
    get="--data vggsound=FOLDER with vggsound.csv or test.csv, and clips named ID_000030.mp4 or .wav",
)

VIDEO = 11  # letters of a YouTube id: two clips of one video are no two recordings
TABLES = ("vggsound.csv", "test.csv", "train.csv")
LAYOUT = (
    "Give --data vggsound=FOLDER with vggsound.csv (id, start, label, split) and clips named ID_000030.wav."
)


def load(spec: str, n: int | None, seed: int) -> Clips:
    """At most `n` clips. Raises DataError: no table, a line that is none of the set's, nothing usable."""
    path = files.find(spec, CARD.name)
    table = (
        path if path.is_file() else next((path / name for name in TABLES if (path / name).is_file()), None)
    )
    if table is None:
        raise DataError(f"{path} has none of {', '.join(TABLES)}. {LAYOUT}")
    there = labelled.by_stem(labelled.found(table.parent))
    listed, stems = [], set()
    for number, row in files.read_rows(table):
        if number == 1 and row[-1].strip().lower() in ("label", "split"):
            continue  # a header; the published files have none
        stem, label = _entry(row, f"{table}, line {number}")
        stems.add(stem)
        clip = f"vggsound:{stem}"
        listed.append(Listed(clip, there.get(stem), labelled.clean(label), clip[: len("vggsound:") + VIDEO]))
    rest = sorted(set(there) - stems)
    listed += [Listed(f"vggsound:{stem}", there[stem], "", reason=NO_LABEL) for stem in rest]
    return labelled.clips(CARD, spec, table, listed, n, seed, LAYOUT)


def _entry(row: list[str], where: str) -> tuple[str, str]:
    """(the clip's name without its ending, its label)."""
    if len(row) == 2:
        name = row[0].strip()
        return (Path(name).stem if Path(name).suffix.lower() in labelled.SUFFIXES else name), row[1]
    if len(row) == 4 and row[1].strip().isdecimal():
        return f"{row[0].strip()}_{int(row[1]):06d}", row[2]
    raise DataError(f"{where}: neither `id,start,label,split` nor `file,label`. Quote labels with commas.")
