"""What a run does, as units, and how several processes share them."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from semhub import registry
from semhub.errors import UsageError
from semhub.runs import plan
from semhub.runs.plan import Built, Unit
from semhub.types import (
    Area,
    CaseSet,
    Content,
    Image,
    Kept,
    LensCase,
    LensSet,
    Pair,
    PairSet,
    Place,
    Request,
    RowDifference,
    Sound,
    StateDifference,
    SteerCase,
    SteerSet,
    TextSet,
)  # fmt: skip

PAIRS = [
    Pair(f"own:{i}", f"own:{i}", Content.of(f"a {i}"), Content.of(f"b {i}"), (Content.of("no"),))
    for i in range(4)
]
SET = PairSet("own.similarity", "zh/all", PAIRS, Kept(4), "own")
EXPERIMENT = replace(registry.experiments(ids=["arithmetic.similarity"])[0], id="own.similarity")


def built(*sets: CaseSet) -> list[Built]:
    return [Built(EXPERIMENT, sets, ())]


def test_one_unit_for_each_set_and_each_twin_of_deciding_pairs() -> None:
    texts = TextSet("own.similarity", "en", [("t:0", Content.of("x"))], Kept(1), "own")
    deciding = replace(SET, variant="deciding", deciding=True)
    units = plan.units(built(SET, texts, deciding), 2)
    names = ["own.similarity--zh-all", "own.similarity--en", "own.similarity--deciding"]
    twins = ["twin-000", "twin-001", "twin_embeddings-000", "twin_embeddings-001"]
    assert [unit.id for unit in units] == names + twins
    assert all(unit.sets == (plan.for_twins(deciding),) for unit in units[3:])
    assert [plan.n_contents([unit]) for unit in units[:2]] == [9, 1]
    assert plan.n_contents(units[:2]) == 10


def test_a_steered_set_runs_through_what_its_differences_are_made_of() -> None:
    a, b, c = (Content.of(text) for text in "abc")
    difference = StateDifference((Place(a, 1), Place(b, 1)), (Place(c, 1),))
    cases = [
        SteerCase(
            str(i),
            str(i),
            one,
            1,
            {"hypothesis": difference, "wrong_concept": RowDifference("x", "y")},
            ("z",),
        )
        for i, one in enumerate((Content.of("d"), a))
    ]
    steered = SteerSet("own.steer", "all", cases, Kept(2), "own", deciding=True)
    assert sorted(one.text for one in plan.contents(steered)) == ["a", "b", "c", "d"]
    (unit,) = plan.units(built(steered), 5)
    assert (unit.id, plan.n_contents([unit]), unit.twin) == ("own.steer--all", 4, None)


class Wide:
    """As much of an adapter as groups are made by: a content's states take 2,000 bytes."""

    n_layers, d_model, dtype = 4, 100, torch.float32


def test_sets_of_one_experiment_and_kind_share_their_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    bare, other = replace(SET, variant="bare", special_tokens=False), replace(SET, variant="other")
    pair_sets = [SET, replace(SET, variant="b", deciding=True), other]
    words = {"dominant": ("one",), "surface": ("1",)}
    case = LensCase("own:0", "own:0", Content.of("a 0"), 2, words)
    lens = LensSet("own.lens", "all", [case], Kept(1), "own", "en", "zh")
    elsewhere = replace(lens, variant="c", cases=[replace(case, content=Content.of("a 1"))])
    lenses = [lens, replace(lens, variant="b"), elsewhere, replace(lens, variant="spelled", spelled=True)]
    texts = TextSet("own.similarity", "en", [("t:0", Content.of("x"))], Kept(1), "own")
    found = plan.groups(plan.units(built(*pair_sets, bare, *lenses, texts), 1), Wide())
    assert [[unit.id for unit in group] for group in found] == [
        ["own.similarity--zh-all", "own.similarity--b", "own.similarity--other"],
        ["own.similarity--bare"],
        ["own.lens--all", "own.lens--b"],
        ["own.lens--c"],
        ["own.lens--spelled"],
        ["own.similarity--en"],
        ["twin-000"],
        ["twin_embeddings-000"],
    ]
    monkeypatch.setattr(plan, "STATES_AT_ONCE", 9 * 2000)
    assert [len(group) for group in plan.groups(plan.units(built(*pair_sets), 0), Wide())] == [3]
    more = [replace(PAIRS[0], case_id="own:9", a=Content.of("c"))]
    longer = [SET, replace(SET, variant="longer", pairs=[*PAIRS, *more]), other]
    assert [len(group) for group in plan.groups(plan.units(built(*longer), 0), Wide())] == [1, 1, 1]
    monkeypatch.setattr(plan, "STATES_AT_ONCE", 10 * 2000)
    assert [len(group) for group in plan.groups(plan.units(built(*longer), 0), Wide())] == [3]


@pytest.mark.parametrize(
    "content", [Content.of(Image(data=b"x"), " one"), Content.of(Sound(data=b"x"), " one")]
)
def test_what_comes_in_through_an_encoder_has_twins_wherever_it_is_read(content: Content) -> None:
    """Over the picture or the sound, or at a position of the text after it."""
    case = LensCase("own:0", "own:0", content, 3, {"dominant": ("one",)})
    lens = LensSet("own.lens", "all", [case], Kept(1), "own", "en", "", deciding=True)
    over = replace(lens, variant="over", cases=[replace(case, area=Area(0))])
    text = replace(lens, variant="text", cases=[replace(case, content=Content.of("a 0"))])
    steered = SteerSet(
        "own.steer",
        "push",
        [SteerCase(str(i), str(i), content, 3, {}, ("one",), area=Area(0)) for i in range(50)],
        Kept(50),
        "own",
        deciding=True,
    )
    aside = replace(steered, variant="shown", deciding=False)
    units = plan.units(built(lens, over, text, steered, aside), 2)
    twins = [unit for unit in units if unit.twin is not None]
    assert [unit.id for unit in twins] == ["twin_embeddings-000", "twin_embeddings-001"]
    assert [[one.variant for one in unit.sets] for unit in twins] == [["all", "over", "push"]] * 2
    assert [len(unit.sets[2].cases) for unit in twins] == [40, 40]


@pytest.mark.parametrize(
    ("n", "shares_words", "want"),
    [(4, False, 4), (300, False, 300), (901, False, 300), (901, True, 100), (0, True, 0)],
)
def test_twins_run_through_a_share_of_the_pairs(n: int, shares_words: bool, want: int) -> None:
    pairs = [replace(PAIRS[0], case_id=f"own:{i}") for i in range(n)]
    given = replace(SET, pairs=pairs, shares_words=shares_words)
    chosen = plan.twin_pairs(given)
    assert len(chosen) == len(set(chosen)) == want
    assert chosen == sorted(chosen)
    shown = plan.for_twins(given)
    assert [pair.case_id for pair in shown.pairs] == [f"own:{i}" for i in chosen]
    assert all(bool(pair.negatives) == shares_words for pair in shown.pairs)


def test_twins_run_through_pairs_with_near_misses_where_those_decide() -> None:
    """Every third pair has one, as with generated programs of three kinds: chosen are these, and all sorts of them."""
    pairs = [
        replace(PAIRS[0], case_id=f"own:{i}", negatives=PAIRS[0].negatives if i % 3 else ())
        for i in range(600)
    ]
    chosen = plan.twin_pairs(replace(SET, pairs=pairs, shares_words=True))
    assert len(chosen) == 100
    assert all(i % 3 for i in chosen)
    assert {i % 3 for i in chosen} == {1, 2}
    assert 200 < sum(chosen) / len(chosen) < 400
    assert len(plan.twin_pairs(replace(SET, pairs=pairs[:1], shares_words=True))) == 0


def test_no_twins_where_near_misses_decide_and_there_are_none() -> None:
    bare = [replace(pair, negatives=()) for pair in PAIRS]
    without = replace(SET, variant="none", pairs=bare, deciding=True, shares_words=True)
    assert [unit.twin for unit in plan.units(built(without), 5)] == [None]


def test_no_twins_without_pairs_to_judge() -> None:
    alone = replace(SET, variant="one", pairs=PAIRS[:1], deciding=True)
    assert [unit.twin for unit in plan.units(built(SET, alone), 5)] == [None, None]


def test_two_sets_of_one_name_are_refused() -> None:
    with pytest.raises(UsageError, match=r"own\.similarity--zh-all"):
        plan.units(built(SET, replace(SET, variant="zh-all")), 0)


@pytest.mark.parametrize("count", [1, 2, 3, 7, 20])
def test_shares_cover_every_unit_once(count: int) -> None:
    units = [Unit(f"u{i}", ()) for i in range(10)]
    shares = [plan.share(units, (index, count)) for index in range(1, count + 1)]
    assert sorted(unit.id for share in shares for unit in share) == sorted(unit.id for unit in units)
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@pytest.mark.parametrize("shard", [(0, 2), (3, 2), (1, 0)])
def test_a_share_out_of_range_is_refused(shard: tuple[int, int]) -> None:
    with pytest.raises(UsageError, match="shards count from 1"):
        plan.share([], shard)


def test_building_asks_every_experiment() -> None:
    chosen = registry.experiments(["arithmetic"])
    found = plan.build(chosen, Request(n=3))
    assert [item.experiment.id for item in found] == [one.id for one in chosen]
    assert all(one.experiment == item.experiment.id for item in found for one in item.sets)
    assert all(item.provenance for item in found)
