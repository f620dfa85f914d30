"""The ear of the families whose processor is in `transformers`, which says what is written and made of a sound.

What is written for a sound depends on its length alone, so the tokens are known from a silence of that length.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from semhub.errors import DataError, ModelError
from semhub.models.ears import Ear, Layout, Samples

Windows = tuple[tuple[float, float], ...]
# What a chat template, not the processor, writes around the placeholders of a sound.
AROUND = {
    "<|AUDIO|>": ("<|audio_bos|>", "<|audio_eos|>"),
    "[AUDIO]": ("[BEGIN_AUDIO]", ""),
}
FEWEST = {"qwen2_audio": 2}  # the model takes a lone placeholder for one that it must itself repeat
LAYOUTS = 512  # lengths whose layouts are remembered


class LibraryEar(Ear):
    """The family's own processor, with its feature extractor and tokenizer."""

    def __init__(self, processor: Any, config: Any) -> None:
        self.processor, self.model_type = processor, str(config.model_type)
        self.extractor = processor._audio_processor
        self.feature_id = _feature_id(config)
        self.rate = int(self.extractor.sampling_rate)
        self.longest = LONGEST.get(self.model_type, _whole)(processor)
        settings = processor._merge_kwargs(tokenizer_init_kwargs=processor.tokenizer.init_kwargs)
        fixed = {"return_tensors": "pt", "sampling_rate": self.rate}
        self.options: dict[str, Any] = {**settings["audio_kwargs"], **fixed}
        self._layouts = lru_cache(LAYOUTS)(self._layout)
        self.layout(self.rate)  # a processor that cannot do this fails while the model is loaded

    def layout(self, n_samples: int) -> Layout:
        return self._layouts(n_samples)

    def features(self, samples: Samples) -> Mapping[str, Tensor]:
        processed, _ = self._process(samples)
        return {
            name: torch.as_tensor(value)
            for name, value in processed.items()
            if name not in self.processor.unused_input_names
        }

    def _layout(self, n_samples: int) -> Layout:
        try:
            _, written = self._process(np.zeros(n_samples, dtype=np.float32))
        except Exception as error:  # a length that the processor refuses
            why = " ".join(str(error).split())[:200] or type(error).__name__
            raise DataError(
                f"a sound of {n_samples / self.rate:.3g} seconds is not taken by {self.model_type}: {why}."
            ) from error
        placeholder = str(self.processor.tokenizer.convert_ids_to_tokens(self.feature_id))
        count = written.count(placeholder)
        if count < FEWEST.get(self.model_type, 1):
            return Layout("", 0, "")
        inside = written.find(placeholder), written.rfind(placeholder) + len(placeholder)
        if inside[1] - inside[0] != count * len(placeholder):
            raise ModelError(
                f"{self.model_type} writes marks among the features of a sound, which is not read."
            )
        before, after = self._around(placeholder)
        seconds = STEPS[self.model_type](self, n_samples, count) if self.model_type in STEPS else ()
        return Layout(before + written[: inside[0]], count, written[inside[1] :] + after, seconds)

    def _around(self, placeholder: str) -> tuple[str, str]:
        known = self.processor.tokenizer.get_vocab()
        before, after = AROUND.get(placeholder, ("", ""))
        return before if before in known else "", after if after in known else ""

    def _process(self, samples: Samples) -> tuple[Mapping[str, Any], str]:
        """What the model takes of the sound, and what is written for it."""
        options = self.options
        if self.model_type in CLOSE:  # zeros after the window of the last sample change nothing
            hop = int(self.extractor.hop_length)
            beyond = len(samples) // hop + self.extractor.n_fft // hop + 2
            options = {**options, "max_length": min(int(self.extractor.n_samples), beyond * hop)}
        processed, written = self.processor._process_audio([samples], **options)
        return processed, str(written[0])


class VoxtralEar(LibraryEar):
    """Voxtral, whose processor leaves the tokens to a tokenizer library of its own: each chunk of the encoder's length,
    the last filled up with silence, gives the same number of them."""

    def __init__(self, processor: Any, config: Any) -> None:
        audio = config.audio_config
        self.per_chunk = audio.max_source_positions * audio.hidden_size // audio.intermediate_size
        super().__init__(processor, config)

    @property
    def chunk(self) -> int:
        """Samples of one chunk."""
        return int(self.extractor.n_samples)

    def _process(self, samples: Samples) -> tuple[Mapping[str, Any], str]:
        options = {
            **self.options,
            "pad_to_multiple_of": self.chunk,
            "max_source_positions": self.extractor.nb_max_frames,
        }
        features = self.processor._retrieve_input_features([samples], **options)
        placeholder = str(self.processor.tokenizer.convert_ids_to_tokens(self.feature_id))
        return {"input_features": features}, placeholder * (self.per_chunk * len(features))


def _feature_id(config: Any) -> int:
    """The id that stands for one feature of a sound."""
    for name in ("audio_token_id", "audio_token_index"):
        if isinstance(getattr(config, name, None), int):
            return int(getattr(config, name))
    raise ModelError(f"the configuration of {config.model_type} does not say which token stands for a sound.")


def _whole(processor: Any) -> float:
    return math.inf


def _one_window(processor: Any) -> float:
    """The feature extractor cuts what is longer than its window."""
    extractor = processor._audio_processor
    return float(extractor.n_samples / extractor.sampling_rate)


def _some_windows(processor: Any) -> float:
    chunk = processor.feature_extractor.chunk_length
    return float(int(processor.max_audio_len // chunk) * chunk)


LONGEST: dict[str, Callable[[Any], float]] = {
    "qwen2_audio": _one_window,
    "qwen2_5_omni_thinker": _one_window,
    "audioflamingo3": _some_windows,
}
CLOSE = ("qwen2_5_omni_thinker",)  # encoders that take any length: windows of minutes are not filled up


def _four_frames(ear: LibraryEar, n_samples: int, count: int) -> Windows:
    """A convolution of stride 2, then the mean of pairs."""
    return _steps(4 * ear.extractor.hop_length / ear.rate, count)


def _of_a_chunk(ear: LibraryEar, n_samples: int, count: int) -> Windows:
    """Neighbours among a chunk's frames are joined, as many to each."""
    assert isinstance(ear, VoxtralEar)
    return _steps(ear.chunk / ear.rate / ear.per_chunk, count)


def _steps(step: float, count: int) -> Windows:
    return tuple((index * step, (index + 1) * step) for index in range(count))


STEPS: dict[str, Callable[[Any, int, int], Windows]] = {
    "qwen2_audio": _four_frames,
    "qwen2_5_omni_thinker": _four_frames,
    "audioflamingo3": _four_frames,
    "voxtral": _of_a_chunk,
}
