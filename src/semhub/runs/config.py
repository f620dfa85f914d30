"""What a run was asked to do. Frozen, refuses unknown keys, and hashes to the name of its folder."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from semhub.errors import UsageError
from semhub.lens import LensMode

DEFAULT_MODEL = "mini"
SHIPPED_TWINS = 19
TWINS_BELOW = 1_000_000_000
SCORERS = ("sentiment", "fluency", "relevance")  # of generated text, by a model that is named


class RunConfig(BaseModel):
    """All that decides the numbers of a run, and `device`, `dtype` and `batch_tokens`, which decide the last bits.

    convention: a steering direction is read at the layer that is written, or (paper) one layer below it.
    n None: the paper's number of cases (quick: 300). twins None: 19 for models up to a billion parameters, else 0.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = DEFAULT_MODEL
    preset: Literal["quick", "paper", "full"] = "paper"
    spokes: tuple[str, ...] = ()
    experiments: tuple[str, ...] = ()
    lens: LensMode = "final_norm"
    convention: Literal["aligned", "paper"] = "aligned"
    n: int | None = Field(default=None, ge=1)
    data: dict[str, str] = Field(default_factory=dict)
    scorers: dict[str, str] = Field(default_factory=dict)
    languages: tuple[str, ...] = ()
    dominant: str = "auto"
    seed: int = Field(default=0, ge=0)
    twins: int | None = Field(default=None, ge=0)
    device: str = "auto"
    dtype: Literal["auto", "float32", "bfloat16", "float16", "float64"] = "auto"
    batch_tokens: int = Field(default=4096, ge=1)
    revision: str | None = None
    trust_remote_code: bool = False
    quantization: str | None = None

    @property
    def hash(self) -> str:
        """The first 12 hexadecimal digits of the SHA-256 of the configuration."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def n_draws(self) -> int:
        """Permutations, bootstrap samples and sign flips for each statistic."""
        return {"quick": 400, "paper": 1000, "full": 10000}[self.preset]

    @property
    def cases(self) -> int | None:
        return 300 if self.n is None and self.preset == "quick" else self.n

    def n_twins(self, n_parameters: int) -> int:
        if self.twins is not None:
            return self.twins
        return SHIPPED_TWINS if n_parameters <= TWINS_BELOW else 0

    def default_folder(self) -> Path:
        name = re.sub(r"[^\w.-]+", "-", self.model.rstrip("/").split("/")[-1]) or "model"
        return Path("runs") / f"{name}-{self.hash}"


def read_options(file: Path) -> dict[str, Any]:
    """The options of a YAML file. Raises UsageError for a file that cannot be read or holds something else."""
    try:
        read = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageError(f"--config {file} cannot be read: {' '.join(str(error).split())}") from error
    if not isinstance(read, dict):
        raise UsageError(f"--config {file} must hold `option: value` lines.")
    return read


def make_config(given: dict[str, Any], file: Path | None = None) -> RunConfig:
    """The configuration from a YAML file and the options given beside it, which win. Raises UsageError."""
    values = {} if file is None else read_options(file)
    values.update(given)
    try:
        config = RunConfig(**values)
    except ValidationError as error:
        first = error.errors()[0]
        if first["type"] == "extra_forbidden":
            unknown, known = first["loc"][0], ", ".join(RunConfig.model_fields)
            raise UsageError(f"unknown option {unknown!r}; a configuration has {known}.") from error
        where = ".".join(str(part) for part in first["loc"])
        said = first["msg"].removeprefix("Input ")
        raise UsageError(f"option {where} {said}, not {first['input']!r}.") from error
    check_scorers(config.scorers)
    return config


def check_scorers(scorers: Mapping[str, str]) -> None:
    """Raises UsageError for a scorer that there is not, or one without a model."""
    for name, model in scorers.items():
        if name not in SCORERS:
            raise UsageError(f"--scorer {name}: unknown name; there are {', '.join(SCORERS)}.")
        if not model.strip():
            raise UsageError(f"--scorer {name}: write {name}=MODEL, a Hub id or a folder.")
