"""A sound drawn: how loud it is in each band of frequencies at each moment, as a small grey picture.

Power of a short-time Fourier transform (Hann window) under triangular filters on the mel scale, mel(f) = 2595
log10(1 + f / 700) (O'Shaughnessy 1987), in decibels below the loudest point.
"""

from __future__ import annotations

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from semhub.pictures import png

BANDS = 48
WINDOW = 0.032  # seconds
SHORT, FINE, COARSE = 10.0, 0.01, 0.02  # seconds: up to SHORT a column is FINE wide, else COARSE
DEPTH = 60.0  # decibels from black to white
QUIET = 1e-7  # power that is drawn as silence even where nothing is louder
LEVELS = 24  # of grey, so that the file is small


def spectrogram(samples: NDArray[np.float32], rate: int) -> tuple[bytes, float]:
    """samples [sample] -> a PNG, low bands at the bottom, loud is black, and how many seconds its width stands for."""
    hop = round(rate * (FINE if len(samples) <= SHORT * rate else COARSE))
    power = mel_power(samples, rate, hop)
    loudest = max(float(power.max()), QUIET)
    below = -10 * np.log10(np.maximum(power / loudest, 10 ** (-DEPTH / 10))) / DEPTH  # 0 loud .. 1 silent
    grey = np.rint(np.rint(below * LEVELS) * (255 / LEVELS)).astype(np.uint8)
    return png(PIL.Image.fromarray(np.ascontiguousarray(grey[::-1]))), power.shape[1] * hop / rate


def mel_power(samples: NDArray[np.float32], rate: int, hop: int) -> NDArray[np.float64]:
    """samples [sample] -> power [band, column]; column i is centred on the samples i * hop to (i + 1) * hop."""
    size = round(rate * WINDOW)
    columns = -(-len(samples) // hop)
    before = (size - hop) // 2
    padded = np.zeros((columns - 1) * hop + size)
    kept = samples[: len(padded) - before]
    padded[before : before + len(kept)] = kept
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[::hop]
    found = np.fft.rfft(frames * np.hanning(size), axis=1)
    power: NDArray[np.float64] = mel_filters(rate, size) @ (np.abs(found.T) ** 2) / size
    return power


def mel_filters(rate: int, size: int) -> NDArray[np.float64]:
    """Triangles of equal width in mel from 0 to half the rate, each with its neighbours' middles as corners.

    [band, frequency], each band's weights with the sum 1; a band narrower than a frequency's step takes the nearest.
    """
    frequencies = np.fft.rfftfreq(size, 1 / rate)
    corners = 700 * (10 ** (np.linspace(0, mel(rate / 2), BANDS + 2) / 2595) - 1)
    low, middle, high = corners[:-2, None], corners[1:-1, None], corners[2:, None]
    rising, falling = (frequencies - low) / (middle - low), (high - frequencies) / (high - middle)
    weights = np.clip(np.minimum(rising, falling), 0, None)
    empty = np.flatnonzero(weights.sum(1) == 0)
    weights[empty, np.abs(frequencies - corners[1:-1, None]).argmin(1)[empty]] = 1.0
    found: NDArray[np.float64] = weights / weights.sum(1, keepdims=True)
    return found


def mel(frequency: float) -> float:
    return float(2595 * np.log10(1 + frequency / 700))
