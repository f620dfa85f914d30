"""What loaders of sounds return: clips with a label, the animals that it names and near misses of it.

Left out, each with its reason: what cannot be read, is over at once, is silent (PEAK: -60 dB; the quietest of 29 real
ESC-50 clips reaches 0.022) or clipped (CLIPPED_SHARE; the worst of those 29 has 0.009, and a few clipped samples are
no reason; a clip that lies at full scale for a tenth of its time is another sound).
"""

from __future__ import annotations

import os
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from semhub import sounds
from semhub.data import animals, captioned, files, items
from semhub.data.animals import Animal
from semhub.data.captioned import MISSING
from semhub.data.items import Card
from semhub.errors import DataError
from semhub.types import Kept, Provenance, Sound

SUFFIXES = (".wav", ".flac", ".ogg", ".opus", ".mp3", ".aif", ".aiff", ".au", ".m4a", ".mp4", ".webm", ".mov")
PEAK = 0.001
CLIPPED_SHARE = 0.1
SHORTEST = 0.25  # seconds
JUDGED = 60.0  # seconds from the start by which a clip is judged

NO_LABEL = "no label"
REPEATED = "repeats an earlier clip"
BROKEN = "broken or empty file"
NO_DECODER = "MP4 or the like, which needs PyAV (pip install 'semhub[mp4]')"
SHORT = f"shorter than {SHORTEST} seconds"
SILENT = "silent"
CLIPPED = f"clipped: over {CLIPPED_SHARE:.0%} of the samples at full scale"

_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
_EMPTY = frozenset(
    ("a", "an", "and", "at", "by", "etc", "for", "from", "in", "of", "on", "or", "the", "then", "to", "with")
)


@dataclass(frozen=True, slots=True)
class Clip:
    """A sound and what is known of it. cluster: the recording that it is cut from.

    words: those of its label that mean something by themselves. negatives: labels of near misses.
    """

    id: str
    sound: Sound
    label: str
    cluster: str
    words: tuple[str, ...] = ()
    animals: tuple[Animal, ...] = ()
    negatives: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Clips:
    """Clips in the order of their data set; kept counts clips."""

    name: str
    items: tuple[Clip, ...]
    kept: Kept
    provenance: Provenance

    @property
    def source(self) -> str:
        """The data set, and how many of its clips are here."""
        return f"{self.name}, {len(self.items)} of {self.kept.given} clips"


@dataclass(frozen=True, slots=True)
class Listed:
    """A clip as its data set lists it; `reason` is why it cannot be used."""

    id: str
    path: Path | None
    label: str
    cluster: str = ""
    reason: str = ""


def clips(
    card: Card, spec: str, table: Path | None, listed: Sequence[Listed], n: int | None, seed: int, hint: str
) -> Clips:
    """At most `n` of the clips that are listed, drawn from the seed. Raises DataError, with the hint, for none."""
    seen: set[Path] = set()
    reasons = []
    for one in listed:
        missing = "" if one.path else MISSING
        again = REPEATED if one.path and one.path in seen else ""
        reasons.append(one.reason or missing or ("" if one.label else NO_LABEL) or again)
        seen |= {one.path} if one.path else set()
    chosen, dropped = items.draw(reasons, n, f"clips:{seed}", lambda index: fault(listed[index].path))
    if not chosen:
        raise captioned.nothing(spec, dropped, hint, "clip")
    used = [listed[index] for index in chosen]
    paths = [*([table] if table else []), *(one.path for one in used if one.path)]
    provenance = card.provenance(spec, files.sha256(paths), table.name if table else "")
    return Clips(card.what.partition(",")[0], tuple(map(_clip, used)), Kept(len(listed), dropped), provenance)


def _clip(one: Listed) -> Clip:
    return Clip(
        id=one.id,
        sound=Sound(path=str(one.path)),
        label=one.label,
        cluster=one.cluster or one.id,
        words=words(one.label),
        animals=animals.named(one.label),
        negatives=animals.near_misses(one.label, random.Random(f"near label:{one.label}")),
    )


def clean(label: str) -> str:
    """A label as words: on one line, underscores as spaces."""
    return captioned.clean(label.replace("_", " "))


def words(label: str) -> tuple[str, ...]:
    """The label's words, lower case, each once, without articles, prepositions and the like."""
    found = (word.lower() for word in _WORD.findall(label))
    return tuple(dict.fromkeys(word for word in found if len(word) > 1 and word not in _EMPTY))


def found(folder: Path) -> list[Path]:
    """The sounds in a folder and its folders, by name. Raises DataError if it cannot be read."""
    try:
        paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
        return [path for path in paths if path.is_file() and not path.name.startswith(".")]
    except OSError as error:
        raise DataError(f"{folder} cannot be listed: {error.strerror or error}.") from error


def by_stem(paths: Sequence[Path]) -> dict[str, Path]:
    """Name without its ending -> the sound; of several, the one whose kind stands first in SUFFIXES."""
    order = sorted(paths, key=lambda path: -SUFFIXES.index(path.suffix.lower()))
    return {path.stem: path for path in order}


def fault(path: Path | None) -> str:
    """Why the clip cannot be used, or "". Asked once for each file as it is: several experiments play the same."""
    try:
        stat = os.stat(path or "")
    except (OSError, ValueError):
        return MISSING
    return _fault(str(path), stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=100_000)
def _fault(path: str, modified: int, size: int) -> str:
    try:
        level = sounds.level(Sound(path=path), JUDGED)
    except sounds.NoDecoder:
        return NO_DECODER
    except DataError:
        return BROKEN
    if level.peak < PEAK:
        return SILENT
    if level.seconds < SHORTEST:
        return SHORT
    return CLIPPED if level.clipped > CLIPPED_SHARE else ""
