"""From a Hub id, a folder, a shipped organism's name or a model in memory to a checked adapter."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from semhub.errors import ModelError, SelfCheckError, SemhubError, UsageError
from semhub.models.baichuan import FILES, read_baichuan
from semhub.models.base import Adapter
from semhub.models.decoder import DecoderAdapter
from semhub.models.ears import Ear
from semhub.models.processors import make_ear, make_sight, read_ear, read_sight
from semhub.models.sources import (
    HEARING_CLASSES,
    Source,
    hears,
    local_folder,
    organisms,
    read_config,
    refuse_other_kinds,
    refuse_without_weights,
    resolve,
    sees,
)
from semhub.models.weights import not_finite

if TYPE_CHECKING:
    from semhub.models.selfcheck import Check
    from semhub.models.sight import Sight

__all__ = ["load", "organisms", "require"]


def load(
    model: Any,
    tokenizer: Any = None,
    *,
    revision: str | None = None,
    device: str = "auto",
    dtype: str | torch.dtype = "auto",
    trust_remote_code: bool = False,
    check: bool = True,
    device_map: Any = None,
    quantization: str | None = None,
    image_processor: Any = None,
    feature_extractor: Any = None,
) -> Adapter:
    """The adapter of a decoder, or of a model that also sees or hears, self-checked.

    model: a Hub id, a folder, the name of a shipped organism, a YAML file or a folder with a `salmonn.yaml` (which say
    where SALMONN's published parts lie), or a `transformers` model in memory (then with its tokenizer). tokenizer: the
    model's own if left out, else a tokenizer or where one lies. device: "auto" takes the accelerator if there is one.
    dtype: "auto" is the checkpoint's own on an accelerator and float32 on the CPU. device_map: as in
    `from_pretrained`, instead of a device. quantization: "8bit" or "4bit" (bitsandbytes).
    image_processor, feature_extractor: of a model in memory that sees or hears, which takes text alone without them;
    feature_extractor may be an Ear (semhub.models.ears). A model that is read from a folder or the Hub brings its own.
    Weights come from safetensors, or from .bin files through `torch.load(weights_only=True)`; code from a model's
    repository runs only with trust_remote_code. Raises UsageError for an option out of range, ModelError for
    anything that is no readable decoder, and SelfCheckError naming the first check that failed.
    """
    with quiet():
        if isinstance(model, (str, Path)):
            place = Place.of(device, dtype, device_map, quantization)
            adapter = _from_source(resolve(str(model)), tokenizer, revision, trust_remote_code, place)
        else:
            adapter = _from_memory(model, tokenizer, image_processor, feature_extractor)
        if check:
            from semhub.models import selfcheck

            require(selfcheck.run(adapter), adapter.name)
    return adapter


def require(checks: list[Check], name: str) -> None:
    """Raises SelfCheckError naming the first check that failed."""
    for check in checks:
        if not check.passed:
            raise SelfCheckError(
                f"{name} failed the self-check {check.name}: deviation {check.deviation:.3g}, tolerance "
                f"{check.tolerance:.3g} ({check.detail}); its numbers would not be trustworthy."
            )


def _from_source(
    source: Source, tokenizer: Any, revision: str | None, trust_remote_code: bool, place: Place
) -> Adapter:
    if source.salmonn is not None:
        return _from_parts(source, tokenizer, place)
    raw = read_config(source, revision)
    refuse_other_kinds(source.given, raw)
    refuse_without_weights(source)
    remote = {"revision": revision, "trust_remote_code": trust_remote_code}
    kind = str(raw.get("model_type"))
    if "auto_map" in raw and kind not in OWN and not trust_remote_code and not known_type(kind):
        raise ModelError(
            f"{source.given} needs code from its own repository: read it, then use --trust-remote-code."
        )
    with one_line(source.given):
        if kind == "baichuan":
            model, own = read_baichuan(local_folder(source, FILES, revision), raw, place.arguments())
            tokenizer = read_tokenizer(tokenizer, remote) if tokenizer else own
        else:
            model = _read_weights(source, raw, remote, place)
            tokenizer = read_tokenizer(tokenizer or source.path, remote)
    sight, ear = _Sense(), _Sense()
    if sees(raw):
        sight = _Sense.made(lambda: read_sight(source.path, model.config, tokenizer, remote))
    if kind == "salmonn":
        ear = _Sense.made(lambda: _salmonn_ear(local_folder(source, ["*.json"], revision), model.config))
    elif hears(raw):
        ear = _Sense.made(lambda: read_ear(source.path, model.config, tokenizer, remote))
    commit = getattr(model.config, "_commit_hash", None) or revision or ""
    return _adapter(model, tokenizer, sight, ear, name=source.name, model_id=source.given, revision=commit)


def _from_parts(source: Source, tokenizer: Any, place: Place) -> Adapter:
    """SALMONN from its published files."""
    from semhub.models.salmonn_files import read_salmonn

    assert source.salmonn is not None
    with one_line(source.given):
        model, own, ear = read_salmonn(source.salmonn, place.arguments())
        tokenizer = read_tokenizer(tokenizer, {}) if tokenizer else own
    return _adapter(model, tokenizer, _Sense(), _Sense(ear), name=source.name, model_id=source.given)


def _salmonn_ear(folder: Path, config: Any) -> Ear:
    from semhub.models.salmonn_ear import SalmonnEar

    return SalmonnEar.read(folder, config)


@dataclass(frozen=True, slots=True)
class _Sense:
    """A Sight or an Ear, or in words why there is none: the model's text can still be read."""

    found: Any = None
    missing: str = ""

    @classmethod
    def made(cls, make: Callable[[], Sight | Ear]) -> _Sense:
        try:
            return cls(make())
        except Exception as error:  # of a processor's library as much as of ours
            reason = " ".join(line.strip() for line in str(error).strip().split("\n")[:2])
            return cls(None, f"{type(error).__name__}: {reason[:300]}")


def _from_memory(model: Any, tokenizer: Any, image_processor: Any, feature_extractor: Any) -> Adapter:
    from transformers import PreTrainedModel

    if not isinstance(model, PreTrainedModel):
        raise ModelError(
            f"{type(model).__name__} is not a transformers model: give a Hub id, a folder or a PreTrainedModel "
            "(merge adapters into it first)."
        )
    kind, raw = type(model).__name__, model.config.to_dict()
    refuse_other_kinds(kind, {**raw, "architectures": [kind]})
    if tokenizer is None:
        raise UsageError("a model in memory needs its tokenizer: load(model, tokenizer).")
    if isinstance(tokenizer, (str, Path)):
        with one_line(str(tokenizer)):
            tokenizer = read_tokenizer(str(tokenizer), {})
    sight, ear = _Sense(), _Sense()
    if image_processor is not None:
        sight = _Sense.made(lambda: make_sight(model.config, tokenizer, image_processor))
    elif sees(raw):
        sight = _Sense(None, "no image processor was given: load(model, tokenizer, image_processor=...).")
    if isinstance(feature_extractor, Ear):
        ear = _Sense(feature_extractor)
    elif feature_extractor is not None:
        ear = _Sense.made(lambda: make_ear(model.config, tokenizer, feature_extractor))
    elif hears(raw):
        ear = _Sense(None, "no feature extractor was given: load(model, tokenizer, feature_extractor=...).")
    return _adapter(model, tokenizer, sight, ear)


def _adapter(model: Any, tokenizer: Any, sight: _Sense, ear: _Sense, **names: str) -> Adapter:
    what = names.get("model_id") or type(model).__name__
    if bad := not_finite(model.named_parameters()):
        raise ModelError(f"{what}: {len(bad)} weight tensors hold NaN or infinity, the first is {bad[0]}.")
    with one_line(what):
        return DecoderAdapter(
            model,
            tokenizer,
            sight=sight.found,
            blind=sight.missing,
            ear=ear.found,
            deaf=ear.missing,
            **names,
        )


def _read_weights(source: Source, raw: dict[str, Any], remote: dict[str, Any], place: Place) -> Any:
    kind, config = _model_class(source, raw, remote)
    model, info = kind.from_pretrained(
        source.path, config=config, output_loading_info=True, **remote, **place.arguments()
    )
    missing = sorted(map(str, info["missing_keys"])) + sorted(map(str, info["mismatched_keys"]))
    if missing:
        raise ModelError(
            f"{source.given}: the checkpoint lacks {len(missing)} tensors of {type(model).__name__} or holds them in "
            f"another shape, the first is {missing[0]}."
        )
    return model


def _model_class(source: Source, raw: dict[str, Any], remote: dict[str, Any]) -> tuple[Any, Any]:
    """The class that reads the weights, and its configuration."""
    import transformers

    kind = str(raw.get("model_type"))
    if kind == "salmonn":
        from semhub.models.salmonn import SalmonnConfig, SalmonnForConditionalGeneration

        return SalmonnForConditionalGeneration, SalmonnConfig.from_pretrained(source.path, **remote)
    if kind in HEARING_CLASSES:
        found = getattr(transformers, HEARING_CLASSES[kind])
        return found, found.config_class.from_pretrained(source.path, **remote)
    config = transformers.AutoConfig.from_pretrained(source.path, **remote)
    seeing = transformers.AutoModelForImageTextToText
    return seeing if sees(raw) else transformers.AutoModelForCausalLM, config


def read_tokenizer(tokenizer: Any, remote: dict[str, Any]) -> Any:
    """The tokenizer at a path or id. One saved without a class of its own is taken from its tokenizer.json as it
    is: the library would rebuild it after the model's type, with other tokens."""
    from transformers import AutoTokenizer, PreTrainedTokenizerFast
    from transformers.models.auto.tokenization_auto import get_tokenizer_config

    if not isinstance(tokenizer, (str, Path)):
        return tokenizer
    revision = {"revision": remote.get("revision")}
    if get_tokenizer_config(tokenizer, **revision).get("tokenizer_class") in PLAIN_TOKENIZERS:
        return PreTrainedTokenizerFast.from_pretrained(tokenizer, **revision)
    return AutoTokenizer.from_pretrained(tokenizer, **remote)


@dataclass(frozen=True, slots=True)
class Place:
    """Where the weights go, in which dtype: what `from_pretrained` is told."""

    device: str
    dtype: torch.dtype | str
    device_map: Any
    quantization: str | None

    @classmethod
    def of(cls, device: str, dtype: str | torch.dtype, device_map: Any, quantization: str | None) -> Place:
        """Raises UsageError for an unknown device, dtype or quantisation, ModelError where a library is missing."""
        if device == "auto":
            device = (
                "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
            )
        try:
            torch.empty(0, device=device)
        except (RuntimeError, AssertionError) as error:
            reason = str(error).split("\n")[0]
            raise UsageError(f"device {device!r} is not usable here: {reason}") from error
        if quantization not in (None, "8bit", "4bit"):
            raise UsageError(f"quantization is '8bit' or '4bit', not {quantization!r}.")
        if quantization and importlib.util.find_spec("bitsandbytes") is None:
            raise ModelError(f"{quantization} needs the library bitsandbytes: pip install bitsandbytes.")
        if isinstance(dtype, str):
            if dtype not in DTYPES:
                raise UsageError(f"dtype is one of auto, {', '.join(DTYPES[1:])}, not {dtype!r}.")
            if dtype == "auto":
                dtype = (
                    torch.float32 if device == "cpu" and device_map is None and not quantization else "auto"
                )
            else:
                dtype = getattr(torch, dtype)
        return cls(device, dtype, device_map, quantization)

    def arguments(self) -> dict[str, Any]:
        arguments: dict[str, Any] = {"dtype": self.dtype}
        if self.device_map is not None:
            arguments["device_map"] = self.device_map
        elif self.device != "cpu":
            arguments["device_map"] = {"": self.device}
        if self.quantization:
            from transformers import BitsAndBytesConfig

            eight = self.quantization == "8bit"
            arguments["quantization_config"] = BitsAndBytesConfig(load_in_8bit=eight, load_in_4bit=not eight)
        return arguments


OWN = ("baichuan", "salmonn")  # read by code of this project
PLAIN_TOKENIZERS = ("TokenizersBackend", "PreTrainedTokenizerFast")
DTYPES = ("auto", "float32", "bfloat16", "float16", "float64")


def known_type(model_type: str) -> bool:
    from transformers import CONFIG_MAPPING

    return model_type in CONFIG_MAPPING


@contextmanager
def one_line(what: str) -> Iterator[None]:
    """Whatever the libraries raise while they load `what` becomes one ModelError."""
    try:
        yield
    except SemhubError:
        raise
    except Exception as error:
        reason = " ".join(line.strip() for line in str(error).strip().split("\n")[:2])
        raise ModelError(f"{what} cannot be loaded: {type(error).__name__}: {reason[:300]}") from error


@contextmanager
def quiet() -> Iterator[None]:
    """No progress bars and no advice from the libraries: what matters is checked and raised here."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
