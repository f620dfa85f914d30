"""The YAML that names SALMONN's parts."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import yaml

from semhub.errors import UsageError

LISTING = "salmonn.yaml"


@dataclass(frozen=True, slots=True)
class Listing:
    """What the YAML says; everything but the parts has the release's value where left out.

    second_per_window, second_stride: of the Q-Former's windows. lora_alpha: over the rank it scales LoRA's product.
    """

    whisper: str
    beats: str
    salmonn: str
    llama: str
    second_per_window: float = 0.333333
    second_stride: float = 0.333333
    lora_alpha: float = 32
    qformer_layers: int = 2
    qformer_heads: int = 12


def read_listing(path: Path) -> Listing:
    """Raises UsageError for a file that is missing or no YAML, an unknown key, and a value that is none."""
    try:
        told = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {type(error).__name__}.") from error
    except yaml.YAMLError as error:
        raise UsageError(f"{path.name} is no YAML: {' '.join(str(error).split())[:200]}") from error
    known = {field.name: field for field in fields(Listing)}
    if not isinstance(told, dict):
        raise UsageError(f"{path.name} is no list of parts: it names {', '.join(list(known)[:4])}.")
    unknown = sorted(str(name) for name in told if name not in known)
    if unknown:
        raise UsageError(f"{path.name}: {unknown[0]} is not known; known are {', '.join(known)}.")
    for name, field in known.items():
        if name not in told and isinstance(field.default, int | float):
            continue
        value = told.get(name)
        if field.type == "str":
            if not isinstance(value, str) or not value.strip():
                raise UsageError(f"{path.name}: {name} is missing: where that part lies.")
        elif isinstance(value, bool) or not isinstance(value, int if field.type == "int" else (int, float)):
            raise UsageError(f"{path.name}: {name} is a number, not {value!r}.")
        elif not value > 0:
            raise UsageError(f"{path.name}: {name} is above 0, not {value}.")
    return Listing(**told)
