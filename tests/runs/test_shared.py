"""What a group runs at once, and what the lab leaves out: each set's rows stay its own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pandas as pd
import pytest
import torch

from semhub import registry
from semhub.models.base import Adapter, Encoded
from semhub.runs import plan
from semhub.runs.config import RunConfig
from semhub.runs.shard import pair_states, read_pairs, run_group
from semhub.stats.tables import by_variant
from semhub.stats.verdict import decide
from semhub.types import Content, Kept, Pair, PairSet, Request

START = 1  # the id of the start token
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
    replace(pair_set("plain", "", slice(None)), special_tokens=False),
]


@pytest.mark.parametrize("batch_tokens", [8, 4096])
def test_sets_together_have_the_states_of_each_alone(
    adapter: Adapter, monkeypatch: pytest.MonkeyPatch, batch_tokens: int
) -> None:
    run: list[tuple[int, ...]] = []
    collate, encode = adapter.collate, adapter.encode

    def started(contents: list[Content], special_tokens: bool = True) -> list[Encoded]:
        """This tokenizer has no start token of its own."""
        found = encode(contents, special_tokens)
        begun = [replace(one, ids=(START, *one.ids), offsets=(None, *one.offsets)) for one in found]
        return begun if special_tokens else found

    monkeypatch.setattr(adapter, "encode", started)
    monkeypatch.setattr(
        adapter,
        "collate",
        lambda batch, *more: (run.extend(one.ids for one in batch), collate(batch, *more))[1],
    )
    together = read_pairs(adapter, SETS, batch_tokens, None)
    assert len(run) == len(set(run))
    marked = [ids for ids in run if ids[0] == START]
    assert len(marked) == 3 * len(TEXTS), "the bare texts begin the continued ones"
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
    assert not torch.allclose(together[0].a(2), together[4].a(2))


def test_no_sets_with_pairs_is_no_pass(adapter: Adapter) -> None:
    (empty,) = read_pairs(adapter, SETS[3:4], 4096, None)
    assert empty.states.shape[1] == 0


def test_what_no_verdict_rests_on_can_be_left_out(adapter: Adapter, small: RunConfig) -> None:
    """The rows that stay are the same numbers, and so are the verdict's tests."""
    given = registry.experiments(ids=["arithmetic.steer"])
    config = small.model_copy(update={"n": 60})
    sets = [one for item in plan.build(given, Request(n=60)) for one in item.sets if one.deciding]
    unit = plan.Unit("steer", tuple(sets))

    def rows(tested_only: bool) -> pd.DataFrame:
        ((_, found, _),) = run_group(adapter, [unit], config, None, lambda _: None, tested_only=tested_only)
        return found

    def decided(found: pd.DataFrame) -> dict[str, Any]:
        variants = {"arithmetic.steer": [one.variant for one in sets]}
        (one,) = [
            verdict
            for verdict in decide(by_variant(found), ["arithmetic"], variants, config.seed, n_draws=50)
            if verdict["prediction"] == "P3"
        ]
        checks = [check for check in one.pop("checks") if "necessity" not in check["name"]]
        return {**one, "checks": checks}

    whole, part = rows(False), rows(True)
    assert 0 < len(part) < len(whole)
    columns = [name for name in whole.columns if name != "value"]
    merged = part.merge(whole, on=columns, suffixes=("", "_whole"))
    assert len(merged) >= len(part)
    assert (merged["value"] == merged["value_whole"]).all()
    assert decided(whole)["checks"]
    assert decided(part) == decided(whole)
