"""What a model is given: contents as tokens with their pictures and sounds, and padded batches of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from semhub.errors import DataError, ModelError
from semhub.types import Image, Sound

Features = Mapping[str, Tensor]  # what a model takes of one picture or sound, by the name of its argument
TEXT, PICTURE, PREFIX = 0, 1, 2  # kinds of positions: read in order, of a picture, other of a prefix


class UnknownGrid(ModelError):
    """Which part of a picture each of its positions shows is not known for this model."""


@dataclass(frozen=True, slots=True)
class Grid:
    """The cells of a whole picture. position: of each cell, row by row, the token position that carries it."""

    rows: int
    columns: int
    position: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Shown:
    """A picture among the tokens: its character `at`, the positions of its features, its (width, height) in pixels.

    start, end: the tokens from its first placeholder to its last, with what stands between its rows and crops;
    a placeholder may carry a mark, as the end of a row, instead of a feature.
    """

    image: Image
    at: int
    positions: tuple[int, ...]
    size: tuple[int, int]
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Heard:
    """A sound among the tokens: its character `at` and the positions of its features, from `start` to before `end`.

    seconds: of each position, the window (start, end) of the clip that it carries, which may run past the clip's end;
    empty where that is not known.
    """

    sound: Sound
    at: int
    positions: tuple[int, ...]
    seconds: tuple[tuple[float, float], ...]
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Encoded:
    """One content as tokens, on the host.

    offsets: for each token its characters [start, end) in `content.text`, without the spaces before a word;
    None for a special token. Tokens that are bytes of one character all carry that character's span, and so do the
    tokens that carry the features of a picture or a sound. prefix: how many positions from the start on read each
    other, the later ones included (a prefix language model); 0 where none does.
    """

    ids: tuple[int, ...]
    offsets: tuple[tuple[int, int] | None, ...]
    pictures: tuple[Shown, ...] = ()
    prefix: int = 0
    sounds: tuple[Heard, ...] = ()

    @property
    def whole(self) -> tuple[Shown | Heard, ...]:
        """What is never cut."""
        return (*self.pictures, *self.sounds)

    @property
    def whole_until(self) -> int:
        """The first position before which everything must be read in one pass; 0 for a text."""
        return max([self.prefix, *(one.end for one in self.whole)])

    def needed(self, length: int) -> int:
        """How many positions must be read for the states of the first `length`: pictures, sounds, a prefix are read
        whole."""
        whole = [one.end for one in self.whole if one.start < length]
        return max([length, self.prefix if length else 0, *whole])

    def beginning(self, length: int) -> Encoded:
        """The first `length` tokens as a content of their own. Raises DataError for an end inside a picture or a
        sound."""
        for one in self.whole:
            if one.start < length < one.end:
                what = "picture" if isinstance(one, Shown) else "sound"
                raise DataError(f"a content cannot end at position {length}, inside a {what}.")
        pictures = tuple(shown for shown in self.pictures if shown.end <= length)
        sounds = tuple(heard for heard in self.sounds if heard.end <= length)
        return Encoded(self.ids[:length], self.offsets[:length], pictures, min(self.prefix, length), sounds)

    def followed_by(self, tokens: Sequence[int]) -> Encoded:
        """With more tokens of text, which belong to no character."""
        return replace(self, ids=(*self.ids, *tokens), offsets=(*self.offsets, *(None for _ in tokens)))


@dataclass(frozen=True, slots=True, eq=False)
class Inputs:
    """A padded batch on the device: ids, mask and position_ids [content, position]; mask is True on real tokens.

    With a past, ids and position_ids are of the new columns alone, and mask is of the past's columns and of these.
    position_ids may have a last axis (time, height, width). kinds [content, position]: TEXT, PICTURE or PREFIX, none
    where all is text or sound. pictures, sounds: what is taken of them, of each content, on the host; empty where the
    columns hold none.
    """

    ids: Tensor
    mask: Tensor
    position_ids: Tensor
    lengths: tuple[int, ...]
    padding: str
    kinds: Tensor | None = None
    pictures: tuple[tuple[Features, ...], ...] = ()
    sounds: tuple[tuple[Features, ...], ...] = ()

    def columns(self, start: int, stop: int | None = None) -> Inputs:
        """Some columns of a left-padded batch, after those that a past holds; pictures and sounds go with the first."""
        stop = self.ids.shape[1] if stop is None else stop
        whole = start == 0
        return Inputs(
            self.ids[:, start:stop],
            self.mask[:, :stop],
            self.position_ids[:, start:stop],
            (stop,) * len(self.ids),
            self.padding,
            self.kinds[:, start:stop] if whole and self.kinds is not None else None,
            self.pictures if whole else (),
            self.sounds if whole else (),
        )

    def rows(self, chosen: Tensor) -> Inputs:
        """Some rows of a batch, possibly more than once; chosen [row] int64 on the device."""
        which = chosen.tolist()
        return Inputs(
            self.ids[chosen],
            self.mask[chosen],
            self.position_ids[chosen],
            tuple(self.lengths[i] for i in which),
            self.padding,
            None if self.kinds is None else self.kinds[chosen],
            tuple(self.pictures[i] for i in which) if self.pictures else (),
            tuple(self.sounds[i] for i in which) if self.sounds else (),
        )

    def followed_by(self, tokens: Tensor) -> Inputs:
        """One more column of text, tokens [row]; its position is after all of the row's."""
        place = self.position_ids[:, -1:]
        place = place + 1 if place.ndim == 2 else (place.amax(-1, keepdim=True) + 1).expand_as(place)
        kinds = self.kinds
        return Inputs(
            torch.cat([self.ids, tokens[:, None]], dim=1),
            torch.cat([self.mask, torch.ones_like(self.mask[:, :1])], dim=1),
            torch.cat([self.position_ids, place], dim=1),
            tuple(length + 1 for length in self.lengths),
            self.padding,
            None if kinds is None else torch.cat([kinds, torch.full_like(kinds[:, :1], TEXT)], dim=1),
            self.pictures,
            self.sounds,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Entered:
    """inputs: a batch without its pictures and sounds. states [content, position, d_model]: of `layer`, with them."""

    inputs: Inputs
    states: Tensor
    layer: int = 0

    def rows(self, chosen: Tensor) -> Entered:
        """Some rows, possibly more than once; chosen [row] int64 on the device."""
        return Entered(self.inputs.rows(chosen), self.states[chosen], self.layer)
