"""How the micro-world's animals sound: for each a call, its rhythm, and how far two of a kind differ.

Every voice is a stack of harmonics along a pitch contour, and noise, both through the same resonances; no recording
is used or imitated. They need be told apart, not be taken for true.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

RATE = 16_000  # samples in a second
HIGHEST = 7_200.0  # Hz; no harmonic lies above
N_HARMONICS = 24
EVERY = 40  # samples, in which a resonance changes little
Samples = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Voice:
    """One call and how it is repeated.

    pitch: Hz at even steps along a call. length, gap: seconds of a call and between two. peaks: (Hz, bandwidth) of the
    resonances. tilt: how steeply harmonics fall, as a power of their number. noise: the share of breath. tremble:
    (times a second, depth 0..1) of the loudness. vibrato: (times a second, depth as a share of the pitch).
    sharp: a call begins at once and dies away, instead of rising and falling.
    """

    pitch: tuple[float, ...]
    length: float
    gap: float
    peaks: tuple[tuple[float, float], ...]
    tilt: float = 1.0
    noise: float = 0.05
    tremble: tuple[float, float] = (0.0, 0.0)
    vibrato: tuple[float, float] = (0.0, 0.0)
    sharp: bool = False


VOICES = {
    "cat": Voice((480, 760, 640, 420), 0.75, 0.22, ((900, 400), (2300, 700)), 1.1),
    "dog": Voice((420, 560, 300), 0.16, 0.16, ((700, 400), (1500, 600)), 0.7, 0.3, sharp=True),
    "cow": Voice((130, 165, 150, 115), 1.15, 0.25, ((320, 160), (750, 250)), 0.8),
    "horse": Voice(
        (700, 1150, 950, 520), 1.0, 0.2, ((1200, 700), (2600, 800)), 0.7, 0.15, (11, 0.5), (11, 0.12)
    ),
    "pig": Voice((170, 230, 180), 0.2, 0.12, ((800, 300), (1900, 500)), 0.5, 0.65, (38, 0.7)),
    "sheep": Voice((330, 350, 330), 0.8, 0.3, ((700, 250), (1500, 350)), 0.4, 0.05, (6.5, 0.9)),
    "goat": Voice((520, 480, 440), 0.5, 0.16, ((1100, 350), (2800, 500)), 0.4, 0.12, (15, 0.9), (15, 0.03)),
    "wolf": Voice((300, 560, 620, 600, 380), 1.3, 0.2, ((500, 400),), 2.4, 0.02, (0, 0), (5, 0.015)),
    "lion": Voice((95, 120, 80), 1.0, 0.3, ((420, 300), (1100, 500)), 0.3, 0.6, (22, 0.8)),
    "monkey": Voice((520, 980), 0.1, 0.07, ((1000, 500), (1900, 600)), 0.9, 0.1),
    "mouse": Voice((3000, 3700, 3300), 0.06, 0.1, ((3400, 1500),), 2.0, 0.05),
    "elephant": Voice(
        (420, 640, 700, 560), 0.9, 0.3, ((1300, 900), (3200, 1500)), 0.05, 0.25, (0, 0), (19, 0.04)
    ),
    "duck": Voice((360, 300), 0.17, 0.1, ((1300, 250), (2500, 300)), 0.1, 0.15, (55, 0.4), sharp=True),
    "chicken": Voice((620, 950, 560), 0.07, 0.2, ((1000, 400), (3000, 700)), 0.8, 0.08, sharp=True),
    "frog": Voice((95, 100), 0.38, 0.2, ((520, 150), (1150, 200)), 0.2, 0.1, (30, 1.0)),
    "snake": Voice((200, 200), 1.2, 0.3, ((5200, 1800), (6800, 1200)), 1.0, 1.0),
    "turtle": Voice((230, 170), 0.07, 0.42, ((260, 200), (3000, 2500)), 1.2, 0.45, sharp=True),
    "eagle": Voice((2700, 2500, 1800), 0.55, 0.18, ((2300, 900), (4600, 1500)), 0.8, 0.2, (25, 0.35)),
}


def voiced(voice: Voice, seconds: float, rng: np.random.Generator) -> Samples:
    """The animal for that long: calls in a row, of one individual, between -1 and 1; silence before the first."""
    higher, longer = np.exp(rng.uniform(-0.16, 0.16)), np.exp(rng.uniform(-0.2, 0.2))
    size = np.exp(rng.uniform(-0.07, 0.07))  # of the resonances
    found = np.zeros(round(seconds * RATE))
    at = rng.uniform(0.02, 0.18) * min(1.0, seconds)
    while True:
        lasts = voice.length * longer * np.exp(rng.uniform(-0.1, 0.1))
        left = seconds - at - 0.02
        if left < min(lasts, 0.5 * voice.length + 0.05):
            break
        call = _call(voice, min(lasts, left), higher * np.exp(rng.uniform(-0.05, 0.05)), size, rng)
        begin = round(at * RATE)
        call = call[: len(found) - begin] * rng.uniform(0.7, 1.0)
        found[begin : begin + len(call)] += call
        at += lasts + voice.gap * longer * np.exp(rng.uniform(-0.3, 0.3))
    largest = np.abs(found).max()
    return found / largest if largest else found


def _call(voice: Voice, seconds: float, higher: float, size: float, rng: np.random.Generator) -> Samples:
    """One call, about as loud as others."""
    n = max(2, round(seconds * RATE))
    along, time = np.linspace(0, 1, n), np.arange(n) / RATE
    pitch = higher * np.interp(along, np.linspace(0, 1, len(voice.pitch)), voice.pitch)
    rate, depth = voice.vibrato
    pitch = pitch * (1 + depth * np.sin(2 * np.pi * (rate * time + rng.uniform())))
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    tone, turning, coarse = np.zeros(n), np.exp(1j * phase), pitch[::EVERY]
    turned, at = np.ones(n, complex), np.arange(n)
    for number in range(1, N_HARMONICS + 1):
        if number * pitch.min() > HIGHEST:
            break
        turned *= turning
        heard = _resonance(voice, number * coarse, size) * number**-voice.tilt * (number * coarse < HIGHEST)
        start = np.exp(2j * np.pi * rng.uniform())
        tone += np.interp(at, at[::EVERY], heard) * (turned * start).imag
    spectrum = np.fft.rfft(rng.normal(size=n)) * _resonance(voice, np.fft.rfftfreq(n, 1 / RATE), size)
    breath = np.fft.irfft(spectrum, n)
    call = (1 - voice.noise) * _even(tone) + voice.noise * _even(breath)
    rate, depth = voice.tremble
    call = call * (1 - depth * (0.5 + 0.5 * np.sin(2 * np.pi * (rate * time + rng.uniform()))))
    if voice.sharp:
        shape = np.minimum(1, time / 0.006) * np.exp(-3.0 * along)
    else:
        shape = np.minimum(1, np.minimum(along / 0.12, (1 - along) / 0.25))
    shaped: Samples = _even(call * shape)
    return shaped


def _resonance(voice: Voice, pitch: NDArray[np.floating[Any]], size: float) -> Samples:
    """How much passes at those Hz."""
    passed: Samples = sum(
        (np.exp(-0.5 * ((pitch - size * peak) / width) ** 2) for peak, width in voice.peaks),
        np.full_like(pitch, 0.03),
    )
    return passed


def _even(wave: Samples) -> Samples:
    power = np.sqrt(np.mean(wave**2))
    return wave / power if power else wave
