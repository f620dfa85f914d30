"""Contents with pictures or sounds written out as tokens, and where what stands for these lies among them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

from semhub.errors import DataError, ModelError
from semhub.models.inputs import Encoded
from semhub.models.tokens import Tokens
from semhub.types import Content

Offsets = list[tuple[int, int] | None]


class Piece(NamedTuple):
    """A stretch of what is written.

    at: its first character in the content's text, None for what is added. stands: it stands for the picture or sound
    there, else it is text of the content.
    """

    text: str
    at: int | None
    stands: bool = False


class Written(NamedTuple):
    """Tokens with their offsets into the content's text, and the placeholders of each picture or sound, by its
    character."""

    ids: tuple[int, ...]
    offsets: Offsets
    held: dict[int, list[int]]


def write_out(tokens: Tokens, pieces: Sequence[Piece], placeholder: int, special_tokens: bool) -> Written:
    """All pieces as one text, in which a picture or a sound is spelled by its placeholders."""
    found = tokens.encode(["".join(piece.text for piece in pieces)], special_tokens)[0]
    offsets, owners = place(found.offsets, pieces)
    held: dict[int, list[int]] = {piece.at: [] for piece in pieces if piece.stands and piece.at is not None}
    for position, owner in enumerate(owners):
        if owner is not None and found.ids[position] == placeholder:
            held[owner].append(position)
    return Written(found.ids, offsets, held)


def write_apart(
    tokens: Tokens, runs: Sequence[tuple[Sequence[Piece], int, int]], placeholder: int, special_tokens: bool
) -> Written:
    """Each run of text tokenized by itself, then its sound. runs: (text, character of the sound, its placeholders),
    the last without any. Of the special tokens only those at the very start are kept."""
    ids: list[int] = []
    offsets: Offsets = []
    held: dict[int, list[int]] = {}
    for index, (pieces, at, count) in enumerate(runs):
        text, first = "".join(piece.text for piece in pieces), special_tokens and not index
        if text or first:
            (found,) = tokens.encode([text], first)
            moved, _ = place(found.offsets, pieces)
            inside = [position for position, span in enumerate(found.offsets) if span is not None]
            end = inside[-1] + 1 if inside else _opening(tokens, found)
            ids += found.ids[:end]
            offsets += moved[:end]
        if count:
            held[at] = list(range(len(ids), len(ids) + count))
            ids += [placeholder] * count
            offsets += [None] * count
    return Written(tuple(ids), offsets, held)


def _opening(tokens: Tokens, empty: Encoded) -> int:
    """How many of the special tokens of an empty text stand before it."""
    return next(i for i, span in enumerate((*tokens.encode(["a"])[0].offsets, (0, 1))) if span is not None)


def place(
    offsets: Sequence[tuple[int, int] | None], pieces: Sequence[Piece]
) -> tuple[Offsets, list[int | None]]:
    """Offsets into the written text -> into the content's text, none for what was added; and the picture or sound (its
    character) that a token was written for."""
    starts = list(itertools.accumulate((len(piece.text) for piece in pieces), initial=0))
    moved: Offsets = [None] * len(offsets)
    owners: list[int | None] = [None] * len(offsets)
    for position, span in enumerate(offsets):
        if span is None:
            continue
        for piece, start, end in zip(pieces, starts, starts[1:], strict=False):
            inside = (max(span[0], start), min(span[1], end))
            if piece.at is None or inside[0] >= inside[1]:
                continue
            if piece.stands:
                owners[position] = piece.at
            else:  # a token of both text and what was added belongs to the text
                moved[position] = (inside[0] - start + piece.at, inside[1] - start + piece.at)
                owners[position] = None
                break
    return moved, owners


def check_count(found: int, expected: int, what: str) -> None:
    """Raises ModelError where the tokenizer spells a picture or sound by another number of placeholders."""
    if found != expected or not found:
        raise ModelError(
            f"the tokenizer makes {found} placeholders of a {what}'s {expected}: tokenizer and processor do not belong "
            "together."
        )


def check_spelled(
    tokens: Tokens, content: Content, encoded: Encoded, placeholder: int, held: int, what: str
) -> None:
    """Raises DataError for a text that spells a placeholder. held: how many stand for the content's own `what`."""
    if encoded.ids.count(placeholder) != held:
        raise DataError(
            f"content {content.text[:40]!r} spells {tokens.text(placeholder)!r}, which stands for a {what}: take it "
            "out of the text."
        )
