"""The arithmetic spoke: all 1,123 expressions in the forms of the paper."""

from __future__ import annotations

from semhub.spokes import arithmetic
from semhub.types import LensSet, PairSet, Request, TrajectorySet


def test_similarity() -> None:
    sets, provenance = arithmetic.similarity(Request())
    bare, continued = sets
    assert isinstance(bare, PairSet)
    assert isinstance(continued, PairSet)
    assert (bare.variant, bare.deciding, continued.variant, continued.deciding) == (
        "all/bare", False, "all/continued", True
    )  # fmt: skip
    assert len(bare.pairs) == 1123
    pair = next(one for one in continued.pairs if one.case_id == "3*5")
    assert (pair.a.text, pair.b.text, pair.group, pair.cluster_id) == (
        "3*5=",
        "three times five equals",
        "15",
        "3",
    )
    assert next(one for one in bare.pairs if one.case_id == "3+5").b.text == "three plus five"
    assert len({one.case_id for one in bare.pairs}) == 1123
    assert len(provenance[0].sha256) == 64


def test_every_negative_has_one_operand_moved_by_one() -> None:
    (_, continued), _ = arithmetic.similarity(Request())
    assert isinstance(continued, PairSet)
    for pair in continued.pairs:
        words = pair.b.text.split()
        assert len(pair.negatives) == 2
        for near, changed in zip(pair.negatives, (0, 2), strict=True):
            other = near.text.split()
            assert [i for i, (one, two) in enumerate(zip(words, other, strict=True)) if one != two] == [
                changed
            ]


def test_lens() -> None:
    sets, _ = arithmetic.lens(Request())
    by_name = {one.variant: one for one in sets if isinstance(one, LensSet)}
    assert {name: len(one.cases) for name, one in by_name.items()} == {
        "all": 1123, "addition": 846, "multiplication": 277
    }  # fmt: skip
    assert [name for name, one in by_name.items() if one.deciding] == ["all"]
    case = next(one for one in by_name["all"].cases if one.case_id == "3+5")
    assert (case.content.text, case.at, case.cluster_id) == ("8=3+", 4, "3")
    assert case.words == {
        "dominant": ("five",), "surface": ("5",), "third_language": ("cinco",), "echo": ("three",)
    }  # fmt: skip
    assert "echo" not in next(one for one in by_name["all"].cases if one.case_id == "21+5").words
    for one in by_name["multiplication"].cases:
        value, rest = one.content.text.split("=")
        assert int(value) == int(rest[:-1]) * int(one.words["surface"][0])


def test_a_sample_is_counted() -> None:
    sets, _ = arithmetic.lens(Request(n=100))
    for one in sets:
        assert isinstance(one, LensSet)
        assert len(one.cases) + sum(one.kept.dropped.values()) == one.kept.given
    assert sum(one.kept.given for one in sets[1:]) == 1123


def test_trajectory() -> None:
    (one,), _ = arithmetic.trajectory(Request())
    assert isinstance(one, TrajectorySet)
    assert len(one.texts) == 100
    assert all(name == content.text and name.endswith("+") for name, content in one.texts)
    assert one.anchors[:2] == ("0", "1")
    assert one.anchors[10:12] == ("zero", "one")
    assert len(one.anchors) == 20


def test_another_dominant_language() -> None:
    (_, continued), _ = arithmetic.similarity(Request(n=5, dominant="es"))
    assert isinstance(continued, PairSet)
    assert continued.pairs[0].b.text.endswith(" es igual a")
    sets, _ = arithmetic.lens(Request(n=5, dominant="es"))
    assert isinstance(sets[0], LensSet)
    assert set(sets[0].cases[0].words["third_language"]) != set(sets[0].cases[0].words["dominant"])
