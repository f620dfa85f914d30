"""COCO's masks as arrays [height, width]: polygons, both kinds of run lengths, and panoptic pictures.

Source of the formats: https://cocodataset.org/#format-data. Run lengths go down the columns and start with the outside.
A pixel belongs to a polygon when its centre does, by the even-odd rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
FARTHEST = 1e6  # pixels: a coordinate beyond that is no place in a picture


class MaskError(ValueError):
    """A segmentation that cannot be read."""


def decode(segmentation: Any, height: int, width: int) -> Mask:
    """An instance's `segmentation`: a list of polygons, or run lengths. Raises MaskError."""
    if isinstance(segmentation, dict):
        return _runs(segmentation, height, width)
    if not isinstance(segmentation, list) or not segmentation:
        raise MaskError("neither polygons nor run lengths")
    inside = np.zeros((height, width), dtype=bool)
    for polygon in segmentation:
        inside |= fill(polygon, height, width)
    return inside


def fill(polygon: Sequence[float], height: int, width: int) -> Mask:
    """The pixels of a polygon x0, y0, x1, y1, ... in pixels; parts outside the picture are cut off."""
    try:
        flat = np.asarray(polygon, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise MaskError("a polygon is no list of numbers") from error
    if flat.ndim != 1 or len(flat) < 6 or len(flat) % 2 or not (np.abs(flat) <= FARTHEST).all():
        raise MaskError("a polygon needs three points or more, as x and y in turn")
    x, y = flat[0::2], flat[1::2]
    next_x, next_y = np.roll(x, -1), np.roll(y, -1)
    low, high = np.minimum(y, next_y), np.maximum(y, next_y)
    # An edge is crossed by the rows whose centre r + 0.5 is in [low, high): each vertex counts once.
    first = np.clip(np.ceil(low - 0.5), 0, height).astype(np.int64)
    last = np.clip(np.ceil(high - 0.5), 0, height).astype(np.int64)
    count = last - first
    edge = np.repeat(np.arange(len(x)), count)
    row = np.arange(len(edge)) - np.repeat(np.cumsum(count) - count, count) + first[edge]
    slope = (next_x[edge] - x[edge]) / (next_y[edge] - y[edge])
    crossing = x[edge] + (row + 0.5 - y[edge]) * slope
    column = np.clip(np.ceil(crossing - 0.5), 0, width).astype(np.int64)  # the first centre not left of it
    toggles = np.zeros((height, width + 1), dtype=np.int64)
    np.add.at(toggles, (row, column), 1)
    return np.asarray(toggles[:, :width].cumsum(axis=1) % 2 == 1)


def counts_of(text: str) -> list[int]:
    """Compressed run lengths: numbers of 5 bits a character, least first, from the fourth on less the last but one."""
    counts: list[int] = []
    at = 0
    while at < len(text):
        value, shift, more = 0, 0, True
        while more:
            if at >= len(text) or not 48 <= ord(text[at]) < 112 or shift > 60:
                raise MaskError("compressed run lengths end early or hold another character")
            bits = ord(text[at]) - 48
            value |= (bits & 31) << shift
            shift, more, at = shift + 5, bool(bits & 32), at + 1
            if not more and bits & 16:
                value -= 1 << shift
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
    return counts


def _runs(segmentation: dict[str, Any], height: int, width: int) -> Mask:
    counts, size = segmentation.get("counts"), segmentation.get("size")
    if size != [height, width]:
        raise MaskError("run lengths of another size than the picture's")
    given = counts_of(counts) if isinstance(counts, str) else counts
    if not isinstance(given, list) or not all(type(one) is int and one >= 0 for one in given):
        raise MaskError("run lengths are no list of numbers")
    if sum(given) != height * width:
        raise MaskError("run lengths do not add up to the picture's pixels")
    runs = np.array(given, dtype=np.int64)
    inside = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    return np.asarray(inside.reshape(width, height).T)


def segment_ids(picture: NDArray[np.uint8]) -> NDArray[np.int64]:
    """A panoptic picture [height, width, 3] -> the id of each pixel's segment, R + 256 G + 65536 B; 0 is none."""
    return np.asarray(picture.astype(np.int64) @ np.array([1, 256, 65536]))
