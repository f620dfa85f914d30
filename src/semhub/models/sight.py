"""How a family shows a picture to its model: the tokens that stand for it, and the pixels that go with them.

The family's own processor class from `transformers` says both, without its video half: what it writes for a picture of
a given size depends on the size alone, so the tokens are known from a blank picture, and a picture is opened only when
its pixels are needed.
"""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import PIL.Image
import torch
from numpy.typing import NDArray
from torch import Tensor

from semhub.errors import DataError, ModelError, UsageError
from semhub.models.grids import Cells, find_cells, find_marks, share_inside
from semhub.models.inputs import PICTURE, PREFIX, TEXT, Encoded, Grid, Pixels, Shown, UnknownGrid
from semhub.models.tokens import Tokens
from semhub.pictures import open_picture, size
from semhub.types import Area, Content, Image

CACHE_BYTES = 2**28  # of processed pictures that may come again
# What a chat template, not the processor, writes around a picture's placeholder.
AROUND = {"<|image_pad|>": ("<|vision_start|>", "<|vision_end|>")}
PREFIX_MODELS = ("paligemma",)  # the whole prompt, picture and text, reads itself in both directions
TURN_ENDS = ("chameleon",)  # the processor ends the user's turn with the tokenizer's separator


@dataclass(frozen=True, slots=True)
class _Layout:
    """What is written for a picture of one size: text with `placeholders` of them, those that carry no feature but a
    mark, and its cells if known."""

    text: str
    placeholders: int
    marks: frozenset[int]
    cells: Cells | None


class Sight:
    """Pictures of one model.

    processor: the family's processor with its image processor and tokenizer. Raises ModelError where the placeholder
    is not known.
    """

    def __init__(self, processor: Any, config: Any) -> None:
        self.processor, self.model_type = processor, str(config.model_type)
        self.feature_id = _feature_id(config)
        self.picture_ids = sorted(
            {self.feature_id, *(one for one in processor.image_token_ids if one is not None)}
        )
        self.options: dict[str, Any] = {
            **processor._merge_kwargs(tokenizer_init_kwargs=processor.tokenizer.init_kwargs)["images_kwargs"],
            "return_tensors": "pt",
        }
        self.is_prefix = self.model_type in PREFIX_MODELS
        self._layouts: dict[tuple[int, int], _Layout] = {}
        self._cache: OrderedDict[Image, Pixels] = OrderedDict()
        self._cached = 0
        self._layout((48, 32))  # a processor that cannot do this fails while the model is loaded

    def encode(self, tokens: Tokens, contents: Sequence[Content], special_tokens: bool) -> list[Encoded]:
        """Tokens of each content, written out as the processor does. Raises DataError for a placeholder in a text."""
        texts = iter(tokens.encode([one.text for one in contents if not one.images], special_tokens))
        found = [self._encode(tokens, one, special_tokens) if one.images else next(texts) for one in contents]
        for content, one in zip(contents, found, strict=True):
            if one.ids.count(self.feature_id) != sum(self._held(one, shown) for shown in one.pictures):
                raise DataError(
                    f"content {content.text[:40]!r} spells {tokens.text(self.feature_id)!r}, which stands for a "
                    "picture: take it out of the text."
                )
        return found

    def _held(self, encoded: Encoded, shown: Shown) -> int:
        """How many placeholders stand for a picture."""
        return encoded.ids[shown.start : shown.end].count(self.feature_id)

    def check_shown(self, encoded: Encoded) -> None:
        """Raises UsageError for ids whose pictures are missing."""
        if encoded.ids.count(self.feature_id) != sum(self._held(encoded, one) for one in encoded.pictures):
            raise UsageError(
                "a content has placeholders without their pictures: cut it with Encoded.beginning and lengthen it with "
                "Encoded.followed_by."
            )

    def _encode(self, tokens: Tokens, content: Content, special_tokens: bool) -> Encoded:
        images = content.images
        sizes = [size(image) for _, image in images]
        layouts = [self._layout(one) for one in sizes]
        pieces = list(self._pieces(content, layouts, special_tokens))
        written = "".join(text for text, _ in pieces)
        found = tokens.encode([written], special_tokens and not self.is_prefix)[0]
        offsets, owners = _place(found.offsets, pieces)
        held: dict[int, list[int]] = {at: [] for at, _ in images}
        for position, owner in enumerate(owners):
            if owner is not None and found.ids[position] == self.feature_id:
                held[owner].append(position)
        shown = []
        for (at, image), one, layout in zip(images, sizes, layouts, strict=True):
            where = held[at]
            if len(where) != layout.placeholders or not where:
                raise ModelError(
                    f"the tokenizer makes {len(where)} placeholders of a picture's {layout.placeholders}: tokenizer "
                    "and processor do not belong together."
                )
            positions = tuple(p for i, p in enumerate(where) if i not in layout.marks)
            for position in positions:
                offsets[position] = (at, at + 1)
            shown.append(Shown(image, at, positions, one, where[0], where[-1] + 1))
        return Encoded(found.ids, tuple(offsets), tuple(shown), len(found.ids) if self.is_prefix else 0)

    def _pieces(
        self, content: Content, layouts: Sequence[_Layout], special_tokens: bool
    ) -> Iterator[tuple[str, tuple[int, bool] | None]]:
        """The written text in pieces: (text, (character of the content, is it a picture)), None for what is added."""
        at, pictures, last = 0, iter(layouts), len(layouts)
        marks = self.processor.tokenizer
        for part in content.parts:
            if isinstance(part, Image):
                layout = next(pictures)
                last -= 1
                yield layout.text, (at, True)
                if self.is_prefix and special_tokens and not last:
                    yield str(marks.bos_token), None
                at += 1
            else:
                yield part.text, (at, False)
                at += len(part.text)
        if special_tokens and self.is_prefix:
            yield "\n", None
        if special_tokens and self.model_type in TURN_ENDS and marks.sep_token:
            yield str(marks.sep_token), None

    def _layout(self, shape: tuple[int, int]) -> _Layout:
        if shape not in self._layouts:
            blank = PIL.Image.new("RGB", shape)
            try:
                processed, written = self.processor._process_images([blank], **self.options)
            except Exception as error:  # a shape that the processor refuses, as a very long one
                why = " ".join(str(error).split())[:200] or type(error).__name__
                raise DataError(
                    f"a picture of {shape} pixels is not taken by {self.model_type}: {why}."
                ) from error
            before, after = AROUND.get(self.processor.image_token, ("", ""))
            text = before + written[0] + after
            placeholder = self.processor.tokenizer.convert_ids_to_tokens(self.feature_id)
            count = text.count(placeholder)
            arrays = {name: np.asarray(value) for name, value in processed.items()}
            marks = find_marks(self.model_type, self.processor, arrays, count)
            cells = find_cells(self.model_type, self.processor, arrays, count - len(marks))
            self._layouts[shape] = _Layout(text, count, marks, cells)
        return self._layouts[shape]

    def pixels(self, image: Image) -> Pixels:
        """What the image processor makes of the picture, each with a first axis that pictures are joined along."""
        if image in self._cache:
            self._cache.move_to_end(image)
            return self._cache[image]
        processed = self.processor.image_processor([open_picture(image)], **self.options)
        found = {name: torch.as_tensor(np.asarray(value)) for name, value in processed.items()}
        self._cache[image] = found
        self._cached += _bytes(found)
        while self._cached > CACHE_BYTES and len(self._cache) > 1:
            self._cached -= _bytes(self._cache.popitem(last=False)[1])
        return found

    def kinds(self, encoded: Encoded) -> Tensor:
        """The kind of each position."""
        ids = torch.tensor(encoded.ids)
        kinds = torch.full_like(ids, TEXT)
        kinds[: encoded.prefix] = PREFIX
        if encoded.pictures:
            kinds[torch.isin(ids, torch.tensor(self.picture_ids))] = PICTURE
        return kinds

    def grid(self, shown: Shown) -> Grid | None:
        cells = self._layout(shown.size).cells
        if cells is None:
            return None
        positions = shown.positions[cells.first : cells.first + cells.rows * cells.columns]
        return Grid(cells.rows, cells.columns, positions)

    def area(self, shown: Shown, area: Area) -> tuple[int, ...]:
        if not area.mask:
            return shown.positions
        cells, grid = self._layout(shown.size).cells, self.grid(shown)
        if cells is None or grid is None:
            raise UnknownGrid(
                f"the patch grid of {self.model_type} is not known: which of its positions show a part of a picture "
                "cannot be said."
            )
        mask = open_picture(Image(data=area.mask))
        if mask.size != shown.size:
            raise DataError(f"a mask of {mask.size} pixels does not fit its picture of {shown.size}.")
        plain = {"do_normalize": False, "do_rescale": False, "image_mean": [0.0] * 3, "image_std": [1.0] * 3}
        processed = self.processor.image_processor([mask], **{**self.options, **plain})
        shares: NDArray[np.float64] = share_inside(
            cells, {name: np.asarray(value) for name, value in processed.items()}
        )
        return tuple(position for position, share in zip(grid.position, shares, strict=True) if share > 0.5)


def _bytes(pixels: Pixels) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in pixels.values())


def _feature_id(config: Any) -> int:
    """The id that stands for one feature of a picture."""
    named = (getattr(config, "vocabulary_map", None) or {}).get("<image>")
    for found in (named, getattr(config, "image_token_id", None), getattr(config, "image_token_index", None)):
        if isinstance(found, int):
            return found
    raise ModelError(
        f"the configuration of {config.model_type} does not say which token stands for a picture."
    )


def _place(
    offsets: Sequence[tuple[int, int] | None], pieces: Sequence[tuple[str, tuple[int, bool] | None]]
) -> tuple[list[tuple[int, int] | None], list[int | None]]:
    """Offsets into the written text -> into the content's text, none for what was added; and the picture (its
    character) that a token was written for."""
    starts = list(itertools.accumulate((len(text) for text, _ in pieces), initial=0))
    moved: list[tuple[int, int] | None] = [None] * len(offsets)
    owners: list[int | None] = [None] * len(offsets)
    for position, span in enumerate(offsets):
        if span is None:
            continue
        for (_, owner), start, end in zip(pieces, starts, starts[1:], strict=False):
            inside = (max(span[0], start), min(span[1], end))
            if owner is None or inside[0] >= inside[1]:
                continue
            at, is_picture = owner
            if is_picture:
                owners[position] = at
            else:  # a token of both text and what was added belongs to the text
                moved[position] = (inside[0] - start + at, inside[1] - start + at)
                owners[position] = None
                break
    return moved, owners
