"""Pictures and sounds as small data URIs, so that a run's tables and its page show them without their files."""

from __future__ import annotations

import base64
from collections.abc import Callable
from io import BytesIO
from typing import Any

import numpy as np

from semhub.models.base import Adapter, Encoded
from semhub.pictures import mask_png, open_picture, png, size
from semhub.runs.spectrogram import spectrogram
from semhub.sounds import open_sound, seconds, wav
from semhub.types import Area, Content, Image, Sound

SIDE = 448  # pixels of the longer side, about what the models themselves see
QUALITY = 80
FADED = (255, 255, 255)
KEPT = 64  # of 255: how much is left of what lies outside a mask
CLOSE = 0.03  # of a patch: how well the edges of the patch grid are found
WHOLE = (0.0, 0.0, 1.0, 1.0)
RATE = 16_000  # samples in a second of a clip that can be played, 16 bits each: 43 kB as a data URI
PLAYED = 10.0  # seconds of it
SKETCH = (320, 96)  # pixels of a spectrogram that stands for a sound
DRAWN, MOST_DRAWN = (
    30.0,
    120.0,
)  # seconds of the spectrogram: where it is not known what the model hears, and ever


def embedded(image: Image, side: int = SIDE, area: Area | None = None) -> dict[str, Any]:
    """`uri` (PNG or JPEG, whichever is smaller), and the picture's own `width` and `height`.

    side: pixels of the longer side at most. area: what lies outside its mask is faded.
    Raises DataError for a picture that cannot be read.
    """
    picture = open_picture(image)
    width, height = picture.size
    if area is not None and area.mask:
        mask = open_picture(Image(data=area.mask)).convert("L").resize(picture.size)
        picture.paste(
            FADED, (0, 0), mask.point([(255 - KEPT) * (255 - value) // 255 for value in range(256)])
        )
    picture.thumbnail((side, side))
    out = BytesIO()
    picture.save(out, format="JPEG", quality=QUALITY)
    kind, data = min(("png", png(picture)), ("jpeg", out.getvalue()), key=lambda one: len(one[1]))
    return {
        "uri": _uri(f"image/{kind}", data),
        "width": width,
        "height": height,
    }


def embed_pictures(
    adapter: Adapter, content: Content, found: dict[str, Any], special_tokens: bool = True
) -> None:
    """Adds to each picture of a grid its `picture`, and the `box` of it that its patches cover."""
    if not content.images:
        return
    (encoded,) = adapter.encode([content], special_tokens=special_tokens)
    for one, (at, image) in zip(found["pictures"], content.images, strict=True):
        one["picture"] = embedded(image)
        one["box"] = [round(edge, 4) for edge in covered(adapter, encoded, at, size(image))]


def embedded_sound(sound: Sound, drawn: float = DRAWN, played: float = PLAYED) -> dict[str, Any]:
    """`uri`: the first `played` seconds as a WAV file, and how many they are under `played`; `seconds`: of the whole.

    spectrogram: `uri` (PNG) of the first `drawn` seconds, the `seconds` its width stands for, `top`: its highest
    frequency in Hz. Raises DataError for a sound that cannot be read.
    """
    samples = open_sound(sound, RATE, max(drawn, played))
    heard = samples[: round(played * RATE)]
    picture, width = spectrogram(samples[: max(1, round(drawn * RATE))], RATE)
    return {
        "uri": _uri("audio/wav", wav(heard, RATE)),
        "played": round(len(heard) / RATE, 3),
        "seconds": round(max(seconds(sound), len(samples) / RATE), 3),
        "spectrogram": {"uri": _uri("image/png", picture), "seconds": round(width, 3), "top": RATE // 2},
    }


def drawn_sound(sound: Sound) -> dict[str, Any]:
    """A sound as the picture of one case: `uri` of its spectrogram, `width`, `height` and `alt`, what it shows."""
    found, shown = spectrogram(open_sound(sound, RATE, DRAWN), RATE)
    sketch = open_picture(Image(data=found)).convert("L").resize(SKETCH)
    return {
        "uri": _uri("image/png", png(sketch)),
        "width": SKETCH[0],
        "height": SKETCH[1],
        "alt": f"the sound of this case as a spectrogram, {shown:.1f} s",
    }


def embed_sounds(content: Content, found: dict[str, Any], played: float = PLAYED) -> None:
    """Adds to each sound of a grid its `clip`: what can be played, and the spectrogram of what the model hears."""
    for one, (_, sound) in zip(found["sounds"], content.sounds, strict=True):
        drawn = max((end for _, end in one["times"]), default=DRAWN) if one["times"] else DRAWN
        one["clip"] = embedded_sound(sound, min(drawn, MOST_DRAWN), played)


def _uri(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def covered(
    adapter: Adapter, encoded: Encoded, at: int, shape: tuple[int, int]
) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of what the patch grid covers, as shares of the picture's width and height.

    A processor may crop the picture or pad it, and does not say how; the positions that masks fall on do. shape:
    width and height of the picture in pixels.
    """
    known = adapter.grid(encoded, at)
    if known is None:
        return WHOLE
    cells = np.array(known.position).reshape(known.rows, known.columns)
    y, x = np.mgrid[: shape[1], : shape[0]]

    def holds(line: np.ndarray, mask: np.ndarray) -> bool:
        return not set(line.tolist()).isdisjoint(adapter.area(encoded, Area(at, mask_png(mask))))

    def edges(lines: np.ndarray, place: np.ndarray, length: int) -> tuple[float, float]:
        close = max(0.5, CLOSE * length / len(lines))
        first = _least(lambda t: holds(lines[0], place < t), length, close)
        last = _least(lambda t: holds(lines[-1], place >= length - t), length, close)
        return _edges(first, last, len(lines), length)

    (left, right), (top, bottom) = edges(cells.T, x, shape[0]), edges(cells, y, shape[1])
    return left, top, right, bottom


def _least(holds: Callable[[float], bool], length: float, close: float) -> float | None:
    """The least t in 0..length that holds, by halving; None if not even the whole length does."""
    low, high = 0.0, float(length)
    if not holds(high):
        return None
    while high - low > close:
        middle = (low + high) / 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return (low + high) / 2


def _edges(first: float | None, last: float | None, n: int, length: int) -> tuple[float, float]:
    """From the distances of the first and the last line's middle from their ends of the picture to the grid's edges."""
    if first is None or last is None or n < 2:
        return 0.0, 1.0
    half = (length - last - first) / (n - 1) / 2
    low, high = (first - half) / length, (length - last + half) / length
    return (0.0, 1.0) if max(abs(low), abs(high - 1)) < max(3 * CLOSE, n / length) / n else (low, high)
