"""Kaldi's log-mel filter banks, as BEATs reads them, without torchaudio.

Formulas: Kaldi's `compute-fbank-feats` with its defaults and 128 bins (Povey et al., "The Kaldi Speech Recognition
Toolkit", 2011); scaling and normalisation as Chen et al., "BEATs" (arXiv 2212.09058) release them.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

RATE = 16_000  # samples a second
WINDOW, SHIFT, FFT = 400, 160, 512  # samples: 25 ms, 10 ms, the power of two above the window
PREEMPHASIS = 0.97
POVEY = 0.85  # the power of a Hann window
LOWEST = 20.0  # Hz; the highest is half the rate
FLOOR = float(np.finfo(np.float32).eps)  # of an energy, before its logarithm
FULL_SCALE = 2.0**15
MEAN, DEVIATION = 15.41663, 6.55582  # over AudioSet


def n_frames(n_samples: int) -> int:
    """How many whole windows a sound of that many samples holds."""
    return max(0, 1 + (n_samples - WINDOW) // SHIFT)


def filter_banks(samples: NDArray[np.float32], mels: int = 128) -> NDArray[np.float32]:
    """samples [sample] at 16 kHz, between -1 and 1 -> [frame, mel], normalised by MEAN and 2 * DEVIATION.

    One row for each 10 ms that begins a whole 25 ms window. Computed in float64: no dither, the mean of each window
    taken out, pre-emphasis within the window, Povey's window, power spectrum, triangular filters, logarithm.
    """
    energies = np.maximum(_power(samples) @ _filters(mels), FLOOR)
    normalised: NDArray[np.float32] = ((np.log(energies) - MEAN) / (2 * DEVIATION)).astype(np.float32)
    return normalised


def _power(samples: NDArray[np.float32]) -> NDArray[np.float64]:
    """[frame, frequency], |FFT| squared of each window."""
    count = n_frames(len(samples))
    if not count:
        return np.zeros((0, FFT // 2 + 1))
    wave = samples.astype(np.float64) * FULL_SCALE
    windows = np.lib.stride_tricks.sliding_window_view(wave, WINDOW)[::SHIFT]
    centred = windows - windows.mean(axis=1, keepdims=True)
    before = np.concatenate(
        [centred[:, :1], centred[:, :-1]], axis=1
    )  # the first sample stands before itself
    shape = np.hanning(WINDOW) ** POVEY
    power: NDArray[np.float64] = np.abs(np.fft.rfft((centred - PREEMPHASIS * before) * shape, FFT)) ** 2
    return power


@cache
def _filters(mels: int) -> NDArray[np.float64]:
    """[frequency, mel]: triangles of equal width on the mel scale, each reaching to its neighbours' centres."""
    corners = np.linspace(_mel(LOWEST), _mel(RATE / 2), mels + 2)
    width = corners[1] - corners[0]
    at = _mel(np.arange(FFT // 2 + 1) * RATE / FFT)[:, None]
    weights: NDArray[np.float64] = np.clip(1 - np.abs(at - corners[1:-1]) / width, 0, None)
    return weights


def _mel(hertz: float | NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(1127.0 * np.log1p(np.asarray(hertz) / 700.0))
