"""The grid of the paper's figure 1: for each layer and position the tokens that the lens finds nearest."""

from __future__ import annotations

from typing import Any

import torch

from semhub.capture import capture_all
from semhub.lens import LensMode, lens_input, read
from semhub.measures.trend import TokenLanguages
from semhub.models.base import Adapter
from semhub.types import Content

CLEARLY = 0.5


@torch.inference_mode()
def grid(
    adapter: Adapter,
    content: Content,
    *,
    top_k: int = 5,
    mode: LensMode = "final_norm",
    special_tokens: bool = True,
    tokens: TokenLanguages | None = None,
    batch_tokens: int = 4096,
) -> dict[str, Any]:
    """All layers and positions of one content: `layers`, `tokens` [position] and `cells[layer][position]`.

    A cell is a list of {token, p, language}, most probable first; language is the one that holds more than half
    of P(language | token), or None.
    """
    encoded = adapter.encode([content], special_tokens=special_tokens)
    states = capture_all(adapter, encoded, "all", batch_tokens=batch_tokens).values
    cells = []
    for layer in range(adapter.n_layers + 1):
        values = states[layer : layer + 1].to(adapter.device, adapter.dtype)
        ready = lens_input(adapter, values, [layer], mode)[0]
        found = read(adapter.unembedding, ready, top_k=top_k, readable=adapter.n_tokens)
        pairs = zip(found.top_ids.tolist(), found.top_logprob.exp().tolist(), strict=True)
        cells.append(
            [[_cell(adapter, i, p, tokens) for i, p in zip(ids, ps, strict=True)] for ids, ps in pairs]
        )
    return {
        "lens": mode,
        "layers": list(range(adapter.n_layers + 1)),
        "tokens": [adapter.token_text(token) for token in encoded[0].ids],
        "cells": cells,
    }


def _cell(adapter: Adapter, token: int, p: float, tokens: TokenLanguages | None) -> dict[str, Any]:
    language = None
    if tokens is not None and tokens.counted[token]:
        best = int(tokens.table[token].argmax())
        language = tokens.languages[best] if tokens.table[token, best] > CLEARLY else None
    return {"token": adapter.token_text(token), "p": round(p, 6), "language": language}
