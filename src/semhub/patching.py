"""Patching: what follows a text once a state of another text stands in the place of one of its own (interchange).

Source: Ghandeharioun et al., "Patchscopes" (arXiv 2401.06102).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch
from rich.console import Console, ConsoleOptions, RenderResult
from torch import Tensor

from semhub.capture import capture_all
from semhub.generate import generate, next_logprobs
from semhub.models.base import Adapter
from semhub.models.sites import check_layer
from semhub.steer import Intervention
from semhub.steering import check_whole, encode_text
from semhub.steering_show import patched_html, patched_rich

TOP = 5


@dataclass(frozen=True)
class Patched:
    """What a model says with a state of another text. data: the settings, both texts and the `tops` of each run."""

    data: dict[str, Any]

    @property
    def text(self) -> str:
        """What follows the target with the source's state in it."""
        return str(self.data["text"])

    @property
    def target_text(self) -> str:
        """What follows the target as it is."""
        return str(self.data["target_text"])

    def to_frame(self) -> pd.DataFrame:
        """Columns run (source, target, patched), rank (0 = most probable next token), token, p."""
        rows = [
            (run, rank, top["token"], top["p"])
            for run, tops in self.data["tops"].items()
            for rank, top in enumerate(tops)
        ]
        return pd.DataFrame(rows, columns=["run", "rank", "token", "p"])

    def _repr_html_(self) -> str:
        return patched_html(self.data)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield from patched_rich(self.data)


def patch(
    model: Adapter,
    source: str,
    target: str,
    *,
    layer: int,
    position: int = -1,
    target_layer: int | None = None,
    target_position: int | None = None,
    new_tokens: int = 16,
) -> Patched:
    """Puts the state of `source` at (layer, position) in the place of that of `target`, and goes on from there.

    target_layer, target_position: the same as the source's by default. The tops are of the token after each text: after
    the source, after the target, and after the target with the source's state in it. Greedy.
    Raises UsageError for a layer or position out of range, DataError for an empty text.
    """
    given, into = encode_text(model, source, "source"), encode_text(model, target, "target")
    target_layer = layer if target_layer is None else target_layer
    target_position = position if target_position is None else target_position
    for name, one in (("layer", layer), ("target_layer", target_layer)):
        check_whole(name, one)
        check_layer(one, model.n_layers)
    check_whole("position", position)
    check_whole("target_position", target_position)
    state = capture_all(model, [given], [[position]], layers=[layer]).values[0]
    which, strengths = torch.zeros(2, dtype=torch.long), torch.tensor([0.0, 1.0])
    written = Intervention(target_layer, "replace", state, which, strengths, (target_position,))
    scores = torch.cat([next_logprobs(model, [given], [0]), next_logprobs(model, [into], [0, 0], [written])])
    said = generate(model, [into], [0, 0], [written], new_tokens=new_tokens)
    texts = [model.continuation(into.ids, tokens) for tokens in said]
    found = zip(("source", "target", "patched"), scores, strict=True)
    settings = {"source": source, "layer": layer, "position": position, "target": target}
    settings |= {"target_layer": target_layer, "target_position": target_position}
    tops = {run: _tops(model, one) for run, one in found}
    said_of = {"target_text": texts[0], "text": texts[1]}
    return Patched({"model": model.name, **settings, **said_of, "tops": tops})


def _tops(model: Adapter, scores: Tensor) -> list[dict[str, Any]]:
    best = scores.topk(min(TOP, len(scores)))
    pairs = zip(best.indices.tolist(), best.values.exp().tolist(), strict=True)
    return [{"token": model.token_text(token), "p": p} for token, p in pairs]
