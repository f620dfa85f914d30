"""How a family shows a picture to its model: the tokens that stand for it, and the pixels that go with them.

The family's own processor class from `transformers` says both, without its video half: what it writes for a picture of
a given size depends on the size alone, so the tokens are known from a blank picture, and a picture is opened only when
its pixels are needed.
"""

from __future__ import annotations

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
from semhub.models.inputs import PICTURE, PREFIX, TEXT, Encoded, Features, Grid, Shown, UnknownGrid
from semhub.models.recent import Recent
from semhub.models.tokens import Tokens
from semhub.models.written import Piece, check_count, check_spelled, write_out
from semhub.pictures import open_picture, size
from semhub.types import Area, Content, Image, Text

CACHE_BYTES = 2**28  # of processed pictures that may come again
# What a chat template, not the processor, writes around a picture's placeholder.
AROUND = {
    "<|image_pad|>": ("<|vision_start|>", "<|vision_end|>"),
    "<|IMAGE|>": ("<|vision_bos|>", "<|vision_eos|>"),
}
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
        self._cache: Recent[Image] = Recent()
        self._layout((48, 32))  # a processor that cannot do this fails while the model is loaded

    def encode(self, tokens: Tokens, contents: Sequence[Content], special_tokens: bool) -> list[Encoded]:
        """Tokens of contents with pictures, written out as the processor does."""
        return [self._encode(tokens, one, special_tokens) for one in contents]

    def check_spelled(self, tokens: Tokens, content: Content, encoded: Encoded) -> None:
        """Raises DataError for a placeholder in a text."""
        held = sum(self._held(encoded, shown) for shown in encoded.pictures)
        check_spelled(tokens, content, encoded, self.feature_id, held, "picture")

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
        found = write_out(tokens, pieces, self.feature_id, special_tokens and not self.is_prefix)
        shown = []
        for (at, image), one, layout in zip(images, sizes, layouts, strict=True):
            where = found.held[at]
            check_count(len(where), layout.placeholders, "picture")
            positions = tuple(p for i, p in enumerate(where) if i not in layout.marks)
            for position in positions:
                found.offsets[position] = (at, at + 1)
            shown.append(Shown(image, at, positions, one, where[0], where[-1] + 1))
        prefix = len(found.ids) if self.is_prefix else 0
        return Encoded(found.ids, tuple(found.offsets), tuple(shown), prefix)

    def _pieces(self, content: Content, layouts: Sequence[_Layout], special_tokens: bool) -> Iterator[Piece]:
        """The written text in pieces."""
        at, pictures, last = 0, iter(layouts), len(layouts)
        marks = self.processor.tokenizer
        for part in content.parts:
            if isinstance(part, Image):
                layout = next(pictures)
                last -= 1
                yield Piece(layout.text, at, stands=True)
                if self.is_prefix and special_tokens and not last:
                    yield Piece(str(marks.bos_token), None)
                at += 1
            elif isinstance(part, Text):
                yield Piece(part.text, at)
                at += len(part.text)
        if special_tokens and self.is_prefix:
            yield Piece("\n", None)
        if special_tokens and self.model_type in TURN_ENDS and marks.sep_token:
            yield Piece(str(marks.sep_token), None)

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

    def pixels(self, image: Image) -> Features:
        """What the image processor makes of the picture, each with a first axis that pictures are joined along."""
        return self._cache.get(image, self._pixels, CACHE_BYTES)

    def _pixels(self, image: Image) -> Features:
        processed = self.processor.image_processor([open_picture(image)], **self.options)
        return {name: torch.as_tensor(np.asarray(value)) for name, value in processed.items()}

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


def _feature_id(config: Any) -> int:
    """The id that stands for one feature of a picture."""
    named = (getattr(config, "vocabulary_map", None) or {}).get("<image>")
    for found in (named, getattr(config, "image_token_id", None), getattr(config, "image_token_index", None)):
        if isinstance(found, int):
            return found
    raise ModelError(
        f"the configuration of {config.model_type} does not say which token stands for a picture."
    )
