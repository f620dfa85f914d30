"""CC-CEDICT: the Chinese-English dictionary, read as the paper reads it.

Source: MDBG, https://www.mdbg.net/chinese/dictionary?page=cc-cedict. Licence: CC BY-SA 4.0. Version: the
date in the file's own header. How to get it: download and unpack; `--data cedict=` the `.u8` or `.txt` file
(or the `.txt.gz`). Of each line only the first gloss counts, by its simplified key, without what stands in
parentheses; lines whose first gloss names a surname are left out. Several lines of one key give several
glosses.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from semhub.data import files
from semhub.data.items import Card, merge
from semhub.errors import DataError
from semhub.types import Kept, Provenance

CARD = Card(
    name="cedict",
    what="CC-CEDICT, Chinese-English dictionary",
    source="https://www.mdbg.net/chinese/dictionary?page=cc-cedict",
    version="the date in the file's header",
    licence="CC BY-SA 4.0",
    get="--data cedict=cedict_ts.u8, unpacked from the download at the source",
)

_LINE = re.compile(r"(?P<traditional>\S+) (?P<simplified>\S+) \[(?P<pinyin>[^]]*)\] /(?P<senses>.+)/\s*")
_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
SURNAME = "surname"
PARENTHESIS = "nothing outside parentheses"


@dataclass(frozen=True, slots=True)
class Cedict:
    """glosses: simplified word -> the first gloss of each of its lines, in the file's order."""

    glosses: Mapping[str, tuple[str, ...]]
    kept: Kept
    provenance: Provenance

    def single_words(self, word: str) -> tuple[str, ...]:
        """The glosses that are one word as they stand: the paper's candidates."""
        found = (gloss for gloss in self.glosses.get(word, ()) if _WORD.fullmatch(gloss))
        return tuple(dict.fromkeys(found))

    def first_word(self, word: str) -> str:
        """The first gloss that is one word, also as the first of several synonyms (`big; large`) and as a
        bare verb (`to eat` -> `eat`). Empty when there is none.
        """
        for gloss in self.glosses.get(word, ()):
            for synonym in gloss.split(";"):
                bare = synonym.strip().removeprefix("to ").strip()
                if _WORD.fullmatch(bare):
                    return bare
        return ""


def load(spec: str) -> Cedict:
    """The dictionary at `spec`. Raises DataError with the line where one is no dictionary entry."""
    path = files.find(spec, "cedict")
    if path.is_dir():
        inside = files.data_files(path, (".u8", ".txt", ".gz"))
        if len(inside) != 1:
            raise DataError(
                f"{path} is a folder with {len(inside)} dictionary files. Give --data cedict=FILE."
            )
        path = inside[0]
    glosses: dict[str, list[str]] = {}
    given, surnames, empty, date = 0, 0, 0, ""
    for number, line in enumerate(files.read_lines(path), start=1):
        if line.startswith("#! date="):
            date = line.removeprefix("#! date=").strip()
        if line.startswith("#") or not line.strip():
            continue
        match = _LINE.fullmatch(line)
        if not match:
            raise DataError(
                f"{path}, line {number}: not a CC-CEDICT entry: {line[:60]!r}. Format: {CARD.source}"
            )
        given += 1
        first = match["senses"].split("/")[0]
        if "surname" in first:
            surnames += 1
            continue
        gloss = re.sub(r"\s+", " ", re.sub(r"\(.*?\)", "", first).replace("(", "").replace(")", "")).strip(
            " ;,"
        )
        if not gloss:
            empty += 1
            continue
        glosses.setdefault(match["simplified"], []).append(gloss)
    if not glosses:
        raise DataError(f"{path} has no usable entry. Give the CC-CEDICT file cedict_ts.u8.")
    return Cedict(
        {word: tuple(found) for word, found in glosses.items()},
        Kept(given, merge({SURNAME: surnames, PARENTHESIS: empty})),
        CARD.provenance(str(path), files.sha256([path]), date),
    )
