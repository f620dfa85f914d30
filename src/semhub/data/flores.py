"""FLORES: professionally translated sentences, line-aligned over up to 200 languages.

Source: Goyal et al. 2022, FLORES-101 (TACL 10); NLLB Team 2022, FLORES-200; FLORES+ (openlanguagedata.org).
Licence: CC BY-SA 4.0. Version: by the layout found. How to get it:
https://github.com/facebookresearch/flores (archives), or the Hub data set openlanguagedata/flores_plus;
`--data flores=` the folder. Layouts: `devtest.en`, `dev.eng_Latn`, `devtest/eng.devtest`,
`devtest/eng_Latn.devtest`, `devtest/eng_Latn.jsonl` (key `text`). `devtest` is taken where there are
several splits.
"""

from __future__ import annotations

from pathlib import Path

from semhub.data import files, hub, languages, pairs
from semhub.data.items import Card, Parallel
from semhub.errors import DataError

CARD = Card(
    name="flores",
    what="FLORES-101, FLORES-200 or FLORES+, aligned sentences",
    source="FLORES (Goyal et al. 2022; NLLB Team 2022; Open Language Data Initiative)",
    version="by the layout found",
    licence="CC BY-SA 4.0",
    get="--data flores=FOLDER, from https://github.com/facebookresearch/flores",
)

SPLITS = ("devtest", "test", "dev")


def load(spec: str, dominant: str = "en", asked: tuple[str, ...] = ()) -> Parallel:
    """The aligned sentences at `spec`, in the dominant language and those asked for (all when none is asked
    for).

    Raises DataError when no split has the dominant language and another one, or the files are not aligned.
    """
    if hub.is_hub(spec):
        return hub.parallel(spec, CARD, dominant)
    folder = files.find(spec, "flores")
    if not folder.is_dir():
        raise DataError(
            f"{folder} is a file. Give --data flores=FOLDER with files such as devtest.en and devtest.zh."
        )
    for split in SPLITS:
        found = _split(folder, split)
        if dominant in found and len(found) > 1:
            others = languages.choose(tuple(found), asked, dominant, str(folder))
            chosen = {code: found[code] for code in (dominant, *others)}
            columns = _read(chosen)
            label = (
                "FLORES-200 or FLORES+" if any("_" in path.name for path in chosen.values()) else "FLORES-101"
            )
            return pairs.collect(
                f"flores-{split}",
                CARD,
                columns,
                list(chosen.values()),
                str(folder),
                version=f"{label} layout, {split}",
            )
    raise DataError(
        f"{folder} has no {dominant} text with another language. Expected devtest.en and devtest.zh, "
        "dev.eng_Latn, devtest/eng.devtest or devtest/eng_Latn.devtest."
    )


def _split(folder: Path, split: str) -> dict[str, Path]:
    inner = folder / split
    if inner.is_dir():
        candidates = [
            path for path in files.data_files(inner) if path.suffix in (f".{split}", ".jsonl", ".txt")
        ]
        codes = [(languages.normalise(path.name.split(".")[0]), path) for path in candidates]
    else:
        candidates = [path for path in files.data_files(folder) if path.name.startswith(f"{split}.")]
        codes = [(languages.normalise(path.name.split(".")[1]), path) for path in candidates]
    found: dict[str, Path] = {}
    for code, path in codes:
        if code and code not in found:
            found[code] = path
    return found


def _read(chosen: dict[str, Path]) -> dict[str, list[str]]:
    if not any(path.suffix == ".jsonl" for path in chosen.values()):
        return pairs.read_aligned(chosen)
    columns: dict[str, list[str]] = {}
    for code, path in chosen.items():
        rows = files.read_jsonl(path)
        for number, row in rows:
            if not isinstance(row.get("text"), str):
                raise DataError(f'{path}, line {number}: no text under "text".')
        columns[code] = [row["text"] for _, row in rows]
    sizes = {len(column) for column in columns.values()}
    if len(sizes) > 1:
        listed = ", ".join(f"{chosen[code]} has {len(column)} lines" for code, column in columns.items())
        raise DataError(f"aligned files need the same number of lines: {listed}.")
    return columns
