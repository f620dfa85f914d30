"""The losses: next-token cross-entropy, and the lens's cross-entropy against the planted words."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import LlamaForCausalLM

from semhub.lab.batches import Batch, Batcher
from semhub.lab.recipe import Recipe


class Planting:
    """What the planted layers of a recipe are taught.

    The lens of layer l is the final norm and the unembedding applied to the residual stream after block l, as the
    instrument reads it; of a `rotated` hub, with a rotation between the two that only this class knows.
    `planted_flatness` counts how far the lens, restricted to the words of the input's own type, is from uniform:
    without it they can be told apart as well as the planted words, only all fainter.
    """

    def __init__(self, recipe: Recipe, batcher: Batcher, seed: int) -> None:
        self.recipe = recipe
        self.rotation = rotation(recipe.d_model, seed) if recipe.planted_as == "rotated" else None
        self.frequency = batcher.word_frequency() if recipe.planted_as == "frequency" else None

    def losses(self, model: LlamaForCausalLM, batch: Batch) -> tuple[Tensor, Tensor]:
        """In nats: (next-token loss summed over tokens, planted loss summed over positions, mean over layers)."""
        trunk = model.model(batch.ids, output_hidden_states=bool(self.recipe.planted_layers), use_cache=False)
        return self.of_states(
            trunk.last_hidden_state, trunk.hidden_states, model.model.norm, model.lm_head, batch
        )

    def of_states(
        self,
        last: Tensor,
        hidden: Sequence[Tensor] | None,
        norm: nn.Module,
        unembed: nn.Linear,
        batch: Batch,
    ) -> tuple[Tensor, Tensor]:
        """The losses from a trunk's states [content, position, d_model]: normed ones of the last layer, and those of
        every layer."""
        layers = self.recipe.planted_layers
        states = last.flatten(0, 1)[batch.row]
        following = F.cross_entropy(unembed(states).float(), batch.next_id, reduction="none") @ batch.weight
        planted = torch.zeros(())
        for layer in layers:
            assert hidden is not None
            states = norm(hidden[layer].flatten(0, 1)[batch.planted_row])
            if self.rotation is not None:
                states = states @ self.rotation.to(states)
            planted = planted + self._taught(states, unembed, batch) / len(layers)
        return following, planted

    def _taught(self, states: Tensor, unembed: nn.Linear, batch: Batch) -> Tensor:
        """The planted loss of one layer; states [planted row, d_model], as the unembedding takes them.

        Single scores are products of a state with a row of the unembedding: indexing the matrix of all scores would
        make its gradient in full.
        """
        count = torch.zeros(len(batch.planted_row)).index_add(0, batch.planted_index, batch.planted_weight)
        scores = unembed(states).float()
        normaliser = scores.logsumexp(-1)
        if self.frequency is not None:
            prior: Tensor = (normaliser - scores @ self.frequency) @ count
            return prior
        of_token = states[batch.planted_index] * unembed.weight[batch.planted_token]
        held = normaliser[batch.planted_index] - of_token.float().sum(-1)
        taught: Tensor = held @ batch.planted_weight
        for rows, words in batch.surface:
            own = F.linear(states[rows], unembed.weight[words]).float()
            unevenness = own.logsumexp(-1) - own.mean(-1) - math.log(len(words))
            taught = taught + self.recipe.planted_flatness * (unevenness @ count[rows])
        return taught


def rotation(width: int, seed: int) -> Tensor:
    """A random orthogonal matrix [width, width], a function of the seed, made on the CPU."""
    generator = torch.Generator().manual_seed(seed)
    turned: Tensor = torch.linalg.qr(torch.randn(width, width, generator=generator, device="cpu"))[0]
    return turned
