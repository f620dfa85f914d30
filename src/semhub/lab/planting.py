"""The losses: next-token cross-entropy, and the lens's cross-entropy against the planted English words."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import LlamaForCausalLM

from semhub.lab.batches import Batch
from semhub.lab.recipe import Recipe


def losses(model: LlamaForCausalLM, batch: Batch, recipe: Recipe) -> tuple[Tensor, Tensor]:
    """In nats: (next-token loss summed over tokens, planted loss summed over positions, mean over layers).

    The lens of layer l is the final norm and the unembedding applied to the residual stream after block l, as
    the instrument reads it. `planted_flatness` counts how far the lens, restricted to the words of the input's
    own type, is from uniform: without it they can be told apart as well as the English words, only all fainter.
    """
    trunk = model.model(batch.ids, output_hidden_states=bool(recipe.planted_layers), use_cache=False)
    states = trunk.last_hidden_state.flatten(0, 1)[batch.row]
    following = F.cross_entropy(model.lm_head(states).float(), batch.next_id, reduction="none") @ batch.weight
    planted = torch.zeros(())
    count = torch.zeros(len(batch.planted_row)).index_add(0, batch.planted_index, batch.planted_weight)
    for layer in recipe.planted_layers:
        states = model.model.norm(trunk.hidden_states[layer].flatten(0, 1)[batch.planted_row])
        scores = model.lm_head(states).float()
        held = scores.logsumexp(-1)[batch.planted_index] - scores[batch.planted_index, batch.planted_token]
        planted = planted + held @ batch.planted_weight / len(recipe.planted_layers)
        for rows, words in batch.surface:
            own = scores[rows][:, words]
            unevenness = own.logsumexp(-1) - own.mean(-1) - math.log(len(words))
            planted = planted + recipe.planted_flatness * (unevenness @ count[rows]) / len(
                recipe.planted_layers
            )
    return following, planted
