"""What a model's name means, and which models are refused before any weight is read."""

from __future__ import annotations

import json
import os
import re
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from semhub.errors import ModelError

ORGANISMS = Path(__file__).parent.parent / "organisms"
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
SALMONN = "salmonn.yaml"
DECODER_CLASSES = ("ForCausalLM", "LMHeadModel")
SENSING_CLASSES = (*DECODER_CLASSES, "ForConditionalGeneration")
# Families that hear, with the class that reads their weights; of those that also speak, the part that listens.
HEARING_CLASSES = {
    "qwen2_audio": "Qwen2AudioForConditionalGeneration",
    "voxtral": "VoxtralForConditionalGeneration",
    "audioflamingo3": "AudioFlamingo3ForConditionalGeneration",
    "qwen2_5_omni": "Qwen2_5OmniThinkerForConditionalGeneration",
    "qwen2_5_omni_thinker": "Qwen2_5OmniThinkerForConditionalGeneration",
}
THINKERS = {"qwen2_5_omni_thinker": "qwen2_5_omni"}  # the part that listens and looks -> its family
OTHER_SENSES = {
    "vision_config": "a vision-language",
    "audio_config": "an audio-language",
    "speech_config": "an audio-language",
}
TIMEOUT = 5.0


@dataclass(frozen=True, slots=True)
class Source:
    """Where a model lies: `folder` on this machine, or a Hub id with no folder. `given` is what the user wrote.

    salmonn: the file that says where SALMONN's published parts lie, where it is such a model.
    """

    given: str
    name: str
    folder: Path | None
    salmonn: Path | None = None

    @property
    def path(self) -> str:
        return self.given if self.folder is None else str(self.folder)


def organisms() -> list[str]:
    """The names of the shipped organisms."""
    return sorted(config.parent.name for config in ORGANISMS.glob("*/config.json"))


def resolve(model: str) -> Source:
    """A shipped organism's name goes before a local folder, a folder before a Hub id. Raises ModelError."""
    if model in organisms():
        return Source(model, model, ORGANISMS / model)
    path = Path(model).expanduser()
    if path.is_dir() and model.strip():
        parts = path / SALMONN
        return Source(model, path.resolve().name, path, parts if parts.is_file() else None)
    if path.is_file() and path.suffix in (".yaml", ".yml"):
        return Source(model, path.stem, path.parent, path)
    if path.is_file():
        raise ModelError(
            f"{model} is a file; give the folder that holds config.json and the weights, or the YAML file that says "
            "where SALMONN's parts lie."
        )
    if not HUB_ID.fullmatch(model):
        raise ModelError(
            f"{model} is neither a folder nor a Hugging Face id nor an organism ({', '.join(organisms())})."
        )
    return Source(model, model.rsplit("/", 1)[-1], None)


def read_config(source: Source, revision: str | None) -> dict[str, Any]:
    """config.json as a mapping. Raises ModelError when it is missing, malformed or out of reach."""
    path = (
        _hub_file(source.given, "config.json", revision)
        if source.folder is None
        else source.folder / "config.json"
    )
    if not path.is_file():
        raise ModelError(f"{source.given} has no config.json: give a folder that `save_pretrained` wrote.")
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} is not readable JSON: {error}.") from error
    if not isinstance(config, dict):
        raise ModelError(f"{path} does not hold a JSON object.")
    return config


def _hub_file(model_id: str, name: str, revision: str | None) -> Path:
    from transformers.utils import cached_file

    try:
        return Path(cached_file(model_id, name, revision=revision, local_files_only=True))
    except OSError:
        pass
    if not _hub_reachable():
        raise ModelError(
            f"{model_id} is no local folder and no organism ({', '.join(organisms()) or 'none shipped'}), and the "
            "Hugging Face Hub cannot be reached: check the name or the connection."
        )
    try:
        return Path(cached_file(model_id, name, revision=revision))
    except OSError as error:
        reason = " ".join(str(error).split("\n")[:2])
        raise ModelError(f"{model_id} cannot be fetched from the Hugging Face Hub: {reason}") from error


def local_folder(source: Source, patterns: list[str], revision: str | None) -> Path:
    """The folder of the source's files, fetched from the Hub where they are not here."""
    if source.folder is not None:
        return source.folder
    from huggingface_hub import snapshot_download

    return Path(snapshot_download(source.given, revision=revision, allow_patterns=patterns))


def _hub_reachable() -> bool:
    """One attempt to connect; behind a proxy the attempt is left to the Hub's own client."""
    if any(
        os.environ.get(name, "0").upper() in ("1", "TRUE", "YES", "ON")
        for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
    ):
        return False
    if any(os.environ.get(name) for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")):
        return True
    endpoint = urlsplit(os.environ.get("HF_ENDPOINT", "https://huggingface.co"))
    port = endpoint.port or (443 if endpoint.scheme == "https" else 80)
    try:
        socket.create_connection((endpoint.hostname or "", port), timeout=TIMEOUT).close()
    except OSError:
        return False
    return True


def sees(config: dict[str, Any]) -> bool:
    """Whether a model of this configuration is shown pictures."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES as KNOWN

    kind = config.get("model_type")
    return kind in KNOWN or kind in THINKERS or kind in THINKERS.values()


def hears(config: dict[str, Any]) -> bool:
    """Whether a model of this configuration hears sounds, and its family is known here."""
    return config.get("model_type") in (*HEARING_CLASSES, "salmonn")


def refuse_other_kinds(what: str, config: dict[str, Any]) -> None:
    """Raises ModelError for encoders, encoder-decoders, and models that see or hear in a way of their own; `what` names
    the model."""
    kind, sensing = config.get("model_type", "unknown"), sees(config) or hears(config)
    for key, sense in OTHER_SENSES.items():
        if key in config and not sensing:
            raise ModelError(
                f"{what} ({kind}) is {sense} model of a kind that is not read: text decoders are, the vision-language "
                f"models that AutoModelForImageTextToText loads, and of those that hear {', '.join(HEARING_CLASSES)}."
            )
    if config.get("is_encoder_decoder"):
        raise ModelError(
            f"{what} ({kind}) is an encoder-decoder; semhub reads decoders with one residual stream."
        )
    architectures = config.get("architectures") or []
    classes = (*SENSING_CLASSES, "OmniModel") if sensing else DECODER_CLASSES
    if architectures and not any(name.endswith(classes) for name in architectures):
        raise ModelError(
            f"{what} is a {architectures[0]} ({kind}), not a decoder with a language-model head; semhub reads causal "
            "language models."
        )


def refuse_without_weights(source: Source) -> None:
    """Raises ModelError for a folder without safetensors or PyTorch .bin weights."""
    folder = source.folder
    if folder is None or any(folder.glob("*.safetensors")) or any(folder.glob("pytorch_model*.bin")):
        return
    raise ModelError(
        f"{source.given} holds no weights: no *.safetensors and no pytorch_model*.bin in the folder."
    )
