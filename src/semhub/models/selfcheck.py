"""The checks that every model passes before a number is read from it.

Deviations of states are relative to the size of what is compared, so that one tolerance for each dtype serves
models of any scale. Where the same operations run on the same shapes the tolerance is near rounding; where shapes
differ (batched against single) half precision is given room for other kernels, and a mean over positions stands
against outliers (a router that flips between two near-equal experts).
"""

from __future__ import annotations

import itertools
import math
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from semhub.capture import capture
from semhub.models.base import Adapter, Encoded, Inputs
from semhub.models.measured import BATCHED, EXACT, Measured, allowance, apart, relative, worst
from semhub.models.sensecheck import (
    TEXTS,
    picture_contents,
    picture_span,
    sound_contents,
    sound_heard,
    sound_span,
)
from semhub.models.sites import visiting
from semhub.models.structure import NEVER
from semhub.models.weights import not_finite
from semhub.steer import write
from semhub.types import Content

LENGTHS = (24, 9, 1)
AT_MOST = 256  # positions of one content that are compared


@dataclass(frozen=True, slots=True)
class Check:
    """One self-check: what was measured, what is allowed, and in words what was compared."""

    name: str
    deviation: float
    tolerance: float
    passed: bool
    detail: str


def run(adapter: Adapter) -> list[Check]:
    """Every self-check, in a fixed order. A check that cannot be carried out has failed, with the reason."""
    contents = _probe_contents(adapter)
    checks: dict[str, tuple[Callable[[], Measured], str]] = {
        "weights_finite": (partial(_weights, adapter), "tensors with a NaN or an infinity"),
        "vocabulary": (
            partial(_vocabulary, adapter, contents),
            "rows of the unembedding against the model's logits",
        ),
        "offsets": (
            partial(_offsets, adapter),
            "share of the text that the tokens' offsets miss or misplace",
        ),
        "causal": (partial(_causal, adapter, contents), "states before a changed token, relative"),
        "states": (partial(_states, adapter, contents), "captured states against the model's own, relative"),
        "head": (partial(_head, adapter), "scale and softcap of the logits against the model's, relative"),
        "lens": (
            partial(_lens, adapter, contents),
            "lens at layer L against the model's log-probabilities, nats",
        ),
        "zero_edit": (
            partial(_zero_edit, adapter, contents),
            "logits under an edit that adds zero, relative",
        ),
        "read_write": (partial(_read_write, adapter, contents), "what is read after a write, relative"),
        "batch_right": (
            partial(_batch_right, adapter, contents),
            "batched against single, right padding, relative",
        ),
        "batch_left": (
            partial(_batch_left, adapter, contents),
            "batched against single, left padding, relative",
        ),
    }
    if "image" in adapter.takes:
        checks |= _picture_checks(adapter)
    if "audio" in adapter.takes:
        checks |= _sound_checks(adapter)
    return [_carry_out(name, measure, detail) for name, (measure, detail) in checks.items()]


def _picture_checks(adapter: Adapter) -> dict[str, tuple[Callable[[], Measured], str]]:
    """The same with pictures of different sizes in the prompts, and which positions a picture fills."""

    def shown(check: Callable[[Adapter, Sequence[Encoded]], Measured]) -> Callable[[], Measured]:
        return lambda: check(adapter, picture_contents(adapter))

    return {
        "picture_span": (
            shown(picture_span),
            "positions of a picture whose layer 0 is not its own, and others that it changes",
        ),
        "picture_states": (shown(_states), "states with pictures against the model's own, relative"),
        "picture_lens": (
            shown(_lens),
            "lens at layer L after pictures against the model's log-probabilities, nats",
        ),
        "picture_right": (shown(_batch_right), "pictures batched against single, right padding, relative"),
        "picture_left": (shown(_batch_left), "pictures batched against single, left padding, relative"),
    }


def _sound_checks(adapter: Adapter) -> dict[str, tuple[Callable[[], Measured], str]]:
    """The same with sounds of different lengths in the prompts, which positions a sound fills, and that it is heard."""

    def heard(check: Callable[[Adapter, Sequence[Encoded]], Measured]) -> Callable[[], Measured]:
        return lambda: check(adapter, sound_contents(adapter))

    return {
        "sound_span": (
            heard(sound_span),
            "positions of a sound whose layer 0 is not its own, and others that it changes",
        ),
        "sound_heard": (
            heard(sound_heard),
            "sounds whose replacement leaves the logits after them as they were",
        ),
        "sound_states": (heard(_states), "states with sounds against the model's own, relative"),
        "sound_lens": (
            heard(_lens),
            "lens at layer L after sounds against the model's log-probabilities, nats",
        ),
        "sound_zero_edit": (heard(_zero_edit), "logits with sounds under an edit that adds zero, relative"),
        "sound_right": (heard(_batch_right), "sounds batched against single, right padding, relative"),
        "sound_left": (heard(_batch_left), "sounds batched against single, left padding, relative"),
    }


def _carry_out(name: str, measure: Callable[[], Measured], detail: str) -> Check:
    try:
        found = measure()
    except (RuntimeError, ValueError, IndexError, TypeError, KeyError) as error:
        reason = str(error).strip().split("\n")[0]
        return Check(name, math.inf, 0.0, False, f"{detail}; raised {type(error).__name__}: {reason}")
    passed = bool(found.deviation <= found.tolerance)
    return Check(
        name, found.deviation, found.tolerance, passed, f"{detail}; {found.why}" if found.why else detail
    )


def _probe_contents(adapter: Adapter) -> list[Encoded]:
    """Three contents of unequal length, the last of a single token."""
    room = adapter.max_positions or 4 * len(TEXTS[0])
    contents = [Content.of(text[: max(1, room // 4)]) for text in TEXTS]  # a character is four bytes at most
    encoded = adapter.encode(contents, special_tokens=False)
    return [_cut(content, length) for content, length in zip(encoded, LENGTHS, strict=True)]


def _cut(content: Encoded, length: int) -> Encoded:
    return Encoded(content.ids[:length], content.offsets[:length])


def _read(adapter: Adapter, contents: Sequence[Encoded]) -> list[Tensor]:
    """Every layer at `_places` through `capture`: for each content [layer, position, d_model], float64."""
    out: list[Tensor] = [torch.empty(0)] * len(contents)
    for part in capture(adapter, contents, [_places(content) for content in contents]):
        for index in set(part.content.tolist()):
            out[index] = part.values[:, (part.content == index).to(part.values.device)].double().cpu()
    return out


def _places(content: Encoded) -> list[int]:
    """Every position, or as many as can be held of a picture of thousands, the last one among them."""
    length = len(content.ids)
    step = -(-length // AT_MOST)
    return list(range((length - 1) % step, length, step))


def _weights(adapter: Adapter) -> Measured:
    bad = not_finite(adapter.weights())
    return Measured(len(bad), 0.0, f"first: {bad[0]}" if bad else "")


def _vocabulary(adapter: Adapter, contents: Sequence[Encoded]) -> Measured:
    given = adapter.logits(adapter.collate(contents[-1:])).shape[-1]
    rows = adapter.unembedding.weight.shape[0]
    apart = abs(given - rows) + abs(adapter.vocab_size - rows) + max(0, adapter.n_tokens - rows)
    return Measured(apart, 0.0, f"{given} logits, {rows} rows, {adapter.n_tokens} known to the tokenizer")


def _offsets(adapter: Adapter) -> Measured:
    """Every character that is no space lies in a token; spans are ordered; a token spells its span."""
    text = " ".join(TEXTS)
    room = adapter.max_positions or 4 * len(text)
    text = text[: max(1, room // 4)]
    encoded = adapter.encode([Content.of(text)], special_tokens=False)[0]
    spans = [span for span in encoded.offsets if span is not None]
    inked = {index for index, character in enumerate(text) if not character.isspace()}
    covered = {index for start, end in spans for index in range(start, end)}
    ordered = all(before <= after for before, after in itertools.pairwise(spans))
    spelled = [
        (adapter.token_text(token), text[span[0] : span[1]])
        for token, span in zip(encoded.ids, encoded.offsets, strict=True)
        if span is not None and token not in adapter.special_ids
    ]
    told = [(_plain(token), _plain(part)) for token, part in spelled if "⟨" not in token and token.strip()]
    misplaced = sum(token != part for token, part in told) / max(1, len(told))
    missed = len(inked - covered) / max(1, len(inked))
    deviation = worst([missed, misplaced, 0.0 if ordered else math.inf])
    return Measured(deviation, 0.05, f"missed {missed:.3g}, misplaced {misplaced:.3g}")


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold().strip()


def _causal(adapter: Adapter, contents: Sequence[Encoded]) -> Measured:
    content = contents[0] if len(contents[0].ids) > 1 else contents[1]
    if len(content.ids) < 2:
        return Measured(math.inf, 0.0, "no probe text has two tokens")
    other = next(index for index in (contents[-1].ids[0], *content.ids) if index != content.ids[-1])
    changed = Encoded((*content.ids[:-1], other), content.offsets)
    one, two = _read(adapter, [content])[0], _read(adapter, [changed])[0]
    return Measured(apart(two[:, :-1], one[:, :-1]), allowance(adapter, EXACT))


def _states(adapter: Adapter, contents: Sequence[Encoded]) -> Measured:
    """Layers 0..L-1; the library reports layer L with the final norm applied, which `lens` covers."""
    deviations = []
    for content in contents:
        own = adapter.hidden_states(adapter.collate([content]))[: adapter.n_layers]
        expected = torch.stack([states[0, _places(content)].double().cpu() for states in own])
        deviations.append(apart(_read(adapter, [content])[0][:-1], expected))
    return Measured(worst(deviations), allowance(adapter, EXACT))


def _head(adapter: Adapter) -> Measured:
    ramp = torch.linspace(-100, 100, adapter.unembedding.weight.shape[0])
    expected = adapter.head_response(ramp)
    found = adapter.unembedding.hide(adapter.unembedding.finish(ramp))
    masked = int(((found > NEVER) != (expected > NEVER)).sum())
    return Measured(relative(found, expected) + masked, allowance(adapter, EXACT))


def _lens(adapter: Adapter, contents: Sequence[Encoded]) -> Measured:
    deviations, size = [], 1.0
    for content in contents:
        places = _places(content)
        last = next(capture(adapter, [content], [places], layers=[adapter.n_layers])).values[0]
        found = adapter.unembedding.logits(adapter.final_norm(last)).double().cpu()
        own = adapter.logits(adapter.collate([content]))[0, places].double().cpu()
        said = own > NEVER
        size = max(size, float(own[said].abs().max()))
        same = found.shape == own.shape and torch.equal(found > NEVER, said)
        apart = found.log_softmax(-1)[said] - own.log_softmax(-1)[said] if same else torch.tensor(math.inf)
        deviations.append(float(apart.abs().max()))
    floor = 1e-4 if allowance(adapter, EXACT) < 1e-3 else 1e-2
    rounding = torch.finfo(adapter.dtype).eps if adapter.dtype.is_floating_point else 1e-2
    return Measured(worst(deviations), floor + 2 * rounding * size)


def _zero_edit(adapter: Adapter, contents: Sequence[Encoded]) -> Measured:
    inputs = adapter.collate(contents)
    before = adapter.logits(inputs)
    with write(adapter, {layer: lambda states, _: states + 0 for layer in range(adapter.n_layers + 1)}):
        after = adapter.logits(inputs)
    return Measured(relative(after[inputs.mask], before[inputs.mask]), allowance(adapter, EXACT))


def _read_write(adapter: Adapter, contents: Sequence[Encoded]) -> Measured:
    """A write at l is read back at l, leaves the layers below as they were and changes all above and the logits."""
    tolerance, content, depth = allowance(adapter, EXACT), contents[0], adapter.n_layers
    before = _read(adapter, [content])[0]
    deviations, why = [], ""
    for layer in sorted({0, 1, depth // 2, depth - 1, depth}):
        written: list[Tensor] = []
        with write(adapter, {layer: partial(_shift, written)}):
            after = _read(adapter, [content])[0]
            logits = adapter.logits(adapter.collate([content]))[0]
        target = written[0][0].double().cpu()
        at = apart(after[layer : layer + 1], target[None])
        below = apart(after[:layer], before[:layer]) if layer else 0.0
        above = [apart(after[k : k + 1], before[k : k + 1]) for k in range(layer, depth + 1)]
        own = adapter.unembedding.logits(adapter.final_norm(after[depth].to(adapter.dtype)))
        out = relative(own.cpu(), logits.cpu())
        deviations += [at, below, out]
        if min(above) <= 0.05 * tolerance:
            deviations.append(math.inf)
            why = f"a write at layer {layer} did not change all layers from {layer} on"
        elif max(at, below, out) > tolerance and not why:
            why = f"write at layer {layer}: {at:.3g} at it, {below:.3g} below it, {out:.3g} in the logits"
    return Measured(worst(deviations), tolerance, why)


def _shift(written: list[Tensor], states: Tensor, _: Inputs) -> Tensor:
    """Adds half of each state's length in a fixed direction, and remembers the result."""
    direction = torch.randn(states.shape[-1], generator=torch.Generator().manual_seed(0))
    direction = (direction / direction.norm()).to(states)
    changed: Tensor = states + 0.5 * states.norm(dim=-1, keepdim=True) * direction
    written.append(changed)
    return changed


def _batch_right(adapter: Adapter, contents: Sequence[Encoded]) -> Measured:
    together = _read(adapter, contents)
    single = [_read(adapter, [content])[0] for content in contents]
    deviations = [apart(one, other) for one, other in zip(together, single, strict=True)]
    return Measured(worst(deviations), allowance(adapter, BATCHED))


def _batch_left(adapter: Adapter, contents: Sequence[Encoded]) -> Measured:
    inputs = adapter.collate(contents, padding="left")
    states: dict[int, Tensor] = {}
    with visiting(adapter, {layer: partial(_note, states, layer) for layer in range(adapter.n_layers + 1)}):
        adapter.forward(inputs)
    deviations = []
    for row, content in enumerate(contents):
        expected, width = _read(adapter, [content])[0], inputs.ids.shape[1]
        columns = [width - len(content.ids) + place for place in _places(content)]
        found = torch.stack([states[layer][row, columns] for layer in range(adapter.n_layers + 1)])
        deviations.append(apart(found.double(), expected))
    return Measured(worst(deviations), allowance(adapter, BATCHED))


def _note(states: dict[int, Tensor], layer: int, found: Tensor) -> None:
    states[layer] = found.cpu()
