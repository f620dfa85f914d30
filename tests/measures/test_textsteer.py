"""Activation addition on prompts, against plain passes of one prompt at a time; rows of a whole set."""

from __future__ import annotations

import zlib
from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.tiny import cached_checkpoint
from torch import Tensor

from semhub.measures import textsteer
from semhub.measures.textsteer import Vectors, continued, difference, layer_of, make_ready
from semhub.models import load
from semhub.models.base import Adapter, Encoded
from semhub.runs import prompts as run_prompts
from semhub.runs.config import RunConfig
from semhub.steer import write
from semhub.types import Content, Kept, Prompt, PromptSet

PREFIX = "Sigue: "
TEXTS = [
    "El río estaba frío y la casa es grande.",
    "河水很冷，我们回家。",
    "two brown horses",
    "\x00<s>\u202e\n",
    "a",
]
WORDS = {"hypothesis": ("three plus five", "boat"), "native": ("河", "Ángel dijo")}


def prompt(i: int, text: str, prefix: str = PREFIX) -> Prompt:
    return Prompt(f"p{i}", f"k{i % 3}", Content.of(prefix + text), "es", Content.of(text))


def prompt_set(**changes: object) -> PromptSet:
    prompts = [prompt(i, text) for i, text in enumerate(TEXTS)]
    settings = dict(prompts=prompts, directions=WORDS, kept=Kept(len(prompts)), source="made", new_tokens=5)
    return PromptSet("x.steer", "good-bad/es", **{**settings, **changes})  # type: ignore[arg-type]


@pytest.fixture(scope="module", params=["llama", "gpt2", "bloom"])
def adapter(request: pytest.FixtureRequest) -> Adapter:
    return load(str(cached_checkpoint(request.param)), check=False)


def rng(name: str) -> np.random.Generator:
    return np.random.default_rng([1, zlib.crc32(name.encode())])


def states(adapter: Adapter, ids: tuple[int, ...], layer: int) -> Tensor:
    return adapter.hidden_states(adapter.collate([Encoded(ids, ())]))[layer][0].float()


def by_hand(adapter: Adapter, add: str, sub: str, layer: int) -> Tensor:
    (space,) = adapter.encode([Content.of(" ")])
    plus, minus = (list(adapter.encode([Content.of(text)])[0].ids) for text in (add, sub))
    while len(plus) < len(minus):
        plus.append(space.ids[-1])
    while len(minus) < len(plus):
        minus.append(space.ids[-1])
    return states(adapter, tuple(plus), layer) - states(adapter, tuple(minus), layer)


def greedy(
    adapter: Adapter, ids: tuple[int, ...], vector: Tensor, strength: float, layer: int, n: int
) -> list[int]:
    """With a penalty of 1 for each time a token was said; the first positions are changed, and nothing else."""

    def edit(hidden: Tensor, _: object) -> Tensor:
        out = hidden.clone()
        out[0, : len(vector)] += strength * vector
        return out

    said: list[int] = []
    for _ in range(n):
        with write(adapter, {layer: edit}):
            logits = adapter.logits(adapter.collate([Encoded((*ids, *said), ())]))[0, -1].double()
        for token in said:
            logits[token] -= 1.0
        said.append(int(logits.argmax()))
        if said[-1] in adapter.end_ids:
            break
    return said


def test_the_layer_is_the_papers_at_its_depth(adapter: Adapter) -> None:
    assert layer_of(adapter) == 2
    depths = {32: 17, 40: 21, 80: 42, 6: 3, 2: 1}
    for n_layers, layer in depths.items():
        fake = type("Fake", (), {"n_layers": n_layers})()
        assert layer_of(fake) == layer


def test_differences_are_those_of_padded_texts(adapter: Adapter) -> None:
    for add, sub in (*WORDS.values(), ("boat", "three plus five")):
        found = difference(adapter, add, sub, 2, True)
        assert found is not None
        assert torch.allclose(found, by_hand(adapter, add, sub, 2), atol=1e-4)


@pytest.mark.parametrize("batch_tokens", [1, 4096])
def test_texts_are_those_of_a_plain_loop(adapter: Adapter, batch_tokens: int) -> None:
    one = prompt_set(top_p=1e-9)
    ready = make_ready(adapter, one)
    kept = [prompt.case_id for prompt in ready.prompts]
    assert len(kept) == len(TEXTS)
    strengths = (-5.0, 20.0)
    vectors = Vectors(ready, rng)
    moved = 0
    for condition in ("hypothesis", "native", "random"):
        vector = vectors.of(condition, 0)
        found = continued(adapter, ready, one, vector, strengths, 0, 0, batch_tokens)
        for i, said in enumerate(found):
            case, strength = i % len(kept), strengths[i // len(kept)]
            ids = adapter.encode([Content.of(PREFIX + TEXTS[case])])[0].ids
            own = vector[case] if len(vector) > 1 else vector[0]
            assert said.before == ids
            assert list(said.after) == greedy(adapter, ids, own, strength, ready.layer, 5)
            moved += list(said.after) != greedy(adapter, ids, own, 0.0, ready.layer, 5)
            assert said.prompt == PREFIX + TEXTS[case]
            assert said.text == adapter.continuation(ids, said.after)
    assert moved > 0


def test_a_prompt_is_drawn_as_it_is_alone_and_by_its_seed(adapter: Adapter) -> None:
    one = prompt_set(top_p=0.9)
    ready = make_ready(adapter, one)
    vector = Vectors(ready, rng).of("hypothesis", 0)
    together = continued(adapter, ready, one, vector, (2.0, -5.0), 1, 7)
    for i, which in enumerate(one.prompts):
        alone = replace(one, prompts=[which])
        single = make_ready(adapter, alone)
        found = continued(adapter, single, alone, vector, (2.0, -5.0), 1, 7, 16)
        assert [said.after for said in found] == [together[i].after, together[i + len(TEXTS)].after]
    other = continued(adapter, ready, one, vector, (2.0, -5.0), 2, 7)
    assert [said.after for said in other] != [said.after for said in together]


def test_controls_are_as_long_at_every_position(adapter: Adapter) -> None:
    ready = make_ready(adapter, prompt_set())
    assert ready.conditions == ["hypothesis", "native", "real_difference", "random"]
    vectors = Vectors(ready, rng)
    length = vectors.of("hypothesis", 0).norm(dim=-1)
    for condition in ("real_difference", "random"):
        found = vectors.of(condition, 0)
        assert found.shape[0] == len(ready.prompts)
        assert torch.allclose(found.norm(dim=-1), length.expand(len(found), -1), rtol=1e-4)
        assert torch.equal(found, vectors.of(condition, 0))
        assert not torch.allclose(found, vectors.of(condition, 1))
        assert not torch.allclose(found[0], found[1])


def test_real_differences_are_of_the_bare_texts(adapter: Adapter) -> None:
    """Behind one prefix the first positions of all prompts have the same states."""
    ready = make_ready(adapter, prompt_set())
    slots = ready.directions["hypothesis"].shape[0]
    texts = {adapter.encode([Content.of(text)])[0].ids[:slots] for text in TEXTS}
    wanted = [states(adapter, ids, ready.layer) for ids in texts if len(ids) == slots]
    assert len(ready.pool) == len(wanted)
    for one in ready.pool:
        assert any(torch.allclose(one, other, atol=1e-4) for other in wanted)


def test_texts_that_begin_alike_still_differ_at_every_position(adapter: Adapter) -> None:
    same = [
        prompt(i, f"the river was cold and {word}")
        for i, word in enumerate(["the old boat", "casa", "3+5=8 ten"])
    ]
    ready = make_ready(
        adapter, prompt_set(prompts=same, kept=Kept(3), directions={"hypothesis": ("boat " * 9, "one")})
    )
    vectors = Vectors(ready, rng)
    length = vectors.of("hypothesis", 0).norm(dim=-1)
    found = vectors.of("real_difference", 0)
    assert torch.allclose(found.norm(dim=-1), length.expand(len(found), -1), rtol=1e-4)


def test_prompts_that_cannot_be_steered_are_counted(adapter: Adapter) -> None:
    short = [prompt(0, "a", ""), prompt(1, "two brown horses will cross the bridge near Madrid", "")]
    ready = make_ready(
        adapter,
        prompt_set(prompts=short, kept=Kept(3, {"x": 1}), directions={"hypothesis": ("boat " * 3, "one")}),
    )
    assert dict(ready.kept.dropped) == {"x": 1, textsteer.TOO_SHORT: 1}
    if adapter.max_positions is not None:
        ready = make_ready(adapter, prompt_set(new_tokens=adapter.max_positions - 5))
        assert ready.kept.dropped[textsteer.TOO_LONG] >= 3
    ready = make_ready(adapter, prompt_set(directions={"hypothesis": ("boat", "boat")}))
    assert dict(ready.kept.dropped) == {textsteer.NO_DIFFERENCE: len(TEXTS)}
    rows, kept, more = run_prompts.measure(
        adapter, prompt_set(directions={"hypothesis": ("boat", "boat")}), RunConfig(), lambda _: None
    )
    assert rows.empty
    assert sum(kept.dropped.values()) == kept.given
    assert more == {}


def test_rows_of_a_set(adapter: Adapter) -> None:
    done: list[int] = []
    one = prompt_set(n_seeds=2)
    rows, kept, more = run_prompts.measure(adapter, one, RunConfig(dominant="en"), done.append)
    assert kept == Kept(len(TEXTS), {})
    assert done[-1] == len(TEXTS)
    assert set(rows["measure"]) == {"sentiment", "perplexity", "adherence"}
    doses = {(str(a), float(b)) for a, b in zip(rows["condition"], rows["strength"], strict=True)}
    signed = {(name, s) for name in ("hypothesis", "native") for s in (-5.0, -2.0, 2.0, 5.0)}
    assert doses == {("none", 0.0)} | signed | {
        (n, s) for n in ("real_difference", "random") for s in (2.0, 5.0)
    }
    assert (rows["layer"] == 2).all()
    assert not rows.duplicated(["case_id", "condition", "strength", "seed", "measure"]).any()
    assert np.isfinite(rows["value"]).all()
    n = len(doses) * len(TEXTS) * 2
    for measure in ("sentiment", "perplexity", "adherence"):
        unscored = sum(k for reason, k in more.get("unscored", {}).items() if reason.startswith(measure))
        assert (rows["measure"] == measure).sum() + unscored == n
    again, _, _ = run_prompts.measure(adapter, one, RunConfig(dominant="en", batch_tokens=64), done.append)
    said = ["case_id", "condition", "strength", "seed", "measure"]
    assert again[said].equals(rows[said])
    other = rows[~np.isclose(again["value"], rows["value"], rtol=1e-3)]
    texts = other[["case_id", "condition", "strength", "seed"]].drop_duplicates()
    assert len(texts) <= 1, "one draw of some hundreds may lie within a rounding of another token's share"
    full = run_prompts.measure(
        adapter, replace(one, prompts=one.prompts[:2]), RunConfig(preset="full"), done.append
    )[0]
    assert full["seed"].nunique() == 10
