"""Steering of one text, for people: what follows it under several strengths, beside what follows it unsteered.

Sources: Turner et al., "Activation addition" (arXiv 2308.10248); Wu et al. (arXiv 2411.04986) for the two conventions.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from numbers import Real
from pathlib import Path
from typing import Any, Literal, get_args

import pandas as pd
import torch
from rich.console import Console, ConsoleOptions, RenderResult
from torch import Tensor

from semhub.capture import capture_all
from semhub.directions import Directions, Texts, check_unicode, from_texts, from_words
from semhub.errors import DataError, UsageError
from semhub.generate import Sampling, continuation_logprobs, generate, next_logprobs
from semhub.marked import refuse_marked
from semhub.models.base import Adapter, Encoded
from semhub.models.sites import check_layer
from semhub.steer import How, Intervention
from semhub.steering_show import steered_html, steered_rich
from semhub.types import Content

Convention = Literal["aligned", "paper"]
COLUMNS = ["strength", "text", "shift", "first_token", "kl", "perplexity", "seed"]
GREEDY = -1  # the seed of a row that is not sampled


@dataclass(frozen=True)
class Steered:
    """A text under several strengths. data: the settings, and `rows` as `to_frame` has them, as JSON values.

    directions: what was written at strength 1, at every layer; it can be saved and given to `steer` again.
    """

    data: dict[str, Any]
    directions: Directions

    def to_frame(self) -> pd.DataFrame:
        """One row for each strength and seed, the unsteered (strength 0) first. Columns:

        strength; text: what was generated; shift [nat]: log-probability of the next token that the unsteered model
        finds most probable, less its unsteered one; first_token: the most probable next token; kl [nat]: KL(steered ||
        unsteered) of the next token's distribution; perplexity: of the generated text under the unsteered model, NaN
        for none; seed: -1 for greedy.
        """
        frame = pd.DataFrame(self.data["rows"], columns=COLUMNS)
        return frame.astype(
            {"strength": float, "shift": float, "kl": float, "perplexity": float, "seed": int}
        )

    def _repr_html_(self) -> str:
        return steered_html(self.data)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield from steered_rich(self.data, options.max_width)


def steer(
    model: Adapter,
    text: str,
    *,
    add: Texts = None,
    sub: Texts = None,
    layer: int,
    strength: float | Sequence[float],
    position: int | Sequence[int] = -1,
    new_tokens: int = 32,
    words: bool = False,
    direction: Directions | str | Path | None = None,
    how: How = "add",
    every_step: bool = False,
    sampling: Sampling | None = None,
    seeds: Sequence[int] = (0,),
    convention: Convention = "aligned",
) -> Steered:
    """Goes on from `text` while a direction is written into the states of `layer`, once for each strength.

    add, sub: the direction is the state of `add` at its last token less that of `sub` (each a text or several, then
    their mean; either may be left out). words: they are words instead, and the direction is the difference of their
    unembedding rows; strength 1 is then as long as the text's own state. direction: one that was saved, or its file.
    strength: one or several factors; 0, the unsteered text, is always there. position: token position(s) of `text`
    where it is written, negative ones from the end. how: add, replace, ablate or project (`steer.Intervention`).
    every_step: also at every generated token. sampling: greedy without; else one row for each seed.
    convention: `aligned` reads and writes the same layer, `paper` reads one block before it writes.
    Raises UsageError for options out of range or that exclude each other, DataError for an empty text or a bad file.
    """
    encoded = encode_text(model, text, "text")
    places = (position,) if isinstance(position, int) else tuple(position)
    check_whole("new_tokens", new_tokens)
    strengths = _strengths(strength)
    _check(model, encoded, layer, places, sampling, seeds, convention, words)
    read_layer = check_layer(layer - (convention == "paper"), model.n_layers)
    directions = _directions(model, encoded, add, sub, words, direction, places)
    vector = directions.at(read_layer, model)
    if how != "replace" and not bool(vector.any()):
        raise UsageError(
            f"the direction is zero at layer {read_layer}: both sides have the same state there."
        )
    seeds = (GREEDY,) if sampling is None else tuple(seeds)
    rows = [(one, seed) for one in strengths for seed in seeds]
    factors = torch.tensor([one for one, _ in rows], dtype=torch.float32)
    which = torch.zeros(len(rows), dtype=torch.long)
    written = Intervention(layer, how, vector[None], which, factors, places, every_step)
    owner = [0] * len(rows)
    once = slice(None, None, len(seeds))  # the next token's scores do not depend on the seed
    scored = replace(written, which=which[once], strength=factors[once])
    scores = next_logprobs(model, [encoded], owner[once], [scored]).double()
    if not bool(scores.exp().isfinite().all()):
        bad = [strengths[i] for i in (~scores.exp().isfinite().all(dim=1)).nonzero().flatten().tolist()]
        raise UsageError(f"strength {bad[0]:g} makes the model's scores NaN: choose a smaller one.")
    said = generate(
        model, [encoded], owner, [written], new_tokens=new_tokens, sampling=sampling,
        seeds=() if sampling is None else [seed for _, seed in rows],
    )  # fmt: skip
    effects, perplexities = _effects(model, scores), _perplexities(model, encoded, said)
    table: list[dict[str, Any]] = []
    for i, (one, seed) in enumerate(rows):
        text_of = model.continuation(encoded.ids, said[i])
        row = {"strength": one, "text": text_of, **effects[i // len(seeds)], "seed": seed}
        table.append({key: {**row, "perplexity": perplexities[i]}[key] for key in COLUMNS})
    settings = {
        "model": model.name, "text": text, "layer": layer, "read_layer": read_layer, "how": how,
        "position": list(places), "every_step": every_step, "n_layers": model.n_layers,
    }  # fmt: skip
    return Steered({**settings, "rows": table}, directions)


def encode_text(model: Adapter, text: str, what: str) -> Encoded:
    """One text of at least one character. Raises DataError, and UsageError for a place of a picture or sound."""
    if not isinstance(text, str) or not text:
        raise DataError(f"the {what} is empty: there is nothing to read.")
    check_unicode(text)
    refuse_marked(text, model.takes)
    return model.encode([Content.of(text)])[0]


def _strengths(given: float | Sequence[float]) -> list[float]:
    """Distinct, 0 first. Raises UsageError for none, and for what is no finite number."""
    listed: list[Any] = list(given) if isinstance(given, Iterable) else [given]
    for one in listed:
        if isinstance(one, bool) or not isinstance(one, Real) or not math.isfinite(one):
            raise UsageError(f"a strength is a finite number, not {one!r}.")
    if not listed:
        raise UsageError("at least one strength is needed.")
    return list(dict.fromkeys([0.0, *(float(one) + 0.0 for one in listed)]))


def _check(
    model: Adapter,
    encoded: Encoded,
    layer: int,
    places: Sequence[int],
    sampling: Sampling | None,
    seeds: Sequence[int],
    convention: str,
    words: bool,
) -> None:
    check_whole("layer", layer)
    check_layer(layer, model.n_layers)
    if not places:
        raise UsageError("at least one position is needed.")
    for place in places:
        check_whole("position", place)
        if not -len(encoded.ids) <= place < len(encoded.ids):
            raise UsageError(f"position {place} is out of range for a text of {len(encoded.ids)} tokens.")
    if convention not in get_args(Convention):
        raise UsageError(f"convention is 'aligned' or 'paper', not {convention!r}.")
    if convention == "paper" and words:
        raise UsageError("convention 'paper' is of states; words have the same direction at every layer.")
    if convention == "paper" and layer == 0:
        raise UsageError("convention 'paper' reads one layer below the one it writes: layer 0 has none.")
    for name in ("temperature", "top_p", "frequency_penalty") if sampling is not None else ():
        if not math.isfinite(getattr(sampling, name)):
            raise UsageError(f"{name} must be finite, not {getattr(sampling, name)}.")
    if sampling is not None and not seeds:
        raise UsageError("sampling needs at least one seed.")


def check_whole(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise UsageError(f"{name} is a whole number, not {value!r}.")


def _directions(
    model: Adapter,
    encoded: Encoded,
    add: Texts,
    sub: Texts,
    words: bool,
    direction: Directions | str | Path | None,
    places: Sequence[int],
) -> Directions:
    """What strength 1 writes, without the model's fingerprint: a large model takes long to hash."""
    if direction is not None:
        if add is not None or sub is not None or words:
            raise UsageError("a direction that was saved is given by itself: leave out add, sub and words.")
        return direction if isinstance(direction, Directions) else Directions.load(direction)
    if add is None and sub is None:
        raise UsageError("say what to add or to subtract, or give a direction that was saved.")
    if not words:
        return from_texts(model, add, sub, identify=False)
    states = capture_all(model, [encoded], [list(places)])
    return from_words(model, add, sub, identify=False).sized(states.values.norm(dim=-1).mean(dim=1))


def _effects(model: Adapter, scores: Tensor) -> list[dict[str, Any]]:
    """shift, first_token and kl of each row of log-probabilities [row, vocab] in float64, the first unsteered."""
    plain = scores[0]
    token = int(plain.argmax())
    apart = torch.where(scores.exp() > 0, scores.exp() * (scores - plain), 0.0).sum(dim=1).clamp_min(0)
    return [
        {
            "shift": _finite(float(row[token] - plain[token])),
            "first_token": model.token_text(int(row.argmax())),
            "kl": _finite(float(kl)),
        }
        for row, kl in zip(scores, apart, strict=True)
    ]


def _perplexities(model: Adapter, encoded: Encoded, said: Sequence[Sequence[int]]) -> list[float | None]:
    found = continuation_logprobs(model, [encoded.ids] * len(said), said)
    return [_finite(float((-one.double().mean()).exp())) if len(one) else None for one in found]


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
