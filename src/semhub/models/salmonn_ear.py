"""How SALMONN hears: two spectrograms of one sound, and what is written around it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from semhub.errors import ModelError
from semhub.models import filterbanks
from semhub.models.ears import Ear, Layout, Samples

if TYPE_CHECKING:
    from semhub.models.salmonn import SalmonnConfig

SETTINGS = "preprocessor_config.json"
BEFORE, AFTER = "<Speech>", "</Speech>"
SHORTEST = filterbanks.RATE  # samples; a shorter sound is followed by silence


class SalmonnEar(Ear):
    """extractor: Whisper's. Raises ModelError where it does not belong to the configuration."""

    by_pieces = True

    def __init__(self, extractor: Any, config: SalmonnConfig) -> None:
        whisper: Any = config.whisper_config
        wanted = (2 * whisper.max_source_positions, whisper.num_mel_bins, filterbanks.RATE)
        found = (extractor.nb_max_frames, extractor.feature_size, extractor.sampling_rate)
        if wanted != found:
            raise ModelError(
                f"the sound settings of Whisper give (frames, mel bins, rate) {found}, its encoder wants {wanted}: "
                "they do not belong together."
            )
        self.extractor, self.config = extractor, config
        self.rate = filterbanks.RATE
        self.longest = float(extractor.chunk_length)
        self.feature_id = config.audio_token_id

    @classmethod
    def read(cls, folder: str | Path, config: SalmonnConfig) -> SalmonnEar:
        """Of a folder that holds preprocessor_config.json. Raises ModelError where it is missing or broken."""
        from transformers import WhisperFeatureExtractor

        path = Path(folder) / SETTINGS
        if not path.is_file():
            raise ModelError(
                f"{Path(folder).name} has no {SETTINGS}: the sound settings of Whisper are missing."
            )
        try:
            extractor = WhisperFeatureExtractor.from_pretrained(str(folder))
        except (OSError, ValueError, TypeError) as error:
            reason = " ".join(str(error).split())[:200]
            raise ModelError(f"{path.parent.name}/{SETTINGS} is not readable: {reason}") from error
        return cls(extractor, config)

    def save(self, folder: str | Path) -> None:
        self.extractor.save_pretrained(str(folder))

    def layout(self, n_samples: int) -> Layout:
        from semhub.models.salmonn import POSITIONS_PER_SECOND as RATE

        starts = [index * self.config.stride for index in range(self.config.n_windows)]
        windows = [(start / RATE, (start + self.config.window) / RATE) for start in starts]
        seconds = tuple(window for window in windows for _ in range(self.config.num_query_tokens))
        return Layout(BEFORE, len(seconds), AFTER, seconds)

    def features(self, samples: Samples) -> Mapping[str, Tensor]:
        heard = samples[: round(self.longest * self.rate)]
        heard = np.pad(heard, (0, max(0, SHORTEST - len(heard))))
        heard_by_whisper = self.extractor(heard, sampling_rate=self.rate, return_tensors="pt")
        beats: Any = self.config.beats_config
        banks = torch.from_numpy(filterbanks.filter_banks(heard, beats.mel_bins))
        return {
            "input_features": heard_by_whisper["input_features"],
            "filter_banks": banks[None],
            "n_filter_frames": torch.tensor([len(banks)]),
        }
