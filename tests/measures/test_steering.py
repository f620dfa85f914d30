"""Steered rows against plain float64 arithmetic on single forward passes, on models of several families."""

from __future__ import annotations

import zlib
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import torch
from tests.tiny import cached_checkpoint
from torch import Tensor

from semhub.measures.steercases import ALREADY, NOT_ONE_TOKEN, SAME_TOKEN, make_ready
from semhub.measures.steering import Dose, Steering, confirming_doses, grid_doses, most_moved, text_doses
from semhub.measures.vectors import Vectors
from semhub.models import load
from semhub.models.base import Adapter
from semhub.steer import write
from semhub.types import Content, Kept, Place, RowDifference, StateDifference, SteerCase, SteerSet

WORDS = ["one", "three", "five", "eight", "nine", "ten"]
PROMPTS = [
    "three plus five equals",
    "the old boat had gone home",
    "a",
    "two horses will cross",
    "河水很冷",
    "8=3+",
]


def place(text: str) -> Place:
    return Place(Content.of(text), len(text))


def steer_case(i: int, **changes: object) -> SteerCase:
    new, old = WORDS[i % len(WORDS)], WORDS[(i + 1) % len(WORDS)]
    directions = {
        "hypothesis": StateDifference((place(f"{new} plus"), place(f"the {new}")), (place(f"{old} plus"),)),
        "native": StateDifference((place("一"),), (place(f"{i}+"),)),
    }
    if i != 2:
        directions["wrong_concept"] = StateDifference((place("river was cold"),), (place("boat"),))
    text = PROMPTS[i]
    settings = dict(case_id=f"c{i}", cluster_id=f"k{i % 4}", content=Content.of(text), at=len(text))
    settings |= dict(directions=directions, new=(new,), old=(old,))
    return SteerCase(**{**settings, **changes})  # type: ignore[arg-type]


def steer_set(cases: list[SteerCase]) -> SteerSet:
    return SteerSet("x.steer", "v", cases, Kept(len(cases)), "made", deciding=True)


@pytest.fixture(scope="module", params=["llama", "gpt2", "gemma2", "bloom"])
def adapter(request: pytest.FixtureRequest) -> Adapter:
    return load(str(cached_checkpoint(request.param)), check=False)


def rng(name: str) -> np.random.Generator:
    return np.random.default_rng([1, zlib.crc32(name.encode())])


def steering(adapter: Adapter, cases: list[SteerCase]) -> Steering:
    ready = make_ready(adapter, steer_set(cases))
    return Steering(adapter, ready, Vectors(adapter, ready, rng), 64, "x.steer", "v")


def state(adapter: Adapter, text: str, layer: int) -> Tensor:
    """After the last token, float64, from the library's own hidden states."""
    encoded = adapter.encode([Content.of(text)])
    return adapter.hidden_states(adapter.collate(encoded))[layer][0, -1].double()


def plain_odds(
    adapter: Adapter, case: SteerCase, edit: Callable[[Tensor], Tensor] | None, layer: int
) -> float:
    inputs = adapter.collate(adapter.encode([case.content]))

    def change(states: Tensor, _: object) -> Tensor:
        out = states.double().clone()
        assert edit is not None
        out[0, -1] = edit(out[0, -1])
        return out

    with write(adapter, {layer: change} if edit else {}):
        logprobs = adapter.logits(inputs)[0, -1].double().log_softmax(-1)
    of = [logprobs[list(adapter.word_forms(word))].logsumexp(0) for word in (case.new[0], case.old[0])]
    return float(of[0] - of[1])


def test_log_odds_move_as_plain_arithmetic_says(adapter: Adapter) -> None:
    cases = [steer_case(i) for i in range(len(PROMPTS))]
    made = steering(adapter, cases)
    assert made.ready.kept.dropped == {}
    doses = [Dose("hypothesis", 0.0), Dose("hypothesis", 1.5), Dose("native", 0.5)]
    rows = made.next_token([1, 3], doses, lambda _: None)
    assert len(rows) == 2 * 3 * len(cases)
    assert (rows["value"][rows["strength"] == 0].abs() < 1e-5).all()
    for row in rows[rows["strength"] > 0].itertuples():
        case = next(one for one in cases if one.case_id == row.case_id)
        difference = case.directions[row.condition]
        assert isinstance(difference, StateDifference)
        plus, minus = (
            torch.stack([state(adapter, one.content.text, row.layer) for one in some]).mean(0)
            for some in (difference.plus, difference.minus)
        )
        vector = plus - minus
        before = plain_odds(adapter, case, None, row.layer)
        after = plain_odds(adapter, case, lambda h: h + row.strength * vector, row.layer)  # noqa: B023
        assert row.value == pytest.approx(after - before, abs=2e-3)


def test_interchange_puts_the_dominant_state_in_place(adapter: Adapter) -> None:
    cases = [steer_case(i) for i in range(4)]
    made = steering(adapter, cases)
    doses = [Dose("hypothesis", 1.0), Dose("interchange", 1.0)]
    rows = made.next_token([2], doses, lambda _: None)
    for row in rows[rows["condition"] == "interchange"].itertuples():
        case = next(one for one in cases if one.case_id == row.case_id)
        difference = case.directions["hypothesis"]
        assert isinstance(difference, StateDifference)
        put = torch.stack([state(adapter, one.content.text, 2) for one in difference.plus]).mean(0)
        moved = plain_odds(adapter, case, lambda _: put, 2) - plain_odds(adapter, case, None, 2)  # noqa: B023
        assert row.value == pytest.approx(moved, abs=2e-3)
    added = made.next_token([2], doses[:1], lambda _: None)
    np.testing.assert_allclose(rows["value"][: len(added)], added["value"], atol=1e-5)


def test_controls_are_as_long_as_the_hypothesis_and_differ(adapter: Adapter) -> None:
    made = steering(adapter, [steer_case(i) for i in range(len(PROMPTS))])
    vectors = made.vectors
    assert set(vectors.conditions) == {
        "hypothesis", "wrong_concept", "native", "shuffled", "wrong_layer", "real_difference", "random",
        "interchange",
    }  # fmt: skip
    for layer in (1, 2, 3):
        length = vectors.of("hypothesis", layer).norm(dim=-1)
        for condition in ("shuffled", "wrong_layer", "real_difference", "random", "wrong_concept"):
            found = vectors.of(condition, layer)
            kept = torch.from_numpy(vectors.has(condition))
            torch.testing.assert_close(found[kept].norm(dim=-1), length[kept])
            assert not torch.isclose(found[kept], vectors.of("hypothesis", layer)[kept]).all(dim=-1).any()
            assert torch.isnan(found[~kept]).all()
        assert torch.equal(vectors.of("real_difference", layer, 3), vectors.of("real_difference", layer, 3))
        assert not torch.equal(
            vectors.of("real_difference", layer, 3), vectors.of("real_difference", layer, 4)
        )
    assert not vectors.has("wrong_concept")[2]
    assert vectors.has("wrong_concept").sum() == len(PROMPTS) - 1


def test_a_real_difference_is_one_of_two_contents(adapter: Adapter) -> None:
    made = steering(adapter, [steer_case(i) for i in range(len(PROMPTS))])
    pool, sources = made.ready.states[0], made.ready.sources
    directions = {
        tuple(((one - other) / (one - other).norm()).mul(1e3).round().tolist())
        for one, a in zip(pool, sources, strict=True)
        for other, b in zip(pool, sources, strict=True)
        if a != b
    }
    found = made.vectors.of("real_difference", 1)
    for vector in found / found.norm(dim=-1, keepdim=True):
        assert tuple(vector.mul(1e3).round().tolist()) in directions


def test_wrong_layer_reads_elsewhere(adapter: Adapter) -> None:
    made = steering(adapter, [steer_case(0), steer_case(1)])
    other = made.vectors.of("hypothesis", 2)
    found = made.vectors.of("wrong_layer", 1)
    torch.testing.assert_close(
        found / found.norm(dim=-1, keepdim=True), other / other.norm(dim=-1, keepdim=True)
    )


def test_rows_of_the_unembedding_are_as_long_as_the_states(adapter: Adapter) -> None:
    directions = {"hypothesis": RowDifference("five", "three"), "wrong_concept": RowDifference("one", "ten")}
    made = steering(adapter, [steer_case(i, directions=directions) for i in (0, 1, 3)])
    assert "shuffled" not in made.vectors.conditions
    assert "wrong_layer" not in made.vectors.conditions
    weight = adapter.unembedding.weight.double()
    row = [weight[list(adapter.word_forms(word))].mean(0) for word in ("five", "three")]
    size = torch.stack([state(adapter, PROMPTS[i], 2) for i in (0, 1, 3)]).norm(dim=-1).mean()
    expected = (row[0] - row[1]) / (row[0] - row[1]).norm() * size
    for vector in made.vectors.of("hypothesis", 2):
        torch.testing.assert_close(vector.double(), expected, rtol=1e-4, atol=1e-4)


def test_cases_that_cannot_be_scored_are_counted(adapter: Adapter) -> None:
    top = int(adapter.logits(adapter.collate(adapter.encode([Content.of(PROMPTS[3])])))[0, -1].argmax())
    word = adapter.token_text(top).strip()
    cases = [
        steer_case(0),
        steer_case(1, new=("unheard-of",)),
        steer_case(2, old=("one", "unheard-of"), new=("one",)),
        steer_case(4, old=()),
    ]
    if word and top in adapter.word_forms(word):
        cases.append(steer_case(3, new=(word,), old=()))
    kept = make_ready(adapter, steer_set(cases)).kept
    assert kept.dropped[NOT_ONE_TOKEN] == 1
    assert kept.dropped[SAME_TOKEN] == 1
    assert kept.dropped.get(ALREADY, 0) == len(cases) - 4
    assert kept.given == len(cases)


def test_an_empty_old_word_is_the_models_own_choice(adapter: Adapter) -> None:
    case = steer_case(0, old=())
    ready = make_ready(adapter, steer_set([case]))
    logits = adapter.logits(adapter.collate(adapter.encode([case.content])))[0, -1]
    assert ready.old.tolist() == [[int(logits.argmax())]]


def test_doses_are_every_condition_at_every_strength(adapter: Adapter) -> None:
    vectors = steering(adapter, [steer_case(i) for i in range(4)]).vectors
    assert len(grid_doses(vectors, (1.0, 2.0))) == 2 * 7 + 1
    confirm = confirming_doses(vectors, 2.0, 19)
    assert [one.draw for one in confirm if one.condition == "real_difference"] == list(range(19))
    assert {one.draw for one in confirm if one.condition != "real_difference"} == {-1}
    assert {one.condition for one in text_doses(vectors, (1.0,))} == {
        "hypothesis", "native", "wrong_concept", "real_difference", "random",
    }  # fmt: skip


def test_texts_are_parsed_case_by_case_and_scored_after_their_first_token(adapter: Adapter) -> None:
    cases = [steer_case(i) for i in range(4)]
    made = steering(adapter, cases)
    heard: list[tuple[str, str, str]] = []

    def parse(steered: str, plain: str, case: SteerCase) -> str:
        heard.append((steered, plain, case.case_id))
        return "skip" if case.case_id == "c1" else "unchanged" if steered == plain else "other"

    rows = made.text(
        2, [Dose("hypothesis", 3.0)], {"": parse, "again": parse}, 4, perplexity=True, progress=lambda _: None
    )
    again = rows[rows["variant"] == "v/again"].assign(variant="v").reset_index(drop=True)
    rows = rows[rows["variant"] == "v"].reset_index(drop=True)
    outcome = rows[~rows["measure"].isin({"perplexity", "share"})]
    pd.testing.assert_frame_equal(again, outcome.reset_index(drop=True))
    assert set(outcome["case_id"]) == {"c0", "c2", "c3"}
    assert outcome.groupby(["case_id", "condition"])["value"].sum().eq(1).all()
    unsteered = outcome[(outcome["condition"] == "none") & (outcome["measure"] == "unchanged")]
    assert unsteered["value"].eq(1).all()
    assert set(unsteered["strength"]) == {0.0}
    assert all(steered == plain for steered, plain, _ in heard[: len(cases)])
    for row in rows[(rows["measure"] == "perplexity") & (rows["condition"] == "none")].itertuples():
        case = next(one for one in cases if one.case_id == row.case_id)
        ids = list(adapter.encode([case.content])[0].ids)
        start, scores = len(ids), []
        for step in range(4):
            logprobs = adapter.logits(_alone(adapter, ids))[0, -1].double().log_softmax(-1)
            ids.append(int(logprobs.argmax()))
            scores += [float(logprobs.max())] if step else []
            if ids[-1] in adapter.end_ids:
                break
        assert len(ids) > start + 1
        assert row.value == pytest.approx(float(np.exp(-np.mean(scores))), rel=1e-3)


def test_the_share_of_the_new_word_among_both(adapter: Adapter) -> None:
    cases = [steer_case(i) for i in range(3)]
    made = steering(adapter, cases)
    doses = [Dose("hypothesis", 2.0), Dose("native", 0.5)]
    rows = made.text(2, doses, {"": lambda *_: "other"}, 2, perplexity=False, progress=lambda _: None)
    rows = rows[rows["measure"] == "share"]
    assert len(rows) == 3 * len(cases)
    for row in rows.itertuples():
        case = next(one for one in cases if one.case_id == row.case_id)
        edit = None
        if row.condition != "none":
            difference = case.directions[row.condition]
            assert isinstance(difference, StateDifference)
            plus, minus = (
                torch.stack([state(adapter, one.content.text, 2) for one in some]).mean(0)
                for some in (difference.plus, difference.minus)
            )
            edit = lambda h, by=row.strength * (plus - minus): h + by  # noqa: E731
        odds = plain_odds(adapter, case, edit, 2)
        assert row.value == pytest.approx(np.exp(odds) / (1 + np.exp(odds)), abs=1e-3)
    silent = made.text(2, doses, {}, 2, perplexity=True, progress=lambda _: None)
    assert set(silent["measure"]) == {"perplexity"}


def _alone(adapter: Adapter, ids: list[int]):  # type: ignore[no-untyped-def]
    from semhub.models.base import Encoded

    return adapter.collate([Encoded(tuple(ids), ())])


def test_the_authors_convention_reads_one_layer_below(adapter: Adapter) -> None:
    made = steering(adapter, [steer_case(i) for i in range(len(PROMPTS))])
    below = Vectors(adapter, made.ready, rng, earlier=1)
    for layer in range(2, adapter.n_layers):
        torch.testing.assert_close(below.of("hypothesis", layer), made.vectors.of("hypothesis", layer - 1))
        torch.testing.assert_close(below.of("interchange", layer), made.vectors.of("interchange", layer))
    assert not torch.allclose(below.of("hypothesis", 2), made.vectors.of("hypothesis", 2))


def test_most_moved_is_the_largest_mean_over_strengths_beyond_a_real_difference() -> None:
    rng = np.random.default_rng(0)
    rows = [
        (condition, layer, strength, str(case), float(rng.normal()))
        for condition in ("hypothesis", "real_difference", "random")
        for layer in (1, 3)
        for strength in (0.5, 2.0)
        for case in range(5)
    ]
    frame = pd.DataFrame(rows, columns=["condition", "layer", "strength", "case_id", "value"])
    grid = frame.assign(measure="delta_logit").sample(frac=1, random_state=1)

    def mean(condition: str, layer: int, strength: float) -> float:
        return float(np.mean([row[4] for row in rows if row[:3] == (condition, layer, strength)]))

    want = [
        max(mean("hypothesis", layer, s) - mean("real_difference", layer, s) for s in (0.5, 2.0))
        if layer in (1, 3)
        else 0.0
        for layer in range(5)
    ]
    found = most_moved(grid, 4)
    assert found is not None
    np.testing.assert_allclose(found, want, atol=1e-12)
    assert most_moved(grid[grid["condition"] != "real_difference"], 4) is None
    one = (grid["condition"] == "hypothesis") & (grid["layer"] == 3) & (grid["strength"] == 0.5)
    broken = most_moved(grid.assign(value=grid["value"].mask(one & (grid["case_id"] == "2"))), 4)
    assert broken is not None
    assert np.isnan(broken[3])  # though at the other strength all are numbers
    np.testing.assert_allclose(np.delete(broken, 3), np.delete(want, 3), atol=1e-12)
    alone = (grid["condition"] == "real_difference") & (grid["case_id"] == "4")
    paired = most_moved(grid[~alone], 4)
    np.testing.assert_allclose(paired, most_moved(grid[grid["case_id"] != "4"], 4))
