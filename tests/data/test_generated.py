"""Numbers, expressions and the micro-world as data."""

from __future__ import annotations

from itertools import pairwise

import pytest

from semhub.data import expressions, microworld, numbers
from semhub.data.items import subsample
from semhub.errors import UsageError


def test_the_1123_expressions() -> None:
    found = expressions.expressions()
    brute = {(a, op, b) for a in range(1, 100) for b in range(1, 10) for op in "+*"
             if (a + b if op == "+" else a * b) < 100}  # fmt: skip
    assert {(one.a, one.op, one.b) for one in found} == brute
    assert len(found) == len(set(found)) == 1123
    assert sum(one.op == "+" for one in found) == 846


def test_one_expression_in_every_form() -> None:
    sum_, product = expressions.Expression(3, "+", 5), expressions.Expression(21, "*", 4)
    assert (sum_.digits, sum_.prompt, sum_.words(), sum_.value) == ("3+5", "8=3+", "three plus five", 8)
    assert (product.prompt, product.words()) == ("84=21*", "twenty-one times four")
    assert product.words("es") == "veintiuno por cuatro"
    assert product.words("zh") == "二十一乘四"
    assert {one.digits for one in expressions.Expression(1, "+", 9).neighbours()} == {"2+9", "1+8"}


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "零"), (7, "七"), (10, "十"), (15, "十五"), (20, "二十"), (99, "九十九"), (100, "一百"),
     (105, "一百零五"),
     (110, "一百一十"), (220, "二百二十"), (999, "九百九十九")],
)  # fmt: skip
def test_chinese_number_words(number: int, text: str) -> None:
    assert numbers.spell(number, "zh") == text


def test_unspelled_languages_are_refused() -> None:
    with pytest.raises(UsageError, match="no number words"):
        numbers.spell(3, "xx")
    with pytest.raises(UsageError, match="not spelled"):
        numbers.operator("+", "de")


def test_parallel_sides_agree_and_negatives_differ() -> None:
    found = microworld.parallel(50, 0)
    assert set(found.texts) == {"en", "zh", "es"}
    assert len(set(found.clusters)) == 50
    for code, sides in found.negatives.items():
        for text, near in zip(found.texts[code], sides, strict=True):
            assert near
            assert text not in near
    assert found == microworld.parallel(50, 0)
    assert found.texts != microworld.parallel(50, 1).texts


@pytest.mark.parametrize(("language", "dominant"), [("zh", "en"), ("es", "en"), ("en", "zh")])
def test_lens_cases_point_at_their_words(language: str, dominant: str) -> None:
    cases, kept = microworld.lens_cases(40, 0, language, dominant)
    assert len(cases) + sum(kept.dropped.values()) == kept.given
    assert len({case.case_id for case in cases}) == len(cases)
    for case in cases:
        (surface,) = case.words["surface"]
        assert case.at > 0
        assert case.content.text[case.at :].startswith(surface)
        assert len(case.words["dominant"]) == 1
        assert case.words["dominant"][0] != surface
        assert case.next_word == surface
    by_content = [case for case in cases if case.cluster_id == cases[0].cluster_id]
    for before, after in pairwise(by_content):
        assert after.words["echo"] == before.words["dominant"]


def test_training_and_held_out_sentences_are_apart() -> None:
    train = set(microworld.training_texts(300, 0)["en"])
    assert not train & set(microworld.texts(300, 0)["en"])


def test_unknown_generated_languages_are_refused() -> None:
    assert microworld.others((), "en") == ("zh", "es")
    assert microworld.others((), "zh") == ("en", "es")
    with pytest.raises(UsageError, match="not de"):
        microworld.others(("de",), "en")


def test_subsample() -> None:
    assert subsample(5, None, 0) == [0, 1, 2, 3, 4]
    drawn = subsample(100, 10, 0)
    assert drawn == sorted(set(drawn))
    assert len(drawn) == 10
    assert drawn != subsample(100, 10, 1)
