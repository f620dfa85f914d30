"""The self-checks' pictures and sounds: prompts with them, and whether each lies and counts where it is said to."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import PIL.Image
import torch
from torch import Tensor

from semhub.capture import capture
from semhub.errors import SemhubError
from semhub.models.base import Adapter, Encoded
from semhub.models.measured import Measured, relative, worst
from semhub.pictures import png
from semhub.sounds import wav
from semhub.types import Content, Image, Part, Sound

TEXTS = (
    'The river was cold; 3+5=8, said Ángel: "¿Sí?" 河水很冷，我们回家。 The old boat had gone by then.',
    "Tomorrow two brown horses will cross the bridge near Madrid.",
    "snow",
)
PICTURE_SIZES = ((40, 28), (24, 56))
SOUND_SECONDS, RATE = (0.6, 1.3), 16_000


def picture_contents(adapter: Adapter, turned: bool = False) -> list[Encoded]:
    """Two contents with pictures of different sizes and one without. turned: with other pictures in their place."""
    first, second = (_noise(width, height, turned) for width, height in PICTURE_SIZES)
    return _contents(adapter, "What is in the image?\n", first, second)


def sound_contents(adapter: Adapter, turned: bool = False) -> list[Encoded]:
    """Two contents with sounds of different lengths and one without. turned: with other sounds in their place."""
    first, second = (_tone(seconds, turned) for seconds in SOUND_SECONDS)
    return _contents(adapter, "What can be heard?\n", first, second)


def _contents(adapter: Adapter, question: str, first: Part, second: Part) -> list[Encoded]:
    contents = [
        Content.of(question, first, " It is"),
        Content.of(TEXTS[2]),
        Content.of(second, " This represents"),
    ]
    try:
        return adapter.encode(contents)
    except SemhubError as error:
        raise ValueError(str(error)) from error


def _noise(width: int, height: int, turned: bool) -> Image:
    values = np.random.default_rng(width).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image(data=png(PIL.Image.fromarray(255 - values if turned else values)))


def _tone(seconds: float, turned: bool) -> Sound:
    """Noise; turned: a rising tone under it."""
    at = np.arange(round(seconds * RATE)) / RATE
    values = 0.1 * np.random.default_rng(len(at)).normal(size=len(at))
    if turned:
        values += 0.5 * np.sin(2 * np.pi * (300 + 800 * at) * at)
    return Sound(data=wav(values, RATE))


def picture_span(adapter: Adapter, contents: Sequence[Encoded]) -> Measured:
    """Another picture in the place of one changes layer 0 at its positions and at no other.

    Where a picture becomes tokens of the vocabulary, two pictures may share some: one that differs is enough. Where the
    grid is not known, some positions may carry marks: half is enough.
    """
    deviations, allowed = [], 0.0
    for one, other in _pairs(adapter, contents, picture_contents):
        if one.ids != other.ids:
            return Measured(math.inf, 0.0, "the tokens depend on more than a picture's size")
        changed, inside = _changed(adapter, one, other), _among(one, one.pictures[0].positions)
        deviations.append(_missed(changed, inside) + float((changed & ~inside).sum()))
        if adapter.unembedding.masked is not None:
            allowed = 1 - 1 / int(inside.sum())
        elif adapter.grid(one, one.pictures[0].at) is None:
            allowed = 0.5
    return Measured(worst(deviations), allowed)


def sound_span(adapter: Adapter, contents: Sequence[Encoded]) -> Measured:
    """Another sound in the place of one changes layer 0 at its positions and at no other.

    Positions for what fills a clip up to the model's window may stay as they are.
    """
    deviations = []
    for seconds, (one, other) in zip(SOUND_SECONDS, _pairs(adapter, contents, sound_contents), strict=True):
        if one.ids != other.ids:
            return Measured(math.inf, 0.0, "the tokens depend on more than a sound's length")
        (heard,) = one.sounds
        changed, inside = _changed(adapter, one, other), _among(one, heard.positions)
        times = adapter.times(one, heard.at) or ((0.0, seconds),) * len(heard.positions)
        clip = [at for at, (start, _) in zip(heard.positions, times, strict=True) if start < seconds]
        missed = _missed(changed, _among(one, clip))
        deviations.append(missed + float((changed & ~inside).sum()))
    return Measured(worst(deviations), 0.0)


def sound_heard(adapter: Adapter, contents: Sequence[Encoded]) -> Measured:
    """What comes after a sound depends on it."""
    pairs = list(_pairs(adapter, contents, sound_contents))
    logits = [[adapter.logits(adapter.collate([one]))[0, -1] for one in pair] for pair in pairs]
    moved = [relative(*pair) for pair in logits]
    return Measured(sum(not one > 0 for one in moved), 0.0, f"by {min(moved):.3g} at the least, relative")


def _pairs(
    adapter: Adapter, contents: Sequence[Encoded], others: Callable[[Adapter, bool], list[Encoded]]
) -> Iterator[tuple[Encoded, Encoded]]:
    """Each content with a picture or sound, and the same with another in its place."""
    return ((one, other) for one, other in zip(contents, others(adapter, True), strict=True) if one.whole)


def _changed(adapter: Adapter, one: Encoded, other: Encoded) -> Tensor:
    """Which positions [position] differ at layer 0."""
    pair = [next(capture(adapter, [each], "all", layers=[0])).values[0] for each in (one, other)]
    return (pair[0] != pair[1]).any(dim=-1).cpu()


def _among(one: Encoded, positions: Sequence[int]) -> Tensor:
    inside = torch.zeros(len(one.ids), dtype=torch.bool)
    inside[list(positions)] = True
    return inside


def _missed(changed: Tensor, inside: Tensor) -> float:
    """Share of the positions inside that stay as they are."""
    return float((inside & ~changed).sum() / inside.sum())
