"""What loaders of pictures return: pictures with a caption, its nouns, near misses and labelled areas."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from semhub import pictures
from semhub.data import items
from semhub.errors import DataError
from semhub.types import Image, Kept, Provenance

MISSING = "file that is not there"
BROKEN = "broken, empty or too large file"
NO_CAPTION = "no caption"
REPEATED = "repeats an earlier picture"


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture and what is known of it; caption, nouns and areas may be empty.

    negatives: captions of near misses. areas: label -> mask, as `Area.mask` holds it.
    """

    id: str
    image: Image
    caption: str = ""
    nouns: tuple[str, ...] = ()
    negatives: tuple[str, ...] = ()
    areas: tuple[tuple[str, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class Pictures:
    """Pictures in the order of their data set; kept counts pictures.

    labels: all that an area may have, sorted. how: where nouns, or areas, are from. wrong: (picture's id, why) of the
    areas of kept pictures that could not be used.
    """

    name: str
    items: tuple[Picture, ...]
    kept: Kept
    provenance: Provenance
    how: str
    labels: tuple[str, ...] = ()
    wrong: tuple[tuple[str, str], ...] = ()

    @property
    def source(self) -> str:
        """The data set, how many of its pictures are here, and where the words are from."""
        return f"{self.name}, {len(self.items)} of {self.kept.given} pictures; {self.how}"


def draw(
    images: Sequence[Image], reasons: Sequence[str], n: int | None, seed: int
) -> tuple[list[int], Mapping[str, int]]:
    """At most `n` indices of pictures without a reason that open, from the seed, in order; and why others are out."""
    return items.draw(reasons, n, f"pictures:{seed}", lambda index: "" if opens(images[index]) else BROKEN)


def opens(image: Image) -> bool:
    """Whether the whole picture can be read. Asked once for each file as it is: several experiments show the same."""
    if image.data:
        return _opens(image)
    try:
        stat = os.stat(image.path)
    except (OSError, ValueError):
        return False
    return _file_opens(image, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=100_000)
def _file_opens(image: Image, modified: int, size: int) -> bool:
    return _opens(image)


def _opens(image: Image) -> bool:
    try:
        pictures.open_picture(image)
    except DataError:
        return False
    return True


def nothing(where: str, dropped: Mapping[str, int], hint: str, what: str = "picture") -> DataError:
    """The error for a data set of which nothing is left."""
    listed = ", ".join(f"{reason} {count:,}" for reason, count in dropped.items()) or "none found"
    return DataError(f"{where} has no usable {what} ({listed}). {hint}")


def clean(text: str) -> str:
    """The text on one line, without control characters and lone surrogates, which no tokenizer takes."""
    kept = (" " if unicodedata.category(one) in ("Cc", "Cs") else one for one in text)
    return " ".join("".join(kept).split())


def distinct(texts: Sequence[str], but: str) -> tuple[str, ...]:
    """The texts, clean, each once, without empty ones and `but`."""
    return tuple(text for text in dict.fromkeys(map(clean, texts)) if text and text != but)
