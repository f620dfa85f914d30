"""Words of any number of tokens: the lens log-probability of a whole word at a position, token by token.

log p(w | x) = sum over k of log p(w_k | x, w_1 .. w_k-1): the lens is read at the position and, with the word's first
tokens in the content's place, at those after it. Longer words are less probable; no verdict rests on it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np
import pandas as pd
import torch

from semhub.capture import capture
from semhub.lens import LensMode, lens_input, read
from semhub.measures.words import locate
from semhub.models.base import Adapter, Encoded
from semhub.results import long_rows
from semhub.types import Content, Kept, LensCase, LensSet

ALIKE = "dominant and surface word are the same"
SEAM = "a word joins the text before it into one token"


@torch.inference_mode()
def measure(
    adapter: Adapter,
    lens_set: LensSet,
    *,
    mode: LensMode,
    batch_tokens: int,
    progress: Callable[[int], None] | None = None,
) -> tuple[pd.DataFrame, Kept]:
    """Rows of logprob per condition and of logprob_diff (dominant minus surface), and the cases that were kept.

    A condition's first word is scored, as it would stand at the case's `at`; cases in which some condition's word
    cannot be told from the text before it are dropped.
    """
    originals = list(dict.fromkeys(case.content for case in lens_set.cases))
    known = _encode(adapter, originals, lens_set)
    written = list(
        dict.fromkeys(_write(case, word) for case in lens_set.cases for word in _first_words(case).values())
    )
    encoded = _encode(adapter, written, lens_set)
    dropped: Counter[str] = Counter(lens_set.kept.dropped)
    kept: list[tuple[LensCase, int]] = []
    wanted: dict[Content, int] = {}
    for case in lens_set.cases:
        position, reason = locate(case, known[case.content])
        before = known[case.content].ids[: position + 1]
        texts = [_write(case, word) for word in _first_words(case).values()]
        words = _first_words(case)
        if not reason and words.get("surface") == words.get("dominant"):
            reason = ALIKE
        if not reason and any(encoded[text].ids[: position + 1] != before for text in texts):
            reason = SEAM
        if reason:
            dropped[reason] += 1
            continue
        kept.append((case, position))
        wanted.update(dict.fromkeys(texts, position))
    score = _scores(adapter, encoded, wanted, mode, batch_tokens, progress)
    frames = []
    conditions = list(dict.fromkeys(name for case, _ in kept for name in _first_words(case)))
    for condition in conditions:
        have = [one for one in kept if condition in _first_words(one[0])]
        values = np.stack([score[_write(case, _first_words(case)[condition])] for case, _ in have], axis=1)
        frames.append(_rows(lens_set, have, values, "logprob", condition))
    if {"dominant", "surface"} <= set(conditions):
        both = [one for one in kept if {"dominant", "surface"} <= set(_first_words(one[0]))]
        difference = np.stack(
            [
                score[_write(case, _first_words(case)["dominant"])]
                - score[_write(case, _first_words(case)["surface"])]
                for case, _ in both
            ],
            axis=1,
        )
        frames.append(_rows(lens_set, both, difference, "logprob_diff", "matched"))
    rows = pd.concat(frames, ignore_index=True) if frames else _rows(lens_set, [], np.empty((0, 0)), "", "")
    return rows, Kept(lens_set.kept.given, dict(dropped))


def _first_words(case: LensCase) -> dict[str, str]:
    return {condition: words[0] for condition, words in case.words.items() if words}


def _write(case: LensCase, word: str) -> Content:
    """The content up to the case's character, and the word in the place of what follows."""
    return Content.of(case.content.text[: case.at] + word)


def _encode(adapter: Adapter, contents: list[Content], lens_set: LensSet) -> dict[Content, Encoded]:
    found = adapter.encode(contents, special_tokens=lens_set.special_tokens)
    return dict(zip(contents, found, strict=True))


def _scores(
    adapter: Adapter,
    encoded: dict[Content, Encoded],
    wanted: dict[Content, int],
    mode: LensMode,
    batch_tokens: int,
    progress: Callable[[int], None] | None,
) -> dict[Content, np.ndarray]:
    """Content -> the summed log-probability [layer] of its tokens after the wanted position."""
    contents = list(wanted)
    asked = [encoded[content] for content in contents]
    last = [_length(one) for one in asked]
    places = [list(range(wanted[content], end - 1)) for content, end in zip(contents, last, strict=True)]
    out = {content: np.zeros(adapter.n_layers + 1) for content in contents}
    for states in capture(adapter, asked, places, batch_tokens=batch_tokens, progress=progress):
        rows = list(zip(states.content.tolist(), states.position.tolist(), strict=True))
        following = [asked[content].ids[position + 1] for content, position in rows]
        targets, column = np.unique(following, return_inverse=True)
        for layer in states.layers:
            ready = lens_input(adapter, states.values[layer : layer + 1], [layer], mode)[0]
            found = read(adapter.unembedding, ready, targets=torch.from_numpy(targets)).logprob
            picked = found.gather(1, torch.from_numpy(column).to(found.device)[:, None])[:, 0].cpu().tolist()
            for (content, _), value in zip(rows, picked, strict=True):
                out[contents[content]][layer] += value
    return out


def _length(encoded: Encoded) -> int:
    """Tokens up to the last that stands for text: an end-of-text token after it is no part of the word."""
    return max(i for i, span in enumerate(encoded.offsets) if span) + 1


def _rows(
    lens_set: LensSet, cases: list[tuple[LensCase, int]], values: np.ndarray, measure: str, condition: str
) -> pd.DataFrame:
    ids, clusters = ([getattr(case, name) for case, _ in cases] for name in ("case_id", "cluster_id"))
    names = dict(
        experiment=lens_set.experiment, variant=lens_set.variant, measure=measure, condition=condition
    )
    frame = long_rows(values, ids, clusters, **names)
    frame["position"] = np.tile([position for _, position in cases], len(values))
    return frame
