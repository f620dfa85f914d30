"""Steering the areas of pictures against a plain loop in float64: one row at a time, hooks by hand."""

from __future__ import annotations

import zlib
from dataclasses import replace
from typing import Literal

import numpy as np
import pytest
import torch
from tests.measures import picturing
from tests.measures.model import forms
from torch import Tensor

from semhub.measures import necessity
from semhub.measures.steercases import NOT_ONE_TOKEN, READ_THERE, make_ready
from semhub.measures.steering import Dose, Steering, confirming_doses, grid_doses
from semhub.measures.vectors import Vectors
from semhub.measures.words import NO_PATCH
from semhub.types import (
    Area,
    Content,
    Image,
    Kept,
    Place,
    RowDifference,
    StateDifference,
    SteerCase,
    SteerSet,
)  # fmt: skip

WORDS = ["one", "three", "five", "eight", "nine", "ten"]
PICTURES = [Image(data=bytes(range(40 + i, 46 + 2 * i))) for i in range(3)]
LEFT, RIGHT, ONE, ALL = bytes([0, 1, 2]), bytes([2, 3, 4, 5]), bytes([4]), b""  # LEFT and RIGHT overlap
# picture, mask, words before and after it
TABLE = [
    (0, LEFT, "two ", " plus"),
    (0, RIGHT, "two ", " plus"),
    (1, ONE, "", " equals three"),
    (1, ALL, "", " equals three"),
    (2, RIGHT, "the old boat ", ""),  # the picture ends the content
    (2, LEFT, "the old boat ", ""),
]
IDS = [f"c{i}" for i in range(len(TABLE))]


def content(i: int) -> Content:
    picture, _, before, after = TABLE[i]
    return Content.of(*(part for part in (before, PICTURES[picture], after) if part))


def case(i: int, **changes: object) -> SteerCase:
    new, old = WORDS[i], WORDS[(i + 1) % len(WORDS)]
    directions = {"hypothesis": RowDifference(new, old), "wrong_concept": RowDifference("two", "six")}
    settings = dict(case_id=IDS[i], cluster_id=f"k{TABLE[i][0]}", content=content(i), at=0)
    settings |= dict(directions=directions, new=(new,), old=(old,), area=Area(len(TABLE[i][2]), TABLE[i][1]))
    return SteerCase(**{**settings, **changes})  # type: ignore[arg-type]


def by_state(i: int) -> SteerCase:
    """Its direction is the difference of mean states of two areas of other pictures."""
    plus, minus = (i + 2) % len(TABLE), (i + 4) % len(TABLE)
    difference = StateDifference((place(plus), place((plus + 1) % len(TABLE))), (place(minus),))
    return case(i, directions={"hypothesis": difference})


def place(i: int) -> Place:
    return Place(content(i), 0, Area(len(TABLE[i][2]), TABLE[i][1]))


def made(
    cases: list[SteerCase],
    how: Literal["add", "replace"] = "add",
    onward: bool = False,
    batch_tokens: int = 64,
) -> Steering:
    adapter = picturing.picturing()[0]
    steer_set = SteerSet(
        "x.steer", "v", cases, Kept(len(cases)), "made", special_tokens=False, how=how, onward=onward
    )
    ready = make_ready(adapter, steer_set, batch_tokens)
    return Steering(adapter, ready, Vectors(adapter, ready, rng), batch_tokens, "x.steer", "v")


def rng(name: str) -> np.random.Generator:
    return np.random.default_rng([1, zlib.crc32(name.encode())])


def ids(i: int) -> tuple[int, ...]:
    (encoded,) = picturing.picturing()[0].encode([content(i)], special_tokens=False)
    return encoded.ids


def positions(i: int) -> list[int]:
    adapter = picturing.picturing()[0]
    (before,) = adapter.encode([Content.of(TABLE[i][2])], special_tokens=False) if TABLE[i][2] else [None]
    first, n = len(before.ids) if before else 0, len(PICTURES[TABLE[i][0]].data)
    return [first + k for k in (TABLE[i][1] or range(n))]


def area_states(i: int, layer: int) -> Tensor:
    """States of a case's own area [position, d_model], float64."""
    return picturing.run(ids(i))[0][layer][positions(i)]


def odds(i: int, one: SteerCase, edits: dict[int, dict[int, Tensor]] | None = None) -> float:
    logprobs = picturing.run(ids(i), edits)[1].log_softmax(-1)
    new, old = (logprobs[forms(words[0])].logsumexp(0) for words in (one.new, one.old))
    return float(new - old)


def row_direction(one: SteerCase, condition: str, size: float) -> Tensor:
    weight = picturing.picturing()[1].lm_head.weight
    direction = one.directions[condition]
    assert isinstance(direction, RowDifference)
    plus, minus = (weight[forms(word)].mean(0) for word in (direction.plus, direction.minus))
    return (plus - minus) / (plus - minus).norm() * size


def mean_length(layer: int, cases: list[int]) -> float:
    """Of the states at the written positions: the mean over each area, then over the cases."""
    return float(np.mean([float(area_states(i, layer).norm(dim=-1).mean()) for i in cases]))


@pytest.mark.parametrize("how", ["add", "replace"])
@pytest.mark.parametrize("onward", [False, True])
def test_log_odds_move_as_the_plain_loop_says(how: Literal["add", "replace"], onward: bool) -> None:
    every = list(range(len(TABLE)))
    cases = [case(i) for i in every]
    steering = made(cases, how, onward)
    doses = [
        Dose("hypothesis", 0.0),
        Dose("hypothesis", 0.5),
        Dose("hypothesis", 2.0),
        Dose("wrong_concept", 1.0),
    ]
    rows = steering.next_token([1, 2, 3], doses, lambda _: None)
    assert len(rows) == 3 * len(doses) * len(cases)
    assert (rows["value"][rows["strength"] == 0].abs() < 1e-5).all()
    for row in rows[rows["strength"] > 0].itertuples():
        i = IDS.index(row.case_id)
        edits: dict[int, dict[int, Tensor]] = {}
        for layer in range(row.layer, 4 if onward else row.layer + 1):
            vector = row_direction(cases[i], row.condition, mean_length(layer, every)) * row.strength
            states = picturing.run(ids(i), edits)[0][layer]  # as the earlier edits leave them
            put = {p: states[p] + vector if how == "add" else vector for p in positions(i)}
            edits[layer] = put
        moved = odds(i, cases[i], edits) - odds(i, cases[i])
        assert row.value == pytest.approx(moved, abs=3e-3)


@pytest.mark.parametrize("onward", [False, True])
def test_mean_states_of_areas_make_directions_and_take_each_others_place(onward: bool) -> None:
    cases = [by_state(i) for i in range(len(TABLE))]
    steering = made(cases, onward=onward)
    assert set(steering.vectors.conditions) == {
        "hypothesis", "shuffled", "wrong_layer", "interchange", "real_difference", "random"
    }  # fmt: skip
    rows = steering.next_token([2], [Dose("hypothesis", 1.5), Dose("interchange", 1.0)], lambda _: None)
    for row in rows.itertuples():
        i = IDS.index(row.case_id)
        plus, minus = (i + 2) % len(TABLE), (i + 4) % len(TABLE)
        edits: dict[int, dict[int, Tensor]] = {}
        for layer in (2, 3) if onward else (2,):
            ends = [area_states(k % len(TABLE), layer).mean(0) for k in (plus, plus + 1, minus)]
            dominant = (ends[0] + ends[1]) / 2
            states = picturing.run(ids(i), edits)[0][layer]
            edits[layer] = {
                p: dominant if row.condition == "interchange" else states[p] + 1.5 * (dominant - ends[2])
                for p in positions(i)
            }
        moved = odds(i, cases[i], edits) - odds(i, cases[i])
        assert row.value == pytest.approx(moved, abs=3e-3)


def test_what_takes_a_states_place_is_as_long_as_the_states() -> None:
    steering = made([by_state(i) for i in range(len(TABLE))], "replace")
    for layer in (1, 2, 3):
        size = mean_length(layer, list(range(len(TABLE))))
        for condition in ("hypothesis", "shuffled", "wrong_layer", "real_difference", "random"):
            length = steering.vectors.of(condition, layer).norm(dim=-1)
            np.testing.assert_allclose(length.numpy(), size, rtol=1e-4)
    added = made([by_state(i) for i in range(len(TABLE))]).vectors.of("hypothesis", 2).norm(dim=-1)
    assert added.std() > 1e-3


def test_controls_are_as_long_as_the_direction_case_by_case() -> None:
    steering = made([case(i) for i in range(len(TABLE))])
    assert set(steering.vectors.conditions) == {
        "hypothesis", "wrong_concept", "shuffled", "real_difference", "random"
    }  # fmt: skip
    for layer in (1, 3):
        length = steering.vectors.of("hypothesis", layer).norm(dim=-1)
        for condition in ("wrong_concept", "shuffled", "real_difference", "random"):
            found = steering.vectors.of(condition, layer, 2).norm(dim=-1)
            torch.testing.assert_close(found, length)


def test_real_differences_are_of_mean_states_of_different_pictures() -> None:
    """Six cases show three pictures; a direction of rows borrows its real differences from the inputs."""
    steering = made([case(i) for i in range(len(TABLE))])
    means = [area_states(i, 2).mean(0) for i in range(len(TABLE))]
    allowed = [
        (means[i] - means[k]) / (means[i] - means[k]).norm()
        for i in range(len(TABLE))
        for k in range(len(TABLE))
        if TABLE[i][0] != TABLE[k][0]
    ]
    for draw in range(20):
        for vector in steering.vectors.of("real_difference", 2, draw).double():
            assert max(float(vector @ one) / float(vector.norm()) for one in allowed) > 1 - 1e-5
    one_picture = made([case(i) for i in (0, 1)])
    assert "real_difference" not in one_picture.vectors.conditions


def test_a_state_of_a_text_is_not_interchanged_with_a_pictures() -> None:
    text = Place(Content.of("one two"), 7)
    direction = {"hypothesis": StateDifference((text,), (Place(Content.of("ten"), 3),))}
    steering = made([case(i, directions=direction) for i in range(3)])
    assert "interchange" not in steering.vectors.conditions


def test_each_picture_is_read_once_for_all_its_areas(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three contents, six areas: states come from three forward passes' worth of tokens."""
    from semhub.measures import steercases

    seen: list[int] = []
    plainly = steercases.capture

    def counted(adapter, encoded, *given, **named):  # type: ignore[no-untyped-def]
        seen.append(len(encoded))
        return plainly(adapter, encoded, *given, **named)

    monkeypatch.setattr(steercases, "capture", counted)
    made([by_state(i) for i in range(len(TABLE))])
    assert seen == [3]


def test_cases_without_a_place_are_dropped_and_counted() -> None:
    good = case(0)
    nowhere = case(1, area=Area(4, bytes([77])))
    unknown = case(2, area=Area(0, b"?"))
    lost = Place(content(1), 0, Area(4, bytes([77])))
    direction = by_state(3)
    difference = direction.directions["hypothesis"]
    assert isinstance(difference, StateDifference)
    elsewhere = replace(direction, directions={"hypothesis": replace(difference, minus=(lost,))})
    steering = made([good, nowhere, unknown, elsewhere, case(4, new=("unheard-of",))])
    assert steering.ready.kept.dropped == {NO_PATCH: 2, picturing.BLIND: 1, NOT_ONE_TOKEN: 1}
    assert [one.case_id for one in steering.ready.cases] == ["c0"]


def test_halves_keep_their_own_areas() -> None:
    steering = made([case(i) for i in range(len(TABLE))], "replace", onward=True)
    keep = np.array([False, True, False, True, True, False])
    half = replace(steering, ready=steering.ready.subset(keep))
    half = replace(half, vectors=Vectors(half.adapter, half.ready, rng))
    some = [i for i in range(len(TABLE)) if keep[i]]
    rows = half.next_token([2], [Dose("hypothesis", 1.0)], lambda _: None)
    assert list(rows["case_id"]) == [IDS[i] for i in some]
    for row in rows.itertuples():
        i = IDS.index(row.case_id)
        edits = {
            layer: dict.fromkeys(positions(i), row_direction(case(i), "hypothesis", mean_length(layer, some)))
            for layer in (2, 3)
        }
        assert row.value == pytest.approx(odds(i, case(i), edits) - odds(i, case(i)), abs=3e-3)


def test_doses_in_parts_are_doses_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from semhub.measures import steering as module

    steering = made([case(i) for i in range(len(TABLE))], onward=True)
    doses = grid_doses(steering.vectors, (0.5, 1.0)) + confirming_doses(steering.vectors, 1.0, 3)
    doses = list(dict.fromkeys(doses))
    whole = steering.next_token([1], doses, lambda _: None)
    monkeypatch.setattr(module, "VECTORS_AT_ONCE", 1)
    parts = steering.next_token([1], doses, lambda _: None)
    assert list(parts["condition"]) == list(whole["condition"])
    np.testing.assert_allclose(parts["value"], whole["value"], atol=1e-5)


@pytest.mark.parametrize("how", ["add", "replace"])
def test_texts_are_generated_under_the_edits_of_the_whole_area(how: Literal["add", "replace"]) -> None:
    cases = [case(i) for i in range(len(TABLE))]
    steering = made(cases, how, onward=True)
    heard: dict[str, list[str]] = {}

    def parse(steered: str, plain: str, one: SteerCase) -> str:
        heard.setdefault(one.case_id, []).append(steered)
        return "unchanged" if steered == plain else "other"

    doses = [Dose("hypothesis", 2.0)]
    rows = steering.text(1, doses, {"": parse}, 4, perplexity=True, progress=lambda _: None)
    adapter, every = steering.adapter, list(range(len(TABLE)))
    for i, one in enumerate(cases):
        for steered, strength in zip(heard[one.case_id], (0.0, 2.0), strict=True):
            said, scores = list(ids(i)), []
            for _ in range(4):
                edits: dict[int, dict[int, Tensor]] = {}
                for layer in (1, 2, 3) if strength else ():
                    vector = strength * row_direction(one, "hypothesis", mean_length(layer, every))
                    states = picturing.run(said, edits)[0][layer]
                    edits[layer] = {p: states[p] + vector if how == "add" else vector for p in positions(i)}
                said.append(int(picturing.run(said, edits)[1].argmax()))
                if said[-1] in adapter.end_ids:
                    break
            assert steered == adapter.continuation(ids(i), said[len(ids(i)) :])
            for at in range(len(ids(i)) + 1, len(said)):
                logprobs = picturing.run(said[:at])[1].log_softmax(-1)
                scores.append(float(logprobs[said[at]]))
            found = rows[(rows["measure"] == "perplexity") & (rows["case_id"] == one.case_id)]
            found = found[found["strength"] == strength]
            if scores:
                assert found["value"].item() == pytest.approx(float(np.exp(-np.mean(scores))), rel=2e-3)


def test_where_the_output_is_read_nothing_is_written() -> None:
    """The picture ends the content: its last position, written, would only come out again."""
    last = len(PICTURES[2].data) - 1
    at, end = len(TABLE[4][2]), len(ids(4)) - 1
    cases = [
        case(4, area=Area(at, bytes([last - 1, last]))),
        case(4, case_id="alone", area=Area(at, bytes([last]))),
    ]
    ready = made(cases).ready
    assert ready.written == [(end - 1,)]
    assert ready.kept.dropped == {READ_THERE: 1}


def test_necessity_takes_the_subspace_out_of_the_whole_area() -> None:
    """Every written state keeps what is outside the span; inside it has the mean of the other half's mean states."""
    steering = made([case(i) for i in range(len(TABLE))])
    select, layers = np.array([True, False, True, False, True, False]), range(2, 4)
    rows = necessity.measure(steering, select, layers, rng, special_tokens=False)
    found = rows[rows["condition"] == "hypothesis"].set_index("case_id")["value"]
    chosen = np.flatnonzero(select).tolist()
    assert set(found.index) == {IDS[i] for i in (1, 3, 5)}
    for i in (1, 3, 5):
        plain = picturing.run(ids(i))[1].log_softmax(-1)
        edits: dict[int, dict[int, Tensor]] = {}
        for layer in layers:
            vectors = [row_direction(case(k), "hypothesis", mean_length(layer, chosen)) for k in chosen]
            _, sizes, span = torch.linalg.svd(torch.stack(vectors), full_matrices=False)
            share = (sizes**2).cumsum(0) / (sizes**2).sum()
            basis = span[: int((share < 0.9).sum()) + 1]
            mean = torch.stack([area_states(k, layer).mean(0) for k in chosen]).mean(0)
            states = picturing.run(ids(i), edits)[0][layer]
            edits[layer] = {p: states[p] + ((mean - states[p]) @ basis.T) @ basis for p in positions(i)}
        own = int(plain.argmax())
        lost = plain[own] - picturing.run(ids(i), edits)[1].log_softmax(-1)[own]
        assert found[IDS[i]] == pytest.approx(float(lost), abs=3e-4)
    assert found.abs().max() > 1e-3
