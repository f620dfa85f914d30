"""Pair sets that are read together: the states of each are its own, and what they have in common is run once."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from semhub.models.base import Adapter
from semhub.runs.shard import pair_states, read_pairs
from semhub.types import Content, Kept, Pair, PairSet

TEXTS = [("three plus five", "3+5"), ("two", "2"), ("one two three four", "1 2 3 4"), ("8=3+", "el río")]


def pair_set(variant: str, end: str, chosen: slice) -> PairSet:
    pairs = [
        Pair(f"x:{i}", f"x:{i}", Content.of(a + end), Content.of(b + end), (Content.of(b + " nine" + end),))
        for i, (a, b) in enumerate(TEXTS)
    ]
    return PairSet("x.similarity", variant, pairs[chosen], Kept(len(pairs)), "test")


SETS = [
    pair_set("bare", "", slice(None)),
    pair_set("continued", " equals", slice(None)),
    pair_set("some", "", slice(1, 3)),
    replace(pair_set("none", "", slice(None)), pairs=[]),
]


@pytest.mark.parametrize("batch_tokens", [8, 4096])
def test_sets_together_have_the_states_of_each_alone(
    adapter: Adapter, monkeypatch: pytest.MonkeyPatch, batch_tokens: int
) -> None:
    run: list[tuple[int, ...]] = []
    collate = adapter.collate
    monkeypatch.setattr(
        adapter,
        "collate",
        lambda batch, *more: (run.extend(one.ids for one in batch), collate(batch, *more))[1],
    )
    together = read_pairs(adapter, SETS, batch_tokens, None)
    assert len(run) == len(set(run)) == 3 * len(TEXTS), "the bare texts begin the continued ones"
    for one, got in zip(SETS, together, strict=True):
        alone = pair_states(adapter, one, batch_tokens, None)
        for layer in range(got.n_layers):
            for found, wanted in (
                (got.a(layer), alone.a(layer)),
                (got.b(layer), alone.b(layer)),
                (got.pick(layer, got.negative_index), alone.pick(layer, alone.negative_index)),
            ):
                torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)
        assert got.negative_of.tolist() == alone.negative_of.tolist()
    assert len(together[2].pairs) == 2
    assert not torch.allclose(together[0].a(2), together[1].a(2))


def test_no_sets_with_pairs_is_no_pass(adapter: Adapter) -> None:
    (empty,) = read_pairs(adapter, SETS[3:], 4096, None)
    assert empty.states.shape[1] == 0
