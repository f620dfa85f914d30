"""The grid of the paper's figure 1: for each layer and position the tokens that the lens finds nearest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from semhub.capture import capture_all
from semhub.lens import LensMode, lens_input, read
from semhub.measures.trend import TokenLanguages
from semhub.models.base import Adapter, Encoded
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
    of P(language | token), or None. The positions of pictures stand apart, under `pictures`, each with the keys:
    at (its character), rows and columns of its patches (0 where the model's patch grid is not known), positions
    [patch] row by row (in the model's order where the grid is not known), elsewhere (positions of further views of
    the picture), words (a table of [token, language]), top and p [layer][patch][rank]: which word, and how probable.
    So do those of sounds, under `sounds`: at, positions [window] in order, times [window] (start and end in seconds
    of what each carries; None where that is not known), words, top and p [layer][window][rank].
    """
    encoded = adapter.encode([content], special_tokens=special_tokens)
    pictures = [_picture(adapter, encoded[0], at) for at, _ in content.images]
    sounds = [_sound(adapter, encoded[0], at) for at, _ in content.sounds]
    apart = {position for one in (*pictures, *sounds) for position in _positions(encoded[0], one["at"])}
    text = [position for position in range(len(encoded[0].ids)) if position not in apart]
    states = capture_all(adapter, encoded, "all", batch_tokens=batch_tokens).values
    names = _Names(adapter, tokens)
    cells = []
    for layer in range(adapter.n_layers + 1):
        values = states[layer : layer + 1].to(adapter.device, adapter.dtype)
        ready = lens_input(adapter, values, [layer], mode)[0]
        found = read(adapter.unembedding, ready, top_k=top_k, readable=adapter.n_tokens)
        ids, ps = found.top_ids.tolist(), found.top_logprob.exp().tolist()
        cells.append([names.cell(ids[position], ps[position]) for position in text])
        for one in (*pictures, *sounds):
            one["top"].append([ids[position] for position in one["positions"]])
            one["p"].append([[round(p, 6) for p in ps[position]] for position in one["positions"]])
    return {
        "lens": mode,
        "layers": list(range(adapter.n_layers + 1)),
        "tokens": [adapter.token_text(encoded[0].ids[position]) for position in text],
        "positions": text,
        "cells": cells,
        "pictures": [names.tabled(one) for one in pictures],
        "sounds": [names.tabled(one) for one in sounds],
    }


def _positions(encoded: Encoded, at: int) -> list[int]:
    """The positions that carry the features of the picture or sound that stands at the character `at`."""
    return [position for position, span in enumerate(encoded.offsets) if span == (at, at + 1)]


def _picture(adapter: Adapter, encoded: Encoded, at: int) -> dict[str, Any]:
    known, every = adapter.grid(encoded, at), _positions(encoded, at)
    shown = every if known is None else list(known.position)
    return {
        "at": at,
        "rows": 0 if known is None else known.rows,
        "columns": 0 if known is None else known.columns,
        "positions": shown,
        "elsewhere": len(set(every) - set(shown)),
        "top": [],
        "p": [],
    }


def _sound(adapter: Adapter, encoded: Encoded, at: int) -> dict[str, Any]:
    known = adapter.times(encoded, at)
    times = None if known is None else [[round(start, 4), round(end, 4)] for start, end in known]
    return {"at": at, "positions": _positions(encoded, at), "times": times, "top": [], "p": []}


class _Names:
    """Token ids as words with their languages, each looked up once."""

    def __init__(self, adapter: Adapter, tokens: TokenLanguages | None) -> None:
        self.adapter, self.tokens = adapter, tokens
        self.known: dict[int, tuple[str, str | None]] = {}

    def __call__(self, token: int) -> tuple[str, str | None]:
        if token not in self.known:
            self.known[token] = self.adapter.token_text(token), self._language(token)
        return self.known[token]

    def cell(self, ids: Sequence[int], ps: Sequence[float]) -> list[dict[str, Any]]:
        named = [(*self(token), p) for token, p in zip(ids, ps, strict=True)]
        return [{"token": word, "p": round(p, 6), "language": language} for word, language, p in named]

    def tabled(self, one: dict[str, Any]) -> dict[str, Any]:
        """The picture or sound with its token ids replaced by places in a table of its own words."""
        ids = sorted({token for layer in one["top"] for tops in layer for token in tops})
        place = {token: index for index, token in enumerate(ids)}
        top = [[[place[token] for token in tops] for tops in layer] for layer in one["top"]]
        return {**one, "words": [list(self(token)) for token in ids], "top": top}

    def _language(self, token: int) -> str | None:
        tokens = self.tokens
        if tokens is None or not tokens.counted[token]:
            return None
        best = int(tokens.table[token].argmax())
        return tokens.languages[best] if tokens.table[token, best] > CLEARLY else None
