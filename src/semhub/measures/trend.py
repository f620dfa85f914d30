"""How the lens's probability mass divides over languages, layer by layer. Wu et al., arXiv 2411.04986, section 3.1.

P(language | layer) = sum over tokens of p_lens(token) P(language | token), averaged over positions. P(language |
token) comes from token counts per language under a uniform prior over languages; tokens never counted are spread
evenly, and their share of the mass is kept beside (condition `uncounted`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from semhub.capture import capture
from semhub.lens import LensMode, lens_input, read
from semhub.models.base import Adapter
from semhub.results import OTHER, UNCOUNTED, long_rows
from semhub.types import Content, TextSet

LANGUAGES_SHOWN = 12


@dataclass(frozen=True, slots=True)
class TokenLanguages:
    """P(language | token): table [token, language] whose rows sum to one; counted [token] bool; frequency [token]."""

    languages: tuple[str, ...]
    table: np.ndarray
    counted: np.ndarray
    frequency: np.ndarray


def token_languages(adapter: Adapter, texts: Mapping[str, Sequence[str]]) -> TokenLanguages:
    """Counts tokens in texts per language and turns them into P(language | token) under a uniform prior.

    P(language | token) is proportional to count(token, language) / count(language).
    """
    languages = tuple(texts)
    counts = np.zeros((adapter.n_tokens, len(languages)))
    for column, language in enumerate(languages):
        for text in texts[language]:
            ids = _ids_in_pieces(adapter, text)
            counts[:, column] += np.bincount(ids[ids < adapter.n_tokens], minlength=adapter.n_tokens)
    rates = counts / np.maximum(counts.sum(axis=0), 1)
    total = rates.sum(axis=1, keepdims=True)
    counted = total[:, 0] > 0
    table = np.where(counted[:, None], rates / np.where(total > 0, total, 1), 1 / len(languages))
    return TokenLanguages(languages, table, counted, counts.sum(axis=1))


def _ids_in_pieces(adapter: Adapter, text: str) -> np.ndarray:
    """Token ids of a long text, line by line, so that no piece exceeds the model's positions."""
    size = min(adapter.max_positions or 2000, 2000) // 8
    pieces = [
        line[i : i + size]
        for line in text.splitlines()
        for i in range(0, len(line), size)
        if line[i : i + size].strip()
    ]
    encoded = adapter.encode([Content.of(piece) for piece in pieces], special_tokens=False)
    return np.array([token for piece in encoded for token in piece.ids], dtype=np.int64)


@torch.inference_mode()
def measure(
    adapter: Adapter,
    texts: TextSet,
    tokens: TokenLanguages,
    *,
    mode: LensMode,
    batch_tokens: int,
    progress: Callable[[int], None] | None = None,
) -> pd.DataFrame:
    """Rows of language_mass (condition = language) and language_entropy (bit), one per text and layer.

    Each value is the mean over the text's positions that are no special tokens; the row's `position` is the number
    of those positions minus one, so that averages over all positions can weigh texts. The languages of most mass
    have rows of their own, the others are summed as `other`.
    """
    encoded = adapter.encode([content for _, content in texts.texts], special_tokens=texts.special_tokens)
    positions = [[i for i, span in enumerate(one.offsets) if span is not None] for one in encoded]
    sizes = np.array([len(p) for p in positions])
    n_layers, n_languages = adapter.n_layers + 1, len(tokens.languages)
    sums = np.zeros((n_layers, len(encoded), n_languages + 2))
    weights = np.concatenate([tokens.table, ~tokens.counted[:, None]], axis=1)
    columns = torch.from_numpy(weights).float().to(adapter.device)
    for states in capture(adapter, encoded, positions, batch_tokens=batch_tokens, progress=progress):
        owner = states.content.cpu().numpy()
        for layer in range(n_layers):
            ready = lens_input(adapter, states.values[layer : layer + 1], [layer], mode)[0]
            found = read(adapter.unembedding, ready, weights=columns, readable=adapter.n_tokens)
            mass = found.weighted[:, :n_languages].double()
            entropy = -(mass * mass.clamp_min(1e-30).log2()).sum(dim=1, keepdim=True)
            np.add.at(sums[layer], owner, torch.cat([found.weighted.double(), entropy], dim=1).cpu().numpy())
    means = sums / sizes[None, :, None]
    return _rows(texts, tokens, means, sizes)


def _rows(texts: TextSet, tokens: TokenLanguages, means: np.ndarray, sizes: np.ndarray) -> pd.DataFrame:
    ids = [case_id for case_id, _ in texts.texts]
    mass = means[:, :, : len(tokens.languages)]
    order = np.argsort(-mass.mean(axis=(0, 1)), kind="stable")
    shown, rest = order[:LANGUAGES_SHOWN], order[LANGUAGES_SHOWN:]
    columns = [(tokens.languages[i], mass[:, :, i]) for i in shown]
    if len(rest):
        columns.append((OTHER, mass[:, :, rest].sum(axis=2)))
    columns.append((UNCOUNTED, means[:, :, -2]))
    names = dict(experiment=texts.experiment, variant=texts.variant)
    frames = [long_rows(v, ids, ids, **names, measure="language_mass", condition=name) for name, v in columns]
    frames.append(
        long_rows(means[:, :, -1], ids, ids, **names, measure="language_entropy", condition="matched")
    )
    table = pd.concat(frames, ignore_index=True)
    table["position"] = np.tile(sizes - 1, means.shape[0] * len(frames))
    return table
