"""The adapter: all that measures, lens and steering know of a model.

Layer l: 0 is what enters the first block (embedding scale, norm and position already applied), l is the
residual stream after block l; the final norm is not applied. Reading and writing use the same index.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from semhub.models.inputs import Encoded, Entered, Grid, Heard, Inputs, Shown, UnknownGrid
from semhub.models.memory import out_of_memory, release
from semhub.models.past import Past
from semhub.types import Area, Content

__all__ = [
    "Adapter",
    "Encoded",
    "Entered",
    "Grid",
    "Heard",
    "Inputs",
    "Shown",
    "Unembedding",
    "UnknownGrid",
    "out_of_memory",
    "release",
]


@dataclass(frozen=True, slots=True, eq=False)
class Unembedding:
    """What turns normed states into logits: weight [vocab, d_model], bias [vocab] or none.

    logits = cap(scale * (x @ weight.T + bias)), cap(z) = softcap * tanh(z / softcap), or z without a softcap.
    masked: ascending ids that the model never says (a picture's tokens); their logit is the lowest of the dtype.
    """

    weight: Tensor
    bias: Tensor | None = None
    scale: float = 1.0
    softcap: float | None = None
    masked: Tensor | None = None

    def finish(self, projected: Tensor) -> Tensor:
        """Scale and softcap of `x @ weight.T + bias`, elementwise."""
        scaled = projected if self.scale == 1.0 else projected * self.scale
        return scaled if self.softcap is None else torch.tanh(scaled / self.softcap) * self.softcap

    def logits(self, normed: Tensor) -> Tensor:
        """normed [..., d_model] -> logits [..., vocab], in the dtype of the weight."""
        return self.hide(self.finish(nn.functional.linear(normed.to(self.weight), self.weight, self.bias)))

    def hide(self, logits: Tensor, start: int = 0) -> Tensor:
        """Masks logits [..., token] of the ids from `start` on, in place."""
        if self.masked is None:
            return logits
        inside = (self.masked >= start) & (self.masked < start + logits.shape[-1])
        columns = (self.masked[inside] - start).to(logits.device)
        return logits.index_fill_(-1, columns, torch.finfo(logits.dtype).min)


class Adapter(ABC):
    """One loaded model with its tokenizer.

    `n_tokens`: ids below it are known to the tokenizer; `vocab_size` counts the rows of the unembedding, which may
    be padded beyond it. `max_positions` is None where positions have no end. `running` is the batch of the
    forward pass under way, for the hooks that need to know it. `end_ids`: tokens that end a generated text.
    `takes`: "text", "image" where contents may hold pictures, and "audio" where they may hold sounds.
    """

    name: str
    model_id: str
    revision: str
    architecture: str
    n_layers: int
    d_model: int
    n_tokens: int
    vocab_size: int
    n_parameters: int
    max_positions: int | None
    special_ids: frozenset[int]
    end_ids: frozenset[int]
    device: torch.device
    dtype: torch.dtype
    attention: str
    quantization: str | None
    blocks: tuple[nn.Module, ...]
    unembedding: Unembedding
    running: Inputs | None
    visits: int  # of its layers that are open (models/sites.py): while any is, every pass runs all blocks
    takes: frozenset[str]

    @abstractmethod
    def encode(self, contents: Sequence[Content], special_tokens: bool = True) -> list[Encoded]:
        """Tokens of each content. Raises DataError on an empty content or one longer than `max_positions`, and on a
        picture or a sound that is broken or that the model does not take."""

    @abstractmethod
    def area(self, encoded: Encoded, area: Area) -> tuple[int, ...]:
        """The positions of a picture or a sound, ascending; with a mask, of the picture's cells more than half inside.

        The mask is resampled as the picture is. Raises UnknownGrid for a mask where `grid` is None, DataError for a
        mask of another size than the picture, a mask of a sound, or a character that is neither.
        """

    @abstractmethod
    def grid(self, encoded: Encoded, at: int) -> Grid | None:
        """The cells of the picture at the character `at`, of the crop that shows it whole; None where not known."""

    @abstractmethod
    def times(self, encoded: Encoded, at: int) -> tuple[tuple[float, float], ...] | None:
        """For each position of the sound at the character `at`, the window (start, end) of the clip that it carries.

        In seconds; windows may overlap, and run past the clip's end where it is filled up. None where not known.
        Raises DataError for a character that is no sound.
        """

    @abstractmethod
    def collate(self, encoded: Sequence[Encoded], padding: str = "right") -> Inputs:
        """One padded batch on the device; padding is `right` (reading) or `left` (generating)."""

    @abstractmethod
    def forward(self, inputs: Inputs, past: Past | None = None) -> None:
        """Runs the trunk in inference mode; the unembedding is not computed, hooks read what they need.

        past: what was read before; it grows by the columns of `inputs`, which are padded on the left.
        """

    @abstractmethod
    def entered(self, inputs: Inputs, layer: int = 0, past: Past | None = None) -> Entered | None:
        """The batch as its states of `layer` (models/entered.py), its pictures and sounds taken in. past: of the
        columns before, which stays as it is.

        None at layer 0 where there are no pictures and sounds, for a model of which later blocks are given more than
        these states, and while anything else visits its states.
        """

    @property
    @abstractmethod
    def returned_by_blocks(self) -> int:
        """How many values a block returns, the states first; 0 for the bare states."""

    @abstractmethod
    def no_past(self) -> Past | None:
        """The past of a batch that nothing was read of; None for a model whose past cannot be relied on."""

    @abstractmethod
    def continuation(self, before: Sequence[int], tokens: Sequence[int]) -> str:
        """What `tokens` spell after the tokens `before`; special tokens are left out."""

    @abstractmethod
    def logits(self, inputs: Inputs) -> Tensor:
        """The model's own output [content, position, vocab]; for self-checks."""

    @abstractmethod
    def hidden_states(self, inputs: Inputs) -> tuple[Tensor, ...]:
        """The model's own `output_hidden_states`, each [content, position, d_model]; for self-checks."""

    @abstractmethod
    def head_response(self, projected: Tensor) -> Tensor:
        """What the model itself makes of `x @ weight.T + bias` = projected [vocab]: logits [vocab]; for self-checks."""

    @abstractmethod
    def weights(self) -> Iterator[tuple[str, Tensor]]:
        """Every parameter with its name."""

    @abstractmethod
    def final_norm(self, states: Tensor) -> Tensor:
        """states [row, d_model] of layer L -> what the unembedding reads, [row, d_model] in the model's dtype."""

    @abstractmethod
    def word_forms(self, word: str) -> tuple[int, ...]:
        """Ids that spell `word` as one token, with or without a leading space, as the tokenizer writes them."""

    @abstractmethod
    def token_text(self, token: int) -> str:
        """What one token spells: a leading space is kept, bytes that are no text are shown as ⟨E4⟩."""

    @abstractmethod
    def twin(self, seed: int, keep_embeddings: bool = False) -> Adapter:
        """A model of the same configuration and tokenizer with newly initialised weights.

        keep_embeddings: the trained input and output embeddings are copied over. The initialisation is the
        model class's own, from `seed` alone. Raises ModelError for a quantised model.
        """

    @abstractmethod
    def weights_sha256(self) -> str:
        """SHA-256 over the names, shapes and bytes of the loaded weights."""
