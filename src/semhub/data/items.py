"""What loaders return: aligned texts, paragraphs, and the card that says what a data set is."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from semhub.types import Kept, Provenance

NOT_SAMPLED = "not drawn into the sample"


@dataclass(frozen=True, slots=True)
class Card:
    """A loader's data set in words. `get` says how to obtain it and what `--data NAME=` then takes."""

    name: str
    what: str
    source: str
    version: str
    licence: str
    get: str

    def provenance(self, path: str = "", sha256: str = "", version: str = "") -> Provenance:
        """The card with the place and checksum of what was read; `version` overrides the card's own."""
        return Provenance(self.name, self.source, version or self.version, self.licence, path, sha256)


@dataclass(frozen=True, slots=True)
class Parallel:
    """Texts of equal meaning: `texts[language][i]`, all languages of one length.

    clusters: the source sentence of each item (empty: every item is its own). negatives: language -> per
    item, near misses of that side. kept.dropped counts what the loader left out, such as items with an
    empty side.
    """

    name: str
    ids: tuple[str, ...]
    texts: Mapping[str, tuple[str, ...]]
    kept: Kept
    provenance: Provenance
    negatives: Mapping[str, tuple[tuple[str, ...], ...]] = field(default_factory=dict)
    clusters: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        sides: list[Sequence[object]] = [*self.texts.values(), *self.negatives.values()]
        sides += [self.clusters] if self.clusters else []
        if any(len(side) != len(self.ids) for side in sides):
            raise ValueError(f"{self.name}: every side needs {len(self.ids)} entries")


@dataclass(frozen=True, slots=True)
class Paragraph:
    """One paragraph of running text."""

    id: str
    language: str
    text: str


@dataclass(frozen=True, slots=True)
class Paragraphs:
    """Paragraphs in the order of their files. `provenance` has one entry."""

    items: tuple[Paragraph, ...]
    kept: Kept
    provenance: Provenance

    @property
    def languages(self) -> tuple[str, ...]:
        """The languages in order of first appearance."""
        return tuple(dict.fromkeys(item.language for item in self.items))


def subsample(size: int, n: int | None, seed: int | str) -> list[int]:
    """Indices of at most `n` of `size` items in their order, drawn without replacement from `seed`."""
    if n is None or n >= size:
        return list(range(size))
    return sorted(random.Random(f"subsample:{seed}").sample(range(size), n))


def draw(
    reasons: Sequence[str], n: int | None, seed: str, fault: Callable[[int], str]
) -> tuple[list[int], Mapping[str, int]]:
    """At most `n` indices without a reason or a fault, from the seed, in order; and why others are out.

    fault: index -> what is wrong with the item, "" for nothing. Only as many are asked for it as are needed: the rest
    is counted as not drawn.
    """
    dropped = Counter(reason for reason in reasons if reason)
    able = [index for index, reason in enumerate(reasons) if not reason]
    chosen: list[int] = []
    for index in random.Random(seed).sample(able, len(able)):
        if n is not None and len(chosen) >= n:
            dropped[NOT_SAMPLED] += 1
        elif wrong := fault(index):
            dropped[wrong] += 1
        else:
            chosen.append(index)
    return sorted(chosen), merge(dropped)


def merge(*counts: Mapping[str, int]) -> dict[str, int]:
    """Sums counts by reason and leaves out reasons that never occurred."""
    total: dict[str, int] = {}
    for count in counts:
        for reason, number in count.items():
            if number:
                total[reason] = total.get(reason, 0) + number
    return total


def join_kept(sets: Sequence[Kept]) -> Kept:
    """Several counts as one."""
    return Kept(sum(kept.given for kept in sets), merge(*(kept.dropped for kept in sets)))
