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
from semhub.models.processors import make_sight, read_sight
from semhub.models.sources import (
    Source,
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
) -> Adapter:
    """The adapter of a decoder, or of a vision-language model, self-checked.

    model: a Hub id, a folder, the name of a shipped organism, or a `transformers` model in memory (then with its
    tokenizer). tokenizer: the model's own if left out, else a tokenizer or where one lies. device: "auto" takes
    the accelerator if there is one. dtype: "auto" is the checkpoint's own on an accelerator and float32 on the
    CPU. device_map: as in `from_pretrained`, instead of a device. quantization: "8bit" or "4bit" (bitsandbytes).
    image_processor: of a vision-language model in memory, which takes text alone without it; one that is read from
    a folder or the Hub brings its own.
    Weights come from safetensors, or from .bin files through `torch.load(weights_only=True)`; code from a model's
    repository runs only with trust_remote_code. Raises UsageError for an option out of range, ModelError for
    anything that is no readable decoder, and SelfCheckError naming the first check that failed.
    """
    with quiet():
        if isinstance(model, (str, Path)):
            place = Place.of(device, dtype, device_map, quantization)
            adapter = _from_source(resolve(str(model)), tokenizer, revision, trust_remote_code, place)
        else:
            adapter = _from_memory(model, tokenizer, image_processor)
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
    raw = read_config(source, revision)
    refuse_other_kinds(source.given, raw)
    refuse_without_weights(source)
    remote = {"revision": revision, "trust_remote_code": trust_remote_code}
    baichuan = raw.get("model_type") == "baichuan"
    if (
        "auto_map" in raw
        and not baichuan
        and not trust_remote_code
        and not known_type(str(raw.get("model_type")))
    ):
        raise ModelError(
            f"{source.given} needs code from its own repository: read it, then use --trust-remote-code."
        )
    sight, blind = None, ""
    with one_line(source.given):
        if baichuan:
            model, own = read_baichuan(local_folder(source, FILES, revision), raw, place.arguments())
            tokenizer = read_tokenizer(tokenizer, remote) if tokenizer else own
        else:
            model = _read_weights(source, remote, place, seeing=sees(raw))
            tokenizer = read_tokenizer(tokenizer or source.path, remote)
    if sees(raw):
        sight, blind = _sight(lambda: read_sight(source.path, model.config, tokenizer, remote))
    commit = getattr(model.config, "_commit_hash", None) or revision or ""
    names = {"name": source.name, "model_id": source.given, "revision": commit}
    return _adapter(model, tokenizer, sight, blind, **names)


def _sight(make: Callable[[], Sight]) -> tuple[Sight | None, str]:
    """How a model is shown pictures, or in words why it is not: its text can still be read."""
    try:
        return make(), ""
    except Exception as error:  # of an image processor's library as much as of ours
        reason = " ".join(line.strip() for line in str(error).strip().split("\n")[:2])
        return None, f"{type(error).__name__}: {reason[:300]}"


def _from_memory(model: Any, tokenizer: Any, image_processor: Any) -> Adapter:
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
    sight, blind = None, ""
    if image_processor is not None:
        sight, blind = _sight(lambda: make_sight(model.config, tokenizer, image_processor))
    elif sees(raw):
        blind = "no image processor was given: load(model, tokenizer, image_processor=...)."
    return _adapter(model, tokenizer, sight, blind)


def _adapter(model: Any, tokenizer: Any, sight: Sight | None, blind: str, **names: str) -> Adapter:
    what = names.get("model_id") or type(model).__name__
    if bad := not_finite(model.named_parameters()):
        raise ModelError(f"{what}: {len(bad)} weight tensors hold NaN or infinity, the first is {bad[0]}.")
    with one_line(what):
        return DecoderAdapter(model, tokenizer, sight=sight, blind=blind, **names)


def _read_weights(source: Source, remote: dict[str, Any], place: Place, seeing: bool) -> Any:
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForImageTextToText

    config = AutoConfig.from_pretrained(source.path, **remote)
    kind = AutoModelForImageTextToText if seeing else AutoModelForCausalLM
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
