"""What is lost without a subspace, against plain float64 arithmetic on single forward passes."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
import torch
from tests.tiny import cached_checkpoint
from torch import Tensor

from semhub.measures import necessity
from semhub.measures.steercases import make_ready
from semhub.measures.steering import Steering
from semhub.measures.vectors import Vectors
from semhub.models import load
from semhub.models.base import Adapter
from semhub.steer import write
from semhub.types import Content, Kept, Place, RowDifference, StateDifference, SteerCase, SteerSet

TEXTS = ["three plus five", "the old boat had gone home", "a", "two horses", "河水很冷", "8=3+"]
WORDS = ["one", "three", "five", "eight", "nine", "ten"]
BAND = range(2, 4)


def place(text: str) -> Place:
    return Place(Content.of(text), len(text))


def case(i: int, rows: bool = False) -> SteerCase:
    new, old = WORDS[i], WORDS[(i + 1) % len(WORDS)]
    states = StateDifference((place(f"{new} plus"),), (place(f"the {old}"),))
    direction = RowDifference(new, old) if rows else states
    text = TEXTS[i]
    return SteerCase(f"c{i}", f"k{i}", Content.of(text), len(text), {"hypothesis": direction}, (new,), (old,))


@pytest.fixture(scope="module", params=["llama", "gpt2", "gemma2", "bloom"])
def adapter(request: pytest.FixtureRequest) -> Adapter:
    return load(str(cached_checkpoint(request.param)), check=False)


def rng(name: str) -> np.random.Generator:
    return np.random.default_rng([1, zlib.crc32(name.encode())])


def steering(adapter: Adapter, rows: bool = False) -> Steering:
    cases = [case(i, rows) for i in range(len(TEXTS))]
    ready = make_ready(adapter, SteerSet("x.steer", "v", cases, Kept(len(cases)), "made"))
    assert len(ready.cases) == len(cases)
    return Steering(adapter, ready, Vectors(adapter, ready, rng), 64, "x.steer", "v")


def state(adapter: Adapter, text: str, layer: int) -> Tensor:
    inputs = adapter.collate(adapter.encode([Content.of(text)]))
    return adapter.hidden_states(inputs)[layer][0, -1].double()


def lost(adapter: Adapter, text: str, bases: dict[int, Tensor], means: dict[int, Tensor]) -> float:
    """Log p of the model's own next token: as it is, less with the mean put in the place of the part in the span."""
    inputs = adapter.collate(adapter.encode([Content.of(text)]))

    def logprobs(edits: dict) -> Tensor:  # type: ignore[type-arg]
        with write(adapter, edits):
            return adapter.logits(inputs)[0, -1].double().log_softmax(-1)

    def edit(layer: int):  # type: ignore[no-untyped-def]
        def change(states: Tensor, _: object) -> Tensor:
            out = states.double().clone()
            for vector in bases[layer]:
                out[0, -1] += ((means[layer] - out[0, -1]) @ vector) * vector
            return out

        return change

    before = logprobs({})
    return float((before - logprobs({layer: edit(layer) for layer in bases}))[before.argmax()])


def gram_schmidt(vectors: list[Tensor]) -> Tensor:
    kept: list[Tensor] = []
    for vector in vectors:
        rest = vector - sum(((vector @ one) * one for one in kept), torch.zeros_like(vector))
        kept.append(rest / rest.norm())
    return torch.stack(kept)


def test_both_sides_lose_what_plain_arithmetic_says(adapter: Adapter) -> None:
    made, select = steering(adapter), np.array([True, True, False, True, False, False])
    rows = necessity.measure(made, select, BAND, rng)
    assert set(rows["measure"]) == {"loss"}
    assert set(rows["case_id"]) == {"c2", "c4", "c5"}  # those that chose are not measured
    bases, spoke, dominant = {}, {}, {}
    for layer in BAND:
        directions = []
        for i in np.flatnonzero(select):
            plus, minus = (f"{WORDS[i]} plus", f"the {WORDS[(i + 1) % 6]}")
            directions.append(state(adapter, plus, layer) - state(adapter, minus, layer))
        _, sizes, span = torch.linalg.svd(torch.stack(directions), full_matrices=False)
        held = (sizes**2).cumsum(0) / (sizes**2).sum()
        bases[layer] = span[: next(k for k in range(3) if held[k] >= 0.9) + 1]
        spoke[layer] = torch.stack([state(adapter, TEXTS[i], layer) for i in np.flatnonzero(select)]).mean(0)
        texts = [t for i in np.flatnonzero(select) for t in (f"{WORDS[i]} plus", f"the {WORDS[(i + 1) % 6]}")]
        dominant[layer] = torch.stack([state(adapter, text, layer) for text in texts]).mean(0)
    found = rows[rows["condition"] == "hypothesis"].set_index(["variant", "case_id"])["value"]
    for i in (2, 4, 5):
        own = lost(adapter, TEXTS[i], bases, spoke)
        assert found["v/necessity/spoke", f"c{i}"] == pytest.approx(own, abs=2e-4)
        theirs = lost(adapter, f"{WORDS[i]} plus", bases, dominant)
        assert found["v/necessity/dominant", f"c{i}"] == pytest.approx(theirs, abs=2e-4)
    assert found.abs().max() > 1e-3


def test_the_control_is_a_span_of_as_many_real_differences(
    adapter: Adapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(necessity, "DRAWS", 1)
    made, select = steering(adapter), np.array([True, True, False, True, False, False])
    rows = necessity.measure(made, select, BAND, rng)
    vectors = Vectors(adapter, made.ready.subset(select), rng)
    bases, means = {}, {}
    for layer in BAND:
        k = len(necessity.subspace(vectors.of("hypothesis", layer)))
        bases[layer] = gram_schmidt(list(vectors.of("real_difference", layer, 0)[:k].double()))
        means[layer] = torch.stack([state(adapter, TEXTS[i], layer) for i in np.flatnonzero(select)]).mean(0)
    found = rows[(rows["condition"] == "real_difference") & (rows["variant"] == "v/necessity/spoke")]
    for row in found.itertuples():
        plain = lost(adapter, TEXTS[int(row.case_id[1:])], bases, means)
        assert row.value == pytest.approx(plain, abs=2e-4)


def test_directions_of_rows_have_no_dominant_side(adapter: Adapter) -> None:
    rows = necessity.measure(steering(adapter, rows=True), np.arange(6) < 3, BAND, rng)
    assert set(rows["variant"]) == {"v/necessity/spoke"}
    assert necessity.measure(steering(adapter), np.ones(6, dtype=bool), BAND, rng).empty


def test_a_subspace_holds_nine_tenths_and_at_most_eight_dimensions() -> None:
    axes = torch.eye(20)
    assert len(necessity.subspace(torch.stack([3 * axes[0], axes[1] * 0.9]))) == 1
    assert len(necessity.subspace(torch.stack([3 * axes[0], axes[1] * 1.1]))) == 2
    assert len(necessity.subspace(axes)) == 8
    same = necessity.subspace(axes[:1].repeat(5, 1))
    assert torch.allclose(same.abs(), axes[:1])
