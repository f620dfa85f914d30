"""How SALMONN hears: what is written for a sound, and the two spectrograms of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.models.salmonnparts import clip
from transformers import WhisperFeatureExtractor

from semhub.errors import ModelError
from semhub.models.ears import Ear
from semhub.models.filterbanks import filter_banks
from semhub.models.salmonn import SalmonnConfig
from semhub.models.salmonn_ear import SalmonnEar


def config(seconds: int = 3, **changes: Any) -> SalmonnConfig:
    whisper = {"max_source_positions": 50 * seconds, "num_mel_bins": 80}
    return SalmonnConfig(whisper_config=whisper, audio_token_id=77, **changes)


def ear(seconds: int = 3, **changes: Any) -> SalmonnEar:
    return SalmonnEar(WhisperFeatureExtractor(chunk_length=seconds), config(seconds, **changes))


def test_what_it_says_of_itself() -> None:
    found = ear()
    assert isinstance(found, Ear)
    assert (found.rate, found.longest, found.feature_id, found.by_pieces) == (16_000, 3.0, 77, True)
    assert ear(30).longest == 30.0


@pytest.mark.parametrize(("seconds", "count"), [(3, 8), (30, 88)])
def test_every_sound_gives_as_many(seconds: int, count: int) -> None:
    found = ear(seconds)
    layouts = [found.layout(n) for n in (1, 16_000, seconds * 16_000)]
    assert layouts[0] == layouts[1] == layouts[2]
    layout = layouts[0]
    assert (layout.before, layout.count, layout.after) == ("<Speech>", count, "</Speech>")
    assert len(layout.seconds) == count
    assert layout.seconds[0] == (0.0, 0.34)
    assert layout.seconds[-1] == pytest.approx(((count - 1) * 0.34, count * 0.34))
    assert layout.seconds[-1][1] <= seconds


def test_windows_that_overlap_and_queries_that_share_one() -> None:
    found = ear(stride_seconds=0.16, num_query_tokens=2).layout(48_000)
    assert found.count == len(found.seconds) == 2 * ((150 - 17) // 8 + 1)
    assert found.seconds[:3] == ((0.0, 0.34), (0.0, 0.34), (0.16, 0.5))


def test_both_spectrograms() -> None:
    samples = clip(2.0)
    found = ear().features(samples)
    assert {name: (tuple(one.shape), one.dtype) for name, one in found.items()} == {
        "input_features": ((1, 80, 300), torch.float32),
        "filter_banks": ((1, 198, 128), torch.float32),
        "n_filter_frames": ((1,), torch.int64),
    }
    assert int(found["n_filter_frames"]) == 198
    np.testing.assert_array_equal(found["filter_banks"][0].numpy(), filter_banks(samples))
    whole = WhisperFeatureExtractor(chunk_length=3)(samples, sampling_rate=16_000, return_tensors="pt")
    assert torch.equal(found["input_features"], whole["input_features"])


def test_a_short_sound_is_followed_by_silence() -> None:
    samples = clip(0.3)
    found = ear().features(samples)
    filled = ear().features(np.pad(samples, (0, 16_000 - len(samples))))
    assert found["filter_banks"].shape == (1, 98, 128)
    assert all(torch.equal(found[name], filled[name]) for name in found)


def test_a_long_sound_is_cut() -> None:
    samples = clip(4.5)
    found, cut = ear().features(samples), ear().features(samples[:48_000])
    assert found["filter_banks"].shape == (1, 298, 128)
    assert all(torch.equal(found[name], cut[name]) for name in found)


def test_saved_and_read_again(tmp_path: Path) -> None:
    ear().save(tmp_path)
    again = SalmonnEar.read(tmp_path, config())
    samples = clip(1.5)
    assert all(
        torch.equal(one, again.features(samples)[name]) for name, one in ear().features(samples).items()
    )
    assert again.longest == 3.0


@pytest.mark.parametrize(
    "settings",
    [{"chunk_length": 30}, {"chunk_length": 3, "feature_size": 128}, {"chunk_length": 3, "feature_size": 40}],
)
def test_settings_of_another_encoder(settings: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match="do not belong together"):
        SalmonnEar(WhisperFeatureExtractor(**settings), config())


@pytest.mark.parametrize("text", [None, "{", "[]", '{"feature_size": "many"}'])
def test_settings_that_cannot_be_read(text: str | None, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / "preprocessor_config.json").write_text(text)
    with pytest.raises(ModelError, match=r"preprocessor_config\.json") as caught:
        SalmonnEar.read(tmp_path, config())
    assert "\n" not in str(caught.value)
