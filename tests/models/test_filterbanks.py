"""Kaldi's filter banks against their definition, frame by frame."""

from __future__ import annotations

import numpy as np
import pytest
from tests.models.salmonnparts import clip
from tests.models.salmonnplain import fbank

from semhub.models.filterbanks import filter_banks, n_frames


@pytest.mark.parametrize("n_samples", [400, 559, 560, 1999])
def test_values_are_kaldis(n_samples: int) -> None:
    samples = clip(0.2, seed=n_samples)[:n_samples] + np.float32(0.1)
    found = filter_banks(samples)
    wanted = fbank(samples)
    assert found.dtype == np.float32
    assert found.shape == wanted.shape == (n_frames(n_samples), 128)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=2e-6)


@pytest.mark.parametrize(
    ("n_samples", "frames"), [(0, 0), (399, 0), (400, 1), (559, 1), (560, 2), (16_000, 98), (480_000, 2998)]
)
def test_only_whole_windows_count(n_samples: int, frames: int) -> None:
    assert n_frames(n_samples) == frames
    if n_samples < 1000:
        assert filter_banks(np.zeros(n_samples, np.float32)).shape == (frames, 128)


def test_silence_is_the_floor_and_an_offset_is_silence() -> None:
    floor = (np.log(np.finfo(np.float32).eps) - 15.41663) / (2 * 6.55582)
    np.testing.assert_allclose(filter_banks(np.zeros(800, np.float32)), floor, atol=1e-6)
    np.testing.assert_allclose(filter_banks(np.full(800, 0.5, np.float32)), floor, atol=1e-6)


def test_a_tone_is_loudest_in_its_own_band() -> None:
    tone = np.sin(2 * np.pi * 1000 * np.arange(16_000) / 16_000).astype(np.float32) * 0.5
    low, high = 1127 * np.log1p(20 / 700), 1127 * np.log1p(8000 / 700)
    band = round((1127 * np.log1p(1000 / 700) - low) / (high - low) * 129) - 1
    assert abs(int(filter_banks(tone).mean(0).argmax()) - band) <= 1
