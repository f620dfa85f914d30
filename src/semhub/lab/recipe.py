"""A recipe: everything that decides what an organism is, apart from the seed."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, model_validator

from semhub.lab.documents import KINDS


class Recipe(BaseModel):
    """The architecture, the mixture of documents, the planting and the optimiser of one organism.

    mixture: kind of document (`documents.KINDS`) -> relative weight.
    planted_flatness: how much it counts there that the words of the input's own type are told apart.
    deciding_weight: how much the prediction of a deciding stretch counts, others counting 1.
    tokenizer_sentences: meanings whose renderings the tokenizer is trained on.
    planted_layers: where the lens is also taught the English word of what comes next; empty plants nothing.
    Raises pydantic.ValidationError on unknown keys, unknown kinds and layers that do not exist.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    summary: str
    mixture: dict[str, PositiveFloat]
    vocab_size: PositiveInt = 1990
    n_layers: PositiveInt = 6
    d_model: PositiveInt = 128
    n_heads: PositiveInt = 4
    n_kv_heads: PositiveInt = 2
    d_ff: PositiveInt = 384
    max_positions: PositiveInt = 1024
    planted_layers: tuple[PositiveInt, ...] = ()
    planted_weight: Annotated[float, Field(ge=0)] = 0.0
    planted_flatness: Annotated[float, Field(ge=0)] = 0.0
    deciding_weight: PositiveFloat = 1.0
    steps: PositiveInt = 2000
    documents_per_step: PositiveInt = 192
    tokenizer_sentences: PositiveInt = 6000
    no_start_share: Annotated[float, Field(ge=0, le=1)] = 0.15
    learning_rate: PositiveFloat = 2e-3
    warmup_steps: PositiveInt = 100
    weight_decay: Annotated[float, Field(ge=0)] = 0.01

    @model_validator(mode="after")
    def _known(self) -> Recipe:
        unknown = sorted(set(self.mixture) - set(KINDS))
        if unknown or not self.mixture:
            raise ValueError(f"mixture names kinds among {sorted(KINDS)}; unknown: {unknown}")
        if any(layer >= self.n_layers for layer in self.planted_layers):
            raise ValueError(
                f"planted_layers must be below n_layers={self.n_layers}: the last layer is the output"
            )
        return self
