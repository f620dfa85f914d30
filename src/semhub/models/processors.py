"""A model's image processor and feature extractor and its processor's settings, without what only videos need."""

from __future__ import annotations

import copy
import inspect
import json
from pathlib import Path
from typing import Any

from semhub.errors import ModelError
from semhub.models.ears import Ear
from semhub.models.library_ear import LibraryEar, VoxtralEar
from semhub.models.sight import Sight
from semhub.models.sources import THINKERS

SETTINGS, PIXELS = "processor_config.json", "preprocessor_config.json"
PARTS = ("image_processor", "video_processor", "feature_extractor", "audio_processor")
# Towers that put a class token before the patches.
CLASS_TOKEN = ("clip_vision_model", "metaclip_2_vision_model", "chinese_clip_vision_model")


def read_sight(path: str, config: Any, tokenizer: Any, remote: dict[str, Any]) -> Sight:
    """The sight of the model at a path or Hub id. Raises ModelError saying what is missing."""
    return make_sight(config, tokenizer, read_image_processor(path, remote), _settings(path, remote))


def read_image_processor(path: str, remote: dict[str, Any]) -> Any:
    from transformers import AutoImageProcessor

    return AutoImageProcessor.from_pretrained(path, backend="pil", **remote)


def make_sight(
    config: Any, tokenizer: Any, image_processor: Any, settings: dict[str, Any] | None = None
) -> Sight:
    """settings: of the processor, by name; what they do not say comes from the model's configuration."""
    from transformers import ProcessorMixin

    kind = _processor_class(config, (settings or {}).get("processor_class"))
    if getattr(kind, "replace_image_token", None) in (None, ProcessorMixin.replace_image_token):
        raise ModelError(f"{kind.__name__} does not say which tokens stand for a picture.")
    given = {**_from_config(config, image_processor), **(settings or {}), "image_processor": image_processor}
    return Sight(_processor(kind, tokenizer, given), config)


def read_ear(path: str, config: Any, tokenizer: Any, remote: dict[str, Any]) -> Ear:
    """The ear of the model at a path or Hub id. Raises ModelError saying what is missing."""
    from transformers import AutoFeatureExtractor

    extractor = AutoFeatureExtractor.from_pretrained(path, **remote)
    return make_ear(config, tokenizer, extractor, _settings(path, remote))


def make_ear(
    config: Any, tokenizer: Any, feature_extractor: Any, settings: dict[str, Any] | None = None
) -> Ear:
    """settings: of the processor, by name."""
    kind = _processor_class(config, (settings or {}).get("processor_class"))
    ear = VoxtralEar if config.model_type == "voxtral" else LibraryEar
    given = {**(settings or {}), "feature_extractor": feature_extractor, "audio_processor": feature_extractor}
    return ear(_processor(kind, tokenizer, given), config)


def _processor(kind: Any, tokenizer: Any, given: dict[str, Any]) -> Any:
    """A processor with those of the given parts and settings that its class takes, and None for parts that only other
    senses need."""
    taken = inspect.signature(kind.__init__).parameters
    named = {name: given.get(name) for name in taken if name in given or name in PARTS}
    return _unchecked(kind)(**{**named, "tokenizer": copy.deepcopy(tokenizer)})


def _processor_class(config: Any, name: Any) -> Any:
    import transformers
    from transformers.models.auto.processing_auto import PROCESSOR_MAPPING_NAMES

    family = THINKERS.get(config.model_type, config.model_type)
    wanted = name or PROCESSOR_MAPPING_NAMES.get(family)
    if not wanted:
        raise ModelError(f"no processor is known for {config.model_type}.")
    return getattr(transformers, str(wanted))


def _unchecked(kind: type) -> Any:
    """The class without its check that all parts are there: a video processor needs torchvision."""
    return type(kind.__name__, (kind,), {"check_argument_for_proper_class": lambda *_: None})


def _settings(path: str, remote: dict[str, Any]) -> dict[str, Any]:
    named = {name: value for name, value in _json(path, PIXELS, remote).items() if name == "processor_class"}
    return {**named, **_json(path, SETTINGS, remote)}


def _from_config(config: Any, image_processor: Any) -> dict[str, Any]:
    """What older checkpoints, which have no file for it, leave to the model's configuration."""
    vision = getattr(config, "vision_config", None)
    found: dict[str, Any] = {}
    patch = getattr(vision, "patch_size", None)
    if isinstance(patch, int):
        found["patch_size"] = patch
    strategy = getattr(config, "vision_feature_select_strategy", None)
    if strategy is not None:
        found["vision_feature_select_strategy"] = strategy
        has_class = getattr(vision, "model_type", "") in CLASS_TOKEN or strategy == "default"
        found["num_additional_image_tokens"] = int(has_class)
    for name in ("image_seq_length", "mm_tokens_per_image"):
        if isinstance(getattr(config, name, None), int):
            found["image_seq_length"] = getattr(config, name)
    scale, side = getattr(config, "scale_factor", None), getattr(vision, "image_size", None)
    if isinstance(scale, int) and isinstance(side, int) and isinstance(patch, int):
        found["image_seq_len"] = (side // patch) ** 2 // scale**2
    steps = getattr(getattr(config, "vq_config", None), "channel_multiplier", None)
    if (
        steps is not None
    ):  # a picture's tokens are what its encoder leaves after halving the sides at each step
        crop, down = image_processor.crop_size, 2 ** (len(steps) - 1)
        found["image_seq_length"] = (crop["height"] // down) * (crop["width"] // down)
    return found


def _json(path: str, name: str, remote: dict[str, Any]) -> dict[str, Any]:
    from transformers.utils import cached_file

    found = cached_file(
        path,
        name,
        revision=remote.get("revision"),
        _raise_exceptions_for_missing_entries=False,
        _raise_exceptions_for_connection_errors=False,
    )
    if found is None:
        return {}
    try:
        settings = json.loads(Path(found).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{found} is not readable JSON: {error}.") from error
    return settings if isinstance(settings, dict) else {}
