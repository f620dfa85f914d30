"""Directions as data: what steering adds, made from texts or words, kept in a file that says where it comes from.

Two formats: safetensors with the origin as metadata, and control vectors of repeng and llama.cpp (`.gguf`, gguf.py).
Sources: Turner et al., "Activation addition" (arXiv 2308.10248) for differences of texts; Wu et al. (arXiv 2411.04986)
for differences of unembedding rows.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from semhub.capture import capture_all
from semhub.errors import DataError, ModelError, UsageError
from semhub.gguf import MAX_BYTES, control_vector_bytes, read_bytes, read_control_vector
from semhub.models.base import Adapter
from semhub.types import Content

FORMAT = "semhub.directions/1"
OWN = {"format", "layers"}  # metadata of the file itself; the rest is provenance
Texts = str | Sequence[str] | None


@dataclass(frozen=True, slots=True, eq=False)
class Directions:
    """One vector for each of some layers: vectors [layer, d_model] float32 on the host; layers ascend, 0 the embedding.

    provenance: where it comes from (model, weights, texts, position, version ...), as text.
    Raises DataError for vectors that are not finite, and for shapes that do not fit together.
    """

    vectors: Tensor
    layers: tuple[int, ...]
    provenance: dict[str, str]

    def __post_init__(self) -> None:
        shape, layers = tuple(self.vectors.shape), self.layers
        if self.vectors.ndim != 2 or not self.vectors.numel() or self.vectors.dtype != torch.float32:
            raise DataError(
                f"directions are [layer, d_model] in float32, not {shape} in {self.vectors.dtype}."
            )
        if len(layers) != shape[0] or layers[0] < 0 or list(layers) != sorted(set(layers)):
            raise DataError(
                f"{shape[0]} directions need as many layers, ascending from 0, not {list(layers)[:20]}."
            )
        if not bool(self.vectors.isfinite().all()):
            raise DataError("the directions hold NaN or infinity.")

    def at(self, layer: int, adapter: Adapter) -> Tensor:
        """The vector [d_model] of a layer, for this model. Raises UsageError if there is none or of another size."""
        if self.vectors.shape[1] != adapter.d_model:
            raise UsageError(
                f"the direction has {self.vectors.shape[1]} dimensions, {adapter.name} has {adapter.d_model}: "
                "it was made for another model."
            )
        if layer not in self.layers:
            known = ", ".join(map(str, self.layers))
            raise UsageError(f"the direction has no layer {layer}; there are {known}.")
        return self.vectors[self.layers.index(layer)]

    def sized(self, lengths: Tensor) -> Directions:
        """The same directions with the Euclidean lengths [layer]; a vector of zeros stays."""
        norms = self.vectors.norm(dim=-1, keepdim=True)
        unit = self.vectors / norms.masked_fill(norms == 0, 1)
        return replace(self, vectors=unit * lengths.to(unit)[:, None])

    def identified(self, adapter: Adapter) -> Directions:
        """With the model's revision, or if it has none the SHA-256 of its weights (which takes time)."""
        found = (
            {"revision": adapter.revision}
            if adapter.revision
            else {"weights_sha256": adapter.weights_sha256()}
        )
        return replace(self, provenance={**self.provenance, **found})

    def save(self, path: str | Path) -> None:
        """Writes `.safetensors`, or `.gguf` for repeng and llama.cpp; under a temporary name first, then renamed.

        GGUF counts blocks from 0: our layer l, the state after the l-th block, is its `direction.{l - 1}`. Layer 0 has
        no number there, and llama.cpp refuses `direction.0`: layers 0 and 1 are left out of `.gguf` files.
        Raises UsageError for another ending, nothing left to write, or a place that cannot be written.
        """
        path = Path(path)
        if path.suffix == ".safetensors":
            layers = ",".join(map(str, self.layers))
            metadata = {**self.provenance, "format": FORMAT, "layers": layers}
            raw = save_tensors({"vectors": self.vectors.contiguous()}, metadata)
        elif path.suffix == ".gguf":
            blocks = {
                layer - 1: vector.numpy()
                for layer, vector in zip(self.layers, self.vectors, strict=True)
                if layer > 1
            }
            if not blocks:
                raise UsageError(f"{path}: GGUF holds directions of layer 2 and above; save as .safetensors.")
            keys = {f"semhub.{name}": value for name, value in self.provenance.items()}
            raw = control_vector_bytes(blocks, _hint(self.provenance), keys)
        else:
            raise UsageError(f"{path}: directions are saved as .safetensors or .gguf.")
        _write(path, raw)

    @classmethod
    def load(cls, path: str | Path) -> Directions:
        """What `save` wrote, or repeng's GGUF (its layer i is our i + 1). Raises DataError for anything else."""
        path = Path(path)
        if path.suffix not in (".safetensors", ".gguf"):
            raise DataError(f"{path}: a direction is a .safetensors or .gguf file.")
        try:
            return _from_gguf(path) if path.suffix == ".gguf" else _from_safetensors(path)
        except DataError as error:
            known = str(error).startswith(str(path))
            raise error if known else DataError(f"{path}: {error}") from error


def from_texts(
    adapter: Adapter,
    add: Texts = None,
    sub: Texts = None,
    position: int = -1,
    layers: Sequence[int] | None = None,
    *,
    identify: bool = True,
) -> Directions:
    """The mean state of the texts `add` less that of `sub`, each at `position` of its tokens, for every layer.

    add, sub: one text or many (contrasting pairs give the mean of their differences); one side may be left out, then
    it is zero. layers: all by default. identify: also say which weights the model has.
    Raises UsageError for no text at all and a position or layer out of range, DataError for an empty text.
    """
    sides = [_listed(add), _listed(sub)]
    texts = [text for side in sides for text in side]
    _need(texts)
    encoded = adapter.encode([Content.of(text) for text in texts])
    states = capture_all(adapter, encoded, [[position]] * len(texts), layers=layers)
    split = len(sides[0])
    vectors = torch.zeros(len(states.layers), adapter.d_model)
    if sides[0]:
        vectors += states.values[:, :split].mean(dim=1)
    if sides[1]:
        vectors -= states.values[:, split:].mean(dim=1)
    if not bool(vectors.isfinite().all()):
        raise ModelError(f"{adapter.name} gives states that are NaN or infinite: load it with another dtype.")
    origin = {"kind": "texts", "position": str(position), **_origin(adapter, *sides)}
    return _identified(Directions(vectors, states.layers, origin), adapter, identify)


def from_words(
    adapter: Adapter, add: Texts = None, sub: Texts = None, *, identify: bool = True
) -> Directions:
    """The unembedding rows of the words `add` less those of `sub`, the same for every layer.

    A word's row is the mean over its single-token forms (with and without a leading space); of several words the mean.
    The length is that of the rows: `sized` gives another. Raises UsageError for a word that is no single token.
    """
    sides = [_listed(add), _listed(sub)]
    _need([*sides[0], *sides[1]])
    vector = torch.zeros(adapter.d_model)
    for sign, words in zip((1.0, -1.0), sides, strict=True):
        if words:
            vector += sign * torch.stack([_row(adapter, word) for word in words]).mean(dim=0)
    layers = tuple(range(adapter.n_layers + 1))
    origin = {"kind": "words", **_origin(adapter, *sides)}
    return _identified(Directions(vector.repeat(len(layers), 1), layers, origin), adapter, identify)


def _row(adapter: Adapter, word: str) -> Tensor:
    forms = adapter.word_forms(word)
    if not forms:
        raise UsageError(
            f"the word {word!r} is no single token of {adapter.name}: choose another, or steer by texts."
        )
    weight = adapter.unembedding.weight
    return weight[torch.tensor(forms, device=weight.device)].detach().float().mean(dim=0).cpu()


def _listed(texts: Texts) -> list[str]:
    return [] if texts is None else [texts] if isinstance(texts, str) else list(texts)


def check_unicode(text: str) -> None:
    """Raises DataError for a text with halves of characters, as bytes that are no UTF-8 become on the command line."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise DataError(f"the text {text[:40]!r} is not valid Unicode.") from error


def _need(texts: Sequence[str]) -> None:
    if not texts:
        raise UsageError("a direction needs something to add or to subtract.")
    for text in texts:
        if not isinstance(text, str) or not text.strip():
            raise DataError(f"a direction is made of texts that are not empty, not {text!r}.")
        check_unicode(text)


def _origin(adapter: Adapter, add: Sequence[str], sub: Sequence[str]) -> dict[str, str]:
    return {
        "model": adapter.model_id,
        "architecture": adapter.architecture,
        "add": json.dumps(list(add)),
        "sub": json.dumps(list(sub)),
        "semhub": version("semhub"),
    }


def _identified(directions: Directions, adapter: Adapter, wanted: bool) -> Directions:
    return directions.identified(adapter) if wanted else directions


def _hint(provenance: Mapping[str, str]) -> str:
    """The model's type in repeng's words, as far as its class tells it: LlamaForCausalLM is `llama`."""
    kind = re.sub(
        r"(ForCausalLM|LMHeadModel|ForConditionalGeneration)$", "", provenance.get("architecture", "")
    )
    return kind.lower() or provenance.get("model_hint", "unknown")


def _write(path: Path, raw: bytes) -> None:
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        try:
            temporary.write_bytes(raw)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror or error}.") from error


def _from_safetensors(path: Path) -> Directions:
    raw = read_bytes(path, MAX_BYTES)
    try:
        tensors = load_tensors(raw)
        size = int.from_bytes(raw[:8], "little")  # the library's reader has accepted the header by now
        metadata = json.loads(raw[8 : 8 + size]).get("__metadata__") or {}
    except (SafetensorError, ValueError, KeyError, TypeError, RuntimeError, RecursionError) as error:
        raise DataError(f"{path} is no safetensors file: {str(error).splitlines()[0][:100]}.") from error
    if set(tensors) != {"vectors"} or metadata.get("format") != FORMAT:
        found = ", ".join(map(repr, sorted(tensors)[:3])) or "no tensor"
        raise DataError(
            f"{path} holds {found}, not directions that semhub saved ('vectors', format {FORMAT})."
        )
    named = str(metadata.get("layers", ""))
    if not re.fullmatch(r"[0-9]{1,5}(,[0-9]{1,5}){0,9999}", named):
        raise DataError(f"{path}: the layers {named[:40]!r} are no list of numbers.")
    layers = tuple(int(one) for one in named.split(","))
    provenance = {name: str(value) for name, value in metadata.items() if name not in OWN}
    return Directions(tensors["vectors"], layers, provenance)


def _from_gguf(path: Path) -> Directions:
    blocks, keys = read_control_vector(path)
    vectors = torch.stack([torch.from_numpy(vector) for vector in blocks.values()])
    provenance = {
        name.removeprefix("semhub."): text for name, text in keys.items() if name.startswith("semhub.")
    }
    provenance["model_hint"] = keys["controlvector.model_hint"]
    return Directions(vectors, tuple(block + 1 for block in blocks), provenance)
