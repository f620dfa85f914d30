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

from semhub.models.past import Past
from semhub.types import Content


@dataclass(frozen=True, slots=True)
class Encoded:
    """One content as tokens, on the host.

    offsets: for each token its characters [start, end) in `content.text`, without the spaces before a word;
    None for a special token. Tokens that are bytes of one character all carry that character's span.
    """

    ids: tuple[int, ...]
    offsets: tuple[tuple[int, int] | None, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Inputs:
    """A padded batch on the device: ids, mask and position_ids [content, position]; mask is True on real tokens.

    With a past, ids and position_ids are of the new columns alone, and mask is of the past's columns and of these.
    """

    ids: Tensor
    mask: Tensor
    position_ids: Tensor
    lengths: tuple[int, ...]
    padding: str


@dataclass(frozen=True, slots=True, eq=False)
class Unembedding:
    """What turns normed states into logits: weight [vocab, d_model], bias [vocab] or none.

    logits = cap(scale * (x @ weight.T + bias)), cap(z) = softcap * tanh(z / softcap), or z without a softcap.
    """

    weight: Tensor
    bias: Tensor | None = None
    scale: float = 1.0
    softcap: float | None = None

    def finish(self, projected: Tensor) -> Tensor:
        """Scale and softcap of `x @ weight.T + bias`, elementwise."""
        scaled = projected if self.scale == 1.0 else projected * self.scale
        return scaled if self.softcap is None else torch.tanh(scaled / self.softcap) * self.softcap

    def logits(self, normed: Tensor) -> Tensor:
        """normed [..., d_model] -> logits [..., vocab], in the dtype of the weight."""
        return self.finish(nn.functional.linear(normed.to(self.weight), self.weight, self.bias))


class Adapter(ABC):
    """One loaded model with its tokenizer.

    `n_tokens`: ids below it are known to the tokenizer; `vocab_size` counts the rows of the unembedding, which may
    be padded beyond it. `max_positions` is None where positions have no end. `running` is the batch of the
    forward pass under way, for the hooks that need to know it. `end_ids`: tokens that end a generated text.
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

    @abstractmethod
    def encode(self, contents: Sequence[Content], special_tokens: bool = True) -> list[Encoded]:
        """Tokens of each content. Raises DataError on an empty content or one longer than `max_positions`."""

    @abstractmethod
    def collate(self, encoded: Sequence[Encoded], padding: str = "right") -> Inputs:
        """One padded batch on the device; padding is `right` (reading) or `left` (generating)."""

    @abstractmethod
    def forward(self, inputs: Inputs, past: Past | None = None) -> None:
        """Runs the trunk in inference mode; the unembedding is not computed, hooks read what they need.

        past: what was read before; it grows by the columns of `inputs`, which are padded on the left.
        """

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
