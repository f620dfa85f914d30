"""The case that a report shows of an experiment."""

from __future__ import annotations

from semhub import registry
from semhub.runs.examples import READ_HERE, SHOWN, example
from semhub.types import (
    Content,
    Kept,
    LensCase,
    LensSet,
    Pair,
    PairSet,
    Place,
    Request,
    RowDifference,
    StateDifference,
    SteerCase,
    SteerSet,
    TextSet,
)  # fmt: skip


def test_a_pair_with_near_misses_is_shown() -> None:
    plain = Pair("0", "0", Content.of("a 0"), Content.of("b 0"))
    near = Pair("1", "1", Content.of("a 1"), Content.of("b 1" * SHOWN), (Content.of("c 1"), Content.of("d")))
    sets = [
        PairSet("e", "other", [Pair("x", "x", Content.of("x"), Content.of("y"))], Kept(1), "t"),
        PairSet("e", "deciding", [plain, near], Kept(2), "t", deciding=True),
    ]
    assert [(row["label"], row["text"][:3]) for row in example(sets)] == [
        ("a", "a 1"), ("b", "b 1"), ("near miss of b", "c 1"),
    ]  # fmt: skip
    assert len(example(sets)[1]["text"]) == SHOWN + 1


def test_a_lens_case_marks_its_position() -> None:
    words = {"dominant": ("start", "begin"), "third_language": ("inicio",)}
    case = LensCase("0", "0", Content.of("f(x,  y)"), 6, words, next_token=True)
    rows = example([LensSet("e", "all", [case], Kept(1), "t", "en", "code")])
    assert [(row["label"], row["text"]) for row in rows] == [
        (f"text, read before {READ_HERE}", f"f(x,{READ_HERE}  y)"),
        ("dominant", "start, begin"),
        ("third language", "inicio"),
        ("surface", "the token that follows"),
    ]
    long = LensCase("0", "0", Content.of("x" * 5000 + " y"), 5001, {"dominant": ("z",)})
    shown = example([LensSet("e", "all", [long], Kept(1), "t", "en", "")])[0]["text"]
    assert READ_HERE in shown
    assert len(shown) <= SHOWN + 2


def test_a_steered_case_shows_what_is_added_and_what_should_come_of_it() -> None:
    one, two = Place(Content.of("one plus"), 8), Place(Content.of("two plus "), 8)
    directions = {
        "hypothesis": StateDifference((one, two), (two,)),
        "wrong_concept": RowDifference("red", "blue"),
    }
    case = SteerCase("0", "0", Content.of("8=3+ and more"), 4, directions, ("4",), ("5",))
    rows = example([SteerSet("e", "all", [case], Kept(1), "t")])
    assert [(row["label"], row["text"]) for row in rows] == [
        (f"text, changed before {READ_HERE}", f"8=3+{READ_HERE} and more"),
        ("hypothesis: add", f"one plus{READ_HERE} / two plus{READ_HERE} "),
        ("hypothesis: take away", f"two plus{READ_HERE} "),
        ("wrong concept: add", "red"),
        ("wrong concept: take away", "blue"),
        ("should rise", "4"),
        ("should fall", "5"),
    ]
    any_old = SteerCase("0", "0", Content.of("range("), 6, directions, ("0",))
    assert (
        example([SteerSet("e", "all", [any_old], Kept(1), "t")])[-1]["text"]
        == "the token that the model puts first"
    )


def test_nothing_to_show() -> None:
    assert example([]) == []
    assert example([TextSet("e", "en", [("0", Content.of("x"))], Kept(1), "t")]) == []
    assert example([PairSet("e", "all", [], Kept(0), "t", deciding=True)]) == []


def test_every_verdict_s_experiment_has_one() -> None:
    for one in registry.experiments():
        sets = one.build(Request(n=12))[0]
        if any(isinstance(given, PairSet | LensSet | SteerSet) for given in sets):
            assert len(example(sets)) >= 2, one.id
