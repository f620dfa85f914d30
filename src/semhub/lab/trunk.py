"""What the configurations of all organisms' decoders have in common, whatever else they take."""

from __future__ import annotations

from typing import Any

from transformers import PreTrainedTokenizerFast

from semhub.lab.recipe import Recipe


def trunk(recipe: Recipe, tokenizer: PreTrainedTokenizerFast) -> dict[str, Any]:
    """Sizes and special tokens, by the names of a `transformers` configuration."""
    return dict(
        vocab_size=len(tokenizer),
        hidden_size=recipe.d_model,
        intermediate_size=recipe.d_ff,
        num_hidden_layers=recipe.n_layers,
        num_attention_heads=recipe.n_heads,
        num_key_value_heads=recipe.n_kv_heads,
        max_position_embeddings=recipe.max_positions,
        tie_word_embeddings=False,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
