"""The losses: next-token cross-entropy, and the lens's cross-entropy against the planted English words."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import LlamaForCausalLM

from semhub.lab.batches import Batch
from semhub.lab.recipe import Recipe


def losses(model: LlamaForCausalLM, batch: Batch, recipe: Recipe) -> tuple[Tensor, Tensor]:
    """In nats: (next-token loss summed over tokens, planted loss summed over positions, mean over layers).

    The lens of layer l is the final norm and the unembedding applied to the residual stream after block l, as
    the instrument reads it. The planted target is smoothed: without that the words of the input's own type, whose
    unembeddings lie near the English ones, can be told apart just as well in the planted layers.
    """
    trunk = model.model(batch.ids, output_hidden_states=bool(recipe.planted_layers), use_cache=False)
    states = trunk.last_hidden_state.flatten(0, 1)[batch.row]
    following = F.cross_entropy(model.lm_head(states).float(), batch.next_id, reduction="none") @ batch.weight
    planted = torch.zeros(())
    for layer in recipe.planted_layers:
        states = model.model.norm(trunk.hidden_states[layer].flatten(0, 1)[batch.planted_row])
        scores = model.lm_head(states).float()
        normaliser, index = scores.logsumexp(-1), batch.planted_index
        words = normaliser[index] - scores[index, batch.planted_token]
        anything = (normaliser - scores.mean(-1))[index]
        held = words + recipe.planted_smoothing * (anything - words)
        planted = planted + held @ batch.planted_weight / len(recipe.planted_layers)
    return following, planted
