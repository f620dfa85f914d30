"""Where each position of a picture lies on the picture, for the families whose order of patches is known.

Each rule is the documented order in which the family lays out the features of one picture (its modelling file in
`transformers`): which crop shows the whole picture, where its features begin, and how many rows and columns they fill.
A rule whose numbers do not fit the picture's count of features gives None, as does a family without a rule.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from transformers.image_processing_utils import select_best_resolution

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Cells:
    """Of the whole picture. first: the index of its first feature; the features follow row by row.

    crop: which of the processed crops shows it (negative: from the last). merged: 0 where the pixels are pictures,
    else how many flat patches follow each other for one cell.
    """

    rows: int
    columns: int
    first: int = 0
    crop: int = 0
    merged: int = 0


def find_cells(model_type: str, processor: Any, processed: Arrays, n_features: int) -> Cells | None:
    """processed: what the image processor makes of one picture; n_features: how many tokens carry it."""
    rule = RULES.get(model_type)
    try:
        cells = None if rule is None else rule(processor, processed, n_features)
    except (AttributeError, TypeError, KeyError, IndexError):  # settings of another processor
        return None
    if cells is None or min(cells.rows, cells.columns) < 1 or cells.first < 0:
        return None
    return cells if cells.first + cells.rows * cells.columns <= n_features else None


def find_marks(model_type: str, processor: Any, processed: Arrays, placeholders: int) -> frozenset[int]:
    """Which of a picture's placeholders carry a mark, the same for every picture, and no feature."""
    if model_type != "llava_next":
        return frozenset()
    (tall, wide), (height, width) = processed["image_sizes"][0], processed["pixel_values"].shape[-2:]
    best = select_best_resolution([int(tall), int(wide)], processor.image_processor.image_grid_pinpoints)
    rows, columns = _patches(processor, processed)
    scales = best[0] // height, best[1] // width
    features, newlines = processor._get_unpadded_features(int(tall), int(wide), rows, columns, *scales)
    first, step = placeholders - features - newlines, features // newlines + 1
    return frozenset(range(first + step - 1, placeholders, step))


def share_inside(cells: Cells, processed: Arrays) -> NDArray[np.float64]:
    """How much of each cell is white [cell], 0 to 1; processed: the mask as an image processor's picture, 0 to 255."""
    values = np.asarray(processed["pixel_values"], dtype=np.float64) / 255
    if cells.merged:
        shares: NDArray[np.float64] = values.reshape(cells.rows * cells.columns, -1).mean(1)
        return shares
    height, width = values.shape[-2:]
    crop = values.reshape(-1, values.shape[-3], height, width)[cells.crop].mean(0)
    tall, wide = (
        height // cells.rows,
        width // cells.columns,
    )  # what is left over at the far ends is in no patch
    used = crop[: tall * cells.rows, : wide * cells.columns]
    shares = used.reshape(cells.rows, tall, cells.columns, wide).mean((1, 3)).ravel()
    return shares


def _patches(processor: Any, processed: Arrays) -> tuple[int, int]:
    height, width = processed["pixel_values"].shape[-2:]
    return height // processor.patch_size, width // processor.patch_size


def _class_tokens(processor: Any) -> int:
    dropped = processor.vision_feature_select_strategy == "default"
    return int(processor.num_additional_image_tokens) - int(dropped)


def _llava(processor: Any, processed: Arrays, n_features: int) -> Cells | None:
    """Row by row, after the class token where that is kept."""
    rows, columns = _patches(processor, processed)
    first = _class_tokens(processor)
    return Cells(rows, columns, first) if first + rows * columns == n_features else None


def _llava_next(processor: Any, processed: Arrays, n_features: int) -> Cells:
    """The whole picture comes first, as the first crop; the tiles with a newline for each row follow."""
    rows, columns = _patches(processor, processed)
    return Cells(rows, columns, _class_tokens(processor))


def _square(processor: Any, processed: Arrays, n_features: int) -> Cells | None:
    side = math.isqrt(n_features)
    return Cells(side, side) if side * side == n_features else None


def _first_square(processor: Any, processed: Arrays, n_features: int) -> Cells | None:
    """The whole picture, before the crops of pan-and-scan."""
    side = math.isqrt(processor.image_seq_length)
    return Cells(side, side) if side * side == processor.image_seq_length else None


def _last_square(name: str) -> Callable[[Any, Arrays, int], Cells | None]:
    """The tiles, then the whole picture as the last crop; pixel shuffle keeps the order of rows and columns."""

    def rule(processor: Any, processed: Arrays, n_features: int) -> Cells | None:
        count = getattr(processor, name)
        side = math.isqrt(count)
        return Cells(side, side, n_features - count, crop=-1) if side * side == count else None

    return rule


def _merged(processor: Any, processed: Arrays, n_features: int) -> Cells | None:
    """Patches come in squares of merge x merge, one feature each, row by row."""
    merge = int(processor.image_processor.merge_size)
    times, tall, wide = (int(value) for value in processed["image_grid_thw"][0])
    rows, columns = tall // merge, wide // merge
    return Cells(rows, columns, merged=merge * merge) if times * rows * columns == n_features else None


RULES: dict[str, Callable[[Any, Arrays, int], Cells | None]] = {
    "llava": _llava,
    "vipllava": _llava,
    "llava_next": _llava_next,
    "chameleon": _square,
    "paligemma": _square,
    "gemma3": _first_square,
    "idefics3": _last_square("image_seq_len"),
    "smolvlm": _last_square("image_seq_len"),
    "internvl": _last_square("image_seq_length"),
    "qwen2_vl": _merged,
    "qwen2_5_vl": _merged,
    "qwen3_vl": _merged,
    "qwen3_vl_moe": _merged,
    "qwen2_5_omni_thinker": _merged,
}
