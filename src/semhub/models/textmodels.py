"""Models that score texts: sequence classifiers, and encoders whose states are averaged into one vector.

Loaded as every model here is: from a folder or the Hub, weights from safetensors or through `weights_only`, and no
code from a model's repository. Texts longer than a model's positions are cut at its end.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from semhub.errors import ModelError
from semhub.models.loading import Place, known_type, one_line, quiet, read_tokenizer
from semhub.models.sources import Source, read_config, refuse_without_weights, resolve
from semhub.models.weights import not_finite, sha256

Floats = NDArray[np.float64]
BATCH_TOKENS = 4096
LONGEST = 1_000_000  # a tokenizer that names a longer limit has none
SHIFTED = ("roberta", "xlm-roberta", "xlm-roberta-xl", "camembert", "longformer", "mpnet")
UNUSED = (
    "pooler.",
    "position_ids",
)  # absent from checkpoints of encoders, and not needed for a mean of states


@dataclass(frozen=True, slots=True, eq=False)
class TextModel:
    """A model with its tokenizer. name, revision, weights_sha256: for the record."""

    name: str
    revision: str
    weights_sha256: str
    model: Any
    tokenizer: Any
    longest: int | None
    pad: int | None
    batch_tokens: int = BATCH_TOKENS

    def batches(self, texts: Sequence[str]) -> Iterator[tuple[list[int], Any, Tensor]]:
        """(which texts, the model's output, mask [text, position]) of right-padded batches, longest first.

        Without a padding token each text is a batch of its own.
        """
        ids = self._encode(texts)
        pending = sorted(range(len(ids)), key=lambda i: (-len(ids[i]), i))
        while pending:
            width = len(ids[pending[0]])
            chosen = pending[: 1 if self.pad is None else max(1, self.batch_tokens // width)]
            pending = pending[len(chosen) :]
            try:
                found = self._run([ids[i] for i in chosen])
            except torch.OutOfMemoryError as error:
                raise ModelError(
                    f"out of memory on {len(chosen)} texts of {width} tokens under {self.name}."
                ) from error
            yield chosen, *found

    def _encode(self, texts: Sequence[str]) -> list[list[int]]:
        options: dict[str, Any] = {"truncation": self.longest is not None, "max_length": self.longest}
        with quiet():
            out = self.tokenizer(list(texts), padding=False, verbose=False, **options)["input_ids"]
        found = [list(map(int, one)) for one in out]
        if any(not one for one in found):
            raise ModelError(f"the tokenizer of {self.name} makes no token of a text.")
        rows = self.model.get_input_embeddings().num_embeddings
        if (largest := max((max(one) for one in found), default=0)) >= rows:
            raise ModelError(
                f"the tokenizer of {self.name} writes id {largest}, the model has {rows} embeddings."
            )
        return found

    def _run(self, ids: list[list[int]]) -> tuple[Any, Tensor]:
        width = max(map(len, ids))
        mask = torch.tensor([[1] * len(one) + [0] * (width - len(one)) for one in ids])
        filled = torch.tensor([one + [self.pad or 0] * (width - len(one)) for one in ids])
        device = self.model.device
        with torch.inference_mode():
            out = self.model(input_ids=filled.to(device), attention_mask=mask.to(device))
        return out, mask


@dataclass(frozen=True, slots=True, eq=False)
class Classifier:
    """A sequence classification model with a class for each label."""

    text_model: TextModel
    labels: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.text_model.name

    def probabilities(self, texts: Sequence[str]) -> Floats:
        """[text, label]."""
        out = np.empty((len(texts), len(self.labels)))
        for which, found, _ in self.text_model.batches(texts):
            out[which] = found.logits.double().softmax(-1).cpu().numpy()
        return out


@dataclass(frozen=True, slots=True, eq=False)
class Encoder:
    """Any model with hidden states; a text is the mean of its last layer's states."""

    text_model: TextModel

    @property
    def name(self) -> str:
        return self.text_model.name

    def embed(self, texts: Sequence[str]) -> Floats:
        """[text, d_model]."""
        parts: dict[int, Floats] = {}
        for which, found, mask in self.text_model.batches(texts):
            states = found.last_hidden_state.double()
            weights = mask.to(states)[..., None]
            means = ((states * weights).sum(1) / weights.sum(1)).cpu().numpy()
            parts.update(zip(which, means, strict=True))
        return np.stack([parts[i] for i in range(len(texts))])


def load_classifier(model: str, *, device: str = "auto", dtype: str = "auto") -> Classifier:
    """Raises ModelError for what is no readable sequence classifier, one with a single output included."""
    from transformers import AutoModelForSequenceClassification

    found = _load(AutoModelForSequenceClassification, model, device, dtype, ())
    names = found.model.config.id2label
    labels = tuple(str(names[i]) for i in sorted(names))
    if len(labels) < 2 or found.model.config.problem_type in ("regression", "multi_label_classification"):
        raise ModelError(f"{model} gives no probabilities of classes that exclude each other.")
    return Classifier(found, labels)


def load_encoder(model: str, *, device: str = "auto", dtype: str = "auto") -> Encoder:
    """Raises ModelError for what is no readable model with hidden states of text."""
    from transformers import AutoModel

    found = _load(AutoModel, model, device, dtype, UNUSED)
    if getattr(found.model.config, "is_encoder_decoder", False):
        raise ModelError(f"{model} is an encoder-decoder: give its encoder, or an encoder of sentences.")
    return Encoder(found)


def _load(kind: Any, name: str, device: str, dtype: str, unneeded: Sequence[str]) -> TextModel:
    source = resolve(name)
    raw = read_config(source, None)
    architectures = raw.get("architectures") or [""]
    if kind.__name__.endswith("SequenceClassification") and "SequenceClassification" not in str(
        architectures[0]
    ):
        raise ModelError(f"{name} is a {architectures[0] or 'model'}, not a sequence classification model.")
    refuse_without_weights(source)
    if not known_type(str(raw.get("model_type"))):
        raise ModelError(f"{name} needs code from its own repository, which scorers do not run.")
    with quiet(), one_line(name):
        return _read(kind, source, Place.of(device, dtype, None, None), unneeded)


def _read(kind: Any, source: Source, place: Place, unneeded: Sequence[str]) -> TextModel:
    model, info = kind.from_pretrained(
        source.path, output_loading_info=True, trust_remote_code=False, **place.arguments()
    )
    absent = sorted(map(str, [*info["missing_keys"], *info["mismatched_keys"]]))
    missing = [one for one in absent if not any(part in one for part in unneeded)]
    if missing:
        raise ModelError(
            f"{source.given}: the checkpoint lacks {len(missing)} tensors of {type(model).__name__} or holds them in "
            f"another shape, the first is {missing[0]}."
        )
    absent_too = set(absent)
    kept = [(key, weight) for key, weight in model.named_parameters() if key not in absent_too]
    if bad := not_finite(kept):
        raise ModelError(
            f"{source.given}: {len(bad)} weight tensors hold NaN or infinity, the first is {bad[0]}."
        )
    tokenizer = read_tokenizer(source.path, {"trust_remote_code": False})
    config = model.config
    pad = getattr(config, "pad_token_id", None)
    return TextModel(
        name=source.given,
        revision=str(getattr(config, "_commit_hash", None) or ""),
        weights_sha256=sha256(kept),
        model=model.eval(),
        tokenizer=tokenizer,
        longest=_longest(config, tokenizer),
        pad=pad if isinstance(pad, int) and pad >= 0 else None,
    )


def _longest(config: Any, tokenizer: Any) -> int | None:
    """Tokens of a text at most; None where neither model nor tokenizer sets a limit."""
    limits = [int(getattr(tokenizer, "model_max_length", None) or LONGEST)]
    positions = getattr(config, "max_position_embeddings", None)
    if isinstance(positions, int) and positions > 0:
        shifted = config.model_type in SHIFTED
        limits.append(positions - (config.pad_token_id or 0) - 1 if shifted else positions)
    return min(limits) if min(limits) < LONGEST else None
