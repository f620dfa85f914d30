"""The case that a report shows of an experiment."""

from __future__ import annotations

from semhub import registry
from semhub.runs.examples import READ_HERE, SHOWN, example
from semhub.types import Content, Kept, LensCase, LensSet, Pair, PairSet, Request, TextSet


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


def test_nothing_to_show() -> None:
    assert example([]) == []
    assert example([TextSet("e", "en", [("0", Content.of("x"))], Kept(1), "t")]) == []
    assert example([PairSet("e", "all", [], Kept(0), "t", deciding=True)]) == []


def test_every_verdict_s_experiment_has_one() -> None:
    for one in registry.experiments():
        sets = one.build(Request(n=3))[0]
        if any(isinstance(given, PairSet | LensSet) for given in sets):
            assert len(example(sets)) >= 2, one.id
