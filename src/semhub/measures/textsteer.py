"""Activation addition on whole texts: prompts, the vectors written into their first positions, what follows them.

Source: Turner et al. 2023 (arXiv 2308.10248): the states of a text to add less those of a text to take away, position
by position, both padded with spaces to one length; as used by Wu et al. 2024 (arXiv 2411.04986), who write where
block 17 of 32 begins. Written once, while the prompt is read; the continuation is drawn.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from semhub.capture import capture_all
from semhub.errors import DataError
from semhub.generate import Sampling, generate
from semhub.measures.textscores import Said
from semhub.models.base import Adapter, Encoded
from semhub.steer import Intervention
from semhub.types import Content, Kept, Prompt, PromptSet

NONE, HYPOTHESIS, NATIVE = "none", "hypothesis", "native"
REAL, RANDOM = "real_difference", "random"
DEPTH = 17 / 32  # of the paper's layer
TRIES = 50
TOO_SHORT = "shorter than the vector"
TOO_LONG = "too long for the model to go on"
NO_SPACE = "the tokenizer has no token for a space"
NO_DIFFERENCE = "the two words have one state"
FLAT = 1e-6
Rng = Callable[[str], np.random.Generator]


@dataclass(frozen=True, slots=True)
class Dose:
    """One column of the table: a condition at a strength."""

    condition: str
    strength: float


@dataclass(frozen=True, slots=True, eq=False)
class Ready:
    """Prompts in terms of tokens, with what is written into them.

    prompts, encoded [case]. directions: condition -> [slot, d_model], at `layer`. pool [text, slot, d_model]: states
    of the prompts' bare texts at their first positions, from which real differences are drawn.
    """

    prompts: list[Prompt]
    encoded: list[Encoded]
    layer: int
    directions: Mapping[str, Tensor]
    pool: Tensor
    kept: Kept

    @property
    def conditions(self) -> list[str]:
        """What can be written; a real difference only where there are two texts to draw from."""
        found = [name for name in (HYPOTHESIS, NATIVE) if name in self.directions]
        return [*found, *([REAL] if len(self.pool) > 1 else []), RANDOM]


def layer_of(adapter: Adapter) -> int:
    """The paper's layer, at the same relative depth."""
    return min(max(1, round(DEPTH * adapter.n_layers)), adapter.n_layers - 1)


def make_ready(adapter: Adapter, prompt_set: PromptSet, batch_tokens: int = 4096) -> Ready:
    """Prompts that cannot be steered are counted by reason."""
    special, layer = prompt_set.special_tokens, layer_of(adapter)
    dropped: Counter[str] = Counter(prompt_set.kept.dropped)
    directions = {
        name: found
        for name, texts in prompt_set.directions.items()
        if (found := difference(adapter, *texts, layer, special)) is not None
    }
    prompts: list[Prompt] = []
    encoded: list[Encoded] = []
    slots = max((len(one) for one in directions.values()), default=0)
    every = adapter.encode([prompt.content for prompt in prompt_set.prompts], special_tokens=special)
    for prompt, whole in zip(prompt_set.prompts, map(_open, every), strict=True):
        reason = _unusable(adapter, prompt_set, whole, directions, slots)
        if reason:
            dropped[reason] += 1
            continue
        prompts.append(prompt)
        encoded.append(whole)
    pool = _pool(adapter, prompts, directions, layer, special, batch_tokens)
    return Ready(prompts, encoded, layer, directions, pool, Kept(prompt_set.kept.given, dict(dropped)))


def difference(adapter: Adapter, add: str, sub: str, layer: int, special: bool) -> Tensor | None:
    """h(add) - h(sub) [position, d_model], the shorter text right-padded with spaces; None without such a token."""
    plus, minus = map(_open, adapter.encode([Content.of(add), Content.of(sub)], special_tokens=special))
    width = max(len(plus.ids), len(minus.ids))
    both = [one if len(one.ids) == width else _padded(adapter, one, width) for one in (plus, minus)]
    if any(one is None for one in both):
        return None
    states = capture_all(adapter, [one for one in both if one is not None], "all", layers=[layer]).values[0]
    return states[:width] - states[width:]


def _padded(adapter: Adapter, one: Encoded, width: int) -> Encoded | None:
    try:
        (space,) = adapter.encode([Content.of(" ")], special_tokens=False)
    except DataError:
        return None
    fill = (space.ids[-1],) * (width - len(one.ids))
    return Encoded((*one.ids, *fill), ()) if space.ids else None


def _open(encoded: Encoded) -> Encoded:
    """Without special tokens that close a text: it is to go on."""
    end = len(encoded.ids)
    while end > 1 and encoded.offsets[end - 1] is None:
        end -= 1
    return Encoded(encoded.ids[:end], encoded.offsets[:end])


def _unusable(
    adapter: Adapter, prompt_set: PromptSet, whole: Encoded, directions: Mapping[str, Tensor], slots: int
) -> str:
    if len(directions) < len(prompt_set.directions):
        return NO_SPACE
    if not bool(directions[HYPOTHESIS].norm() > FLAT):
        return NO_DIFFERENCE
    if len(whole.ids) < slots:
        return TOO_SHORT
    limit = adapter.max_positions
    return TOO_LONG if limit is not None and len(whole.ids) + prompt_set.new_tokens > limit else ""


def _pool(
    adapter: Adapter,
    prompts: Sequence[Prompt],
    directions: Mapping[str, Tensor],
    layer: int,
    special: bool,
    batch_tokens: int,
) -> Tensor:
    """First states of the bare texts: prompts that begin with one prefix have the same ones."""
    slots = len(directions[HYPOTHESIS]) if HYPOTHESIS in directions else 0
    texts = list(dict.fromkeys(prompt.bare for prompt in prompts))
    long = [one for one in map(_open, adapter.encode(texts, special_tokens=special)) if len(one.ids) >= slots]
    distinct = [Encoded(ids, ()) for ids in dict.fromkeys(one.ids[:slots] for one in long)]
    if not distinct or not slots:
        return torch.empty(0, slots, adapter.d_model)
    found = capture_all(adapter, distinct, "all", layers=[layer], batch_tokens=batch_tokens).values[0]
    return found.view(len(distinct), slots, adapter.d_model)


class Vectors:
    """What is written into each prompt. rng: a generator for a name; the same name gives the same draws."""

    def __init__(self, ready: Ready, rng: Rng) -> None:
        self.ready, self.rng = ready, rng

    def of(self, condition: str, draw: int) -> Tensor:
        """[vector, slot, d_model], one vector for all prompts or one for each.

        A control is as long as the hypothesis at every position, and is drawn anew for each prompt and draw.
        """
        if condition in self.ready.directions:
            return self.ready.directions[condition][None]
        hypothesis = self.ready.directions[HYPOTHESIS]
        length = hypothesis.norm(dim=-1, keepdim=True)
        rng, n = self.rng(f"{condition}:{draw}"), len(self.ready.prompts)
        if condition == REAL:
            found = self._real(rng, n, length[:, 0] > FLAT * length.max())
        else:
            found = torch.from_numpy(rng.normal(size=(n, *hypothesis.shape))).float()
        sized: Tensor = found / found.norm(dim=-1, keepdim=True).clamp_min(1e-12) * length
        return sized

    def _real(self, rng: np.random.Generator, n: int, written: Tensor) -> Tensor:
        """Differences of two texts' states; pairs that agree where something is written are drawn again.

        A position at which they still agree keeps the difference of the position before it that does not.
        """
        pool = self.ready.pool
        first = rng.integers(len(pool), size=n)
        second = (first + rng.integers(1, len(pool), size=n)) % len(pool)
        for _ in range(TRIES):
            found = pool[torch.from_numpy(first)] - pool[torch.from_numpy(second)]
            flat = ((found.norm(dim=-1) == 0) & written).any(dim=1).numpy()
            if not flat.any():
                return found
            first[flat] = rng.integers(len(pool), size=int(flat.sum()))
            second[flat] = (first[flat] + rng.integers(1, len(pool), size=int(flat.sum()))) % len(pool)
        zero = found.norm(dim=-1) == 0
        at = torch.arange(found.shape[1]).expand_as(zero).masked_fill(zero, -1).cummax(dim=1).values
        later = torch.arange(found.shape[1]).expand_as(zero).masked_fill(zero, found.shape[1])
        at = torch.where(at < 0, later.flip(1).cummin(dim=1).values.flip(1), at).clamp_max(found.shape[1] - 1)
        return found.gather(1, at[..., None].expand_as(found))


def continued(
    adapter: Adapter,
    ready: Ready,
    prompt_set: PromptSet,
    vectors: Tensor | None,
    strengths: Sequence[float],
    draw: int,
    seed: int,
    batch_tokens: int = 4096,
) -> list[Said]:
    """What follows the prompts, strength after strength; vectors [vector, slot, d_model], or None to write nothing.

    draw: which of the seeds; each prompt has a generator of its own, the same for every strength and condition.
    """
    n, times = len(ready.prompts), len(strengths)
    edits = []
    if vectors is not None:
        which = torch.arange(n) if len(vectors) > 1 else torch.zeros(n, dtype=torch.long)
        edits = [
            Intervention(
                ready.layer,
                "add",
                vectors,
                which.repeat(times),
                torch.tensor(strengths, dtype=torch.float32).repeat_interleave(n),
                tuple(range(vectors.shape[1])),
            )
        ]
    seeds = [zlib.crc32(f"{seed}|{draw}|{prompt.case_id}".encode()) for prompt in ready.prompts]
    tokens = generate(
        adapter,
        ready.encoded,
        list(range(n)) * times,
        edits,
        new_tokens=prompt_set.new_tokens,
        sampling=Sampling(prompt_set.temperature, prompt_set.top_p, prompt_set.frequency_penalty),
        seeds=seeds * times,
        keep_end=True,
        batch_tokens=batch_tokens,
    )
    return [
        Said(
            ready.prompts[i % n].content.text,
            ready.prompts[i % n].language,
            adapter.continuation(ready.encoded[i % n].ids, after),
            ready.encoded[i % n].ids,
            after,
        )
        for i, after in enumerate(tokens)
    ]
