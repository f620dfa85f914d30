"""The steered cases of the spokes: what is added, what should rise, what is left out and why."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path

import pytest

from semhub.data import arithmetic_steer, code_steer, language_steer, microworld
from semhub.data.items import NOT_SAMPLED
from semhub.data.source import IN_FSTRING, NOT_PARSED
from semhub.errors import UsageError
from semhub.lab import world
from semhub.lab.documents.arithmetic import operand_document
from semhub.lab.world.lexicon import NAMES, NOUNS, NUMBERS, PROPERTIES
from semhub.spokes import arithmetic, code, language
from semhub.types import (
    CaseSet,
    Direction,
    Request,
    RowDifference,
    StateDifference,
    SteerCase,
    SteerSet,
)  # fmt: skip

DATA = Path(
    os.environ.get("SEMHUB_TEST_DATA") or Path(__file__).resolve().parents[2] / ".." / "shared" / "data"
)
KINDS = (set(NAMES), set(PROPERTIES), {concept for concept, _, _ in NUMBERS.values()})


def steer_sets(sets: list[CaseSet]) -> dict[str, SteerSet]:
    found = [one for one in sets if isinstance(one, SteerSet)]
    for one in found:
        assert one.kept.given == len(one.cases) + sum(one.kept.dropped.values())
        assert all(case.at == len(case.content.text) for case in one.cases)
    return {one.variant: one for one in found}


def texts(direction: Direction) -> tuple[str, str]:
    """What is added and what is taken away."""
    if isinstance(direction, RowDifference):
        return direction.plus, direction.minus
    (plus,), (minus,) = direction.plus, direction.minus
    assert (plus.at, minus.at) == (len(plus.content.text), len(minus.content.text))
    return plus.content.text, minus.content.text


def named(cases: list[SteerCase] | SteerSet, name: str) -> SteerCase:
    return next(
        case for case in (cases.cases if isinstance(cases, SteerSet) else cases) if case.case_id == name
    )


# arithmetic


def test_sums() -> None:
    sets, provenance = arithmetic.steer(Request())
    by_name = steer_sets(sets)
    assert list(by_name) == ["addition"]
    whole = by_name["addition"]
    assert (whole.deciding, whole.new_tokens) == (True, 16)
    expected = {"": arithmetic_steer.parse_sum, "operand": arithmetic_steer.parse_operand}
    assert whole.readings == expected
    assert whole.strengths == (0.5, 1.0, 1.5, 2.0, 2.5, 3.0)
    assert (whole.kept.given, len(whole.cases)) == (846, 748)
    assert whole.kept.dropped == {arithmetic_steer.NO_LOWER: 98}
    case = named(whole, "3+5")
    assert (case.content.text, case.at, case.cluster_id) == ("8=3+", 4, "3")
    assert (case.new, case.old, case.answer) == (("4",), ("5",), "4+1")
    assert list(case.directions) == ["hypothesis", "native", "wrong_concept"]
    assert texts(case.directions["hypothesis"]) == ("eight equals to four plus", "eight equals to three plus")
    assert texts(case.directions["native"]) == ("8=4+", "8=3+")
    assert len(provenance) == 1


def test_sums_are_asked_for_as_the_lab_writes_them() -> None:
    """Word for word as in the documents that the organisms learn."""
    documents = [operand_document(random.Random(seed), "en").text for seed in range(1_000)]
    written = {text.rpartition(" ")[0] for text in documents if " plus " in text}
    assert len(written) > 300
    assert written <= {arithmetic_steer.asked(v, a, "en") for v in range(2, 100) for a in range(1, v)}


@pytest.mark.parametrize("seed", [0, 1])
def test_the_wrong_step_of_a_sum_has_other_answers(seed: int) -> None:
    of_numbers = {arithmetic_steer.spell(n): n for n in range(100)}
    for case in steer_sets(arithmetic.steer(Request(seed=seed))[0])["addition"].cases:
        answers = set()
        firsts = []
        for text in texts(case.directions["wrong_concept"]):
            value, first = text.removesuffix(" plus").split(" equals to ")
            firsts.append(of_numbers[first])
            answers.add(str(of_numbers[value] - of_numbers[first]))
        assert firsts[0] == firsts[1] + 1
        assert answers <= set("123456789")
        assert not answers & {*case.new, *case.old}
        value = int(case.content.text.split("=")[0])
        if value > 6:
            assert of_numbers[text.split(" equals to ")[0]] == value


def test_a_sample_of_sums_and_another_seed() -> None:
    few, other, again = (
        steer_sets(arithmetic.steer(Request(n=50, seed=seed))[0])["addition"] for seed in (1, 2, 1)
    )
    assert few == again != other
    assert len(few.cases) == 50
    assert few.kept.dropped == {arithmetic_steer.NO_LOWER: 98, NOT_SAMPLED: 698}


def test_sums_in_another_language() -> None:
    spanish = named(steer_sets(arithmetic.steer(Request(dominant="es"))[0])["addition"], "3+5")
    assert texts(spanish.directions["hypothesis"]) == (
        "ocho es igual a cuatro más",
        "ocho es igual a tres más",
    )
    assert texts(spanish.directions["native"]) == ("8=4+", "8=3+")
    chinese = named(steer_sets(arithmetic.steer(Request(dominant="zh"))[0])["addition"], "3+5")
    assert texts(chinese.directions["hypothesis"]) == ("八等于四加", "八等于三加")
    with pytest.raises(UsageError, match="Give --dominant en, es or zh"):
        arithmetic.steer(Request(dominant="de"))


# code


def given(tmp_path: Path, *programs: str, dominant: str = "en", seed: int = 0) -> Request:
    """A request for these programs in MBPP's layout, with a test that calls `range` too."""
    rows = [
        {"text": f"Task {i}.", "test_list": ["assert range(9)"], "code": one}
        for i, one in enumerate(programs)
    ]
    path = tmp_path / "mbpp.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return Request(data={"mbpp": str(path)}, dominant=dominant, seed=seed)


def test_ranges(tmp_path: Path) -> None:
    program = "é = [range ( # one\r\n n), range(len(x))]\r\nfor i in range((range(2))[0]): pass"
    (one,) = steer_sets(code.steer(given(tmp_path, program, "range(3)"))[0]).values()
    assert (one.variant, one.deciding, one.new_tokens) == ("range", True, 32)
    assert one.readings == {"": code_steer.parse_arguments}
    assert one.strengths == (0.25, 0.5, 1.0, 2.0)
    places = [case.at for case in one.cases[:4]]
    assert [case.content.text for case in one.cases[:4]] == [program[:at] for at in places]
    assert [program[at:][:4] for at in places] == [" # o", "len(", "(ran", "2))["]
    assert [case.case_id for case in one.cases[:2]] == [f"mbpp:0:{at - 1}" for at in places[:2]]
    assert [case.cluster_id for case in one.cases] == ["mbpp:0"] * 4 + ["mbpp:1"]
    assert one.cases[4].content.text == "range("
    for case in one.cases:
        assert (case.new, case.old) == (("0",), ())
        assert case.directions["hypothesis"] == RowDifference("start", "end")
        assert set(case.directions) == {"hypothesis", "wrong_concept"}


def test_ranges_that_are_no_cases_are_counted(tmp_path: Path) -> None:
    programs = [
        "range(1, 2); range(0, n, 2); range(); range(*n); range(stop=1); range(1, *n); x.range(1); f'{range(4)}'",
        "def range(n): return n\nrange(5)",
        "from six.moves import range\nfrom math import *\nrange(6)",
        "'''range(7)''' # range(8)\nxrange(9)",
        "range(",
        "#" * code.LONG + "\nrange(1)",
    ]
    (one,) = steer_sets(code.steer(given(tmp_path, *programs))[0]).values()
    assert [case.cluster_id for case in one.cases] == ["mbpp:2"]
    assert one.kept.dropped == {
        code_steer.SEVERAL: 2,
        code_steer.NO_ARGUMENT: 1,
        code_steer.NOT_PLAIN: 3,
        code_steer.REBOUND: 1,
        IN_FSTRING: 1,
        NOT_PARSED: 1,
        code.PAST: 1,
    }


def test_the_wrong_words_are_of_no_range_and_not_in_the_program(tmp_path: Path) -> None:
    program = "red = blue = green = 'black'\n" + "range(n)\n" * 200
    wrong = set()
    for case in steer_sets(code.steer(given(tmp_path, program))[0])["range"].cases:
        wrong.add(texts(case.directions["wrong_concept"]))
    assert wrong == {("clean", "dirty")}
    every = steer_sets(code.steer(given(tmp_path, "range(n)\n" * 200))[0])["range"].cases
    assert {texts(case.directions["wrong_concept"]) for case in every} == set(code_steer.WRONG)
    named_all = " ".join(word for pair in code_steer.WRONG for word in pair)
    (one,) = steer_sets(code.steer(given(tmp_path, f"'{named_all}'\nrange(n)"))[0])["range"].cases
    assert texts(one.directions["wrong_concept"]) in code_steer.WRONG


def test_generated_ranges_come_after_their_descriptions() -> None:
    one = steer_sets(code.steer(Request(n=200, seed=2))[0])["range"]
    assert len(one.cases) > 30
    assert set(one.kept.dropped) == {code_steer.SEVERAL}
    assert "after their descriptions" in one.source
    for case in one.cases:
        described, program = case.content.text.split(". This represents\n")
        assert "\n" not in described
        assert program.startswith("def ")
        assert program.endswith("): pass\nfor i in range(")


def test_ranges_in_another_language(tmp_path: Path) -> None:
    spanish = steer_sets(code.steer(Request(n=60, dominant="es"))[0])["range"].cases
    assert {texts(case.directions["hypothesis"]) for case in spanish} == {("inicio", "fin")}
    assert ("rojo", "azul") in {texts(case.directions["wrong_concept"]) for case in spanish}
    assert all(" Esto representa\ndef " in case.content.text for case in spanish)
    (none,) = steer_sets(code.steer(given(tmp_path, "range(n)", dominant="de"))[0]).values()
    assert (none.cases, none.kept.dropped) == ([], {code_steer.NO_WORD: 1})
    with pytest.raises(UsageError, match="no words in 'xx'"):
        code.steer(given(tmp_path, "range(n)", dominant="xx"))


def test_ranges_of_the_real_file() -> None:
    path = DATA / "mbpp"
    if not path.exists():
        pytest.skip(f"real data not found: {path} (set SEMHUB_TEST_DATA)")
    (one,) = steer_sets(code.steer(Request(data={"mbpp": str(path)}))[0]).values()
    assert (one.kept.given, len(one.cases), len({case.cluster_id for case in one.cases})) == (413, 182, 113)
    assert all(case.content.text.rstrip().endswith("(") for case in one.cases)


# language


def test_words() -> None:
    sets, provenance = language.steer(Request(n=60, seed=1))
    by_name = steer_sets(sets)
    assert list(by_name) == ["words/zh", "words/es"]
    assert all(one.deciding and not one.readings for one in by_name.values())
    assert all(one.strengths == (0.5, 1.0, 2.0, 4.0) for one in by_name.values())
    assert provenance == [microworld.provenance()]
    ends = {"en": " This represents", "zh": "这代表了", "es": " Esto representa"}
    meanings = world.meanings(60, 1)
    for variant, one in by_name.items():
        own = variant.removeprefix("words/")
        for case in one.cases:
            meaning = meanings[int(case.case_id.split(":")[1])]
            assert case.cluster_id == meaning.key
            assert case.content.text == world.render(meaning, own).text + ends[own]
            plus, minus = texts(case.directions["hypothesis"])
            assert minus == world.render(meaning, "en").text + ends["en"]
            assert plus.endswith(ends["en"])
            added, taken = texts(case.directions["native"])
            assert taken == case.content.text
            assert case.new[0] in added.lower() or case.new[0] in added
            assert case.old[0] in taken.lower() or case.old[0] in taken
            assert case.new != case.old


@pytest.mark.parametrize("languages", [("en", "zh"), ("en", "es"), ("es", "zh")])
def test_one_content_word_changes_in_both_languages(languages: tuple[str, str]) -> None:
    seen = set()
    for meaning in world.meanings(300, 0):
        one = language_steer.change(meaning, languages, 0)
        if one is None:
            continue
        assert one.meaning == meaning
        assert one.near in world.negatives(meaning)
        assert one.near.negated == meaning.negated
        for code_ in languages:
            before, after = (
                [word.concept for word in world.render(some, code_).words] for some in (meaning, one.near)
            )
            assert len(before) == len(after)
            assert [pair for pair in zip(before, after, strict=True) if pair[0] != pair[1]] == [
                (one.old, one.new)
            ]
            assert one.old not in after
            assert one.new not in before
        seen |= {i for i, known in enumerate(KINDS) if {one.new, one.old} <= known}
    assert seen == {0, 1, 2}


def test_words_are_written_as_restatements_are() -> None:
    """Names keep their capital, a word at the start of its sentence loses it."""
    spanish = steer_sets(language.steer(Request(n=300))[0])["words/es"].cases
    words = {word for case in spanish for word in (*case.new, *case.old)}
    assert {word for word in words if word[0].isupper()} <= {
        names["es"] for names in world.lexicon().values()
    }
    assert {"un", "una", "dos"} <= words
    assert {"Juan", "María"} <= words
    starts = [case for case in spanish if case.content.text.startswith(case.old[0].capitalize() + " ")]
    assert any(case.old[0].islower() for case in starts)


def test_the_wrong_change_is_of_other_words() -> None:
    """Apart from nouns, which a number's change may turn to the plural."""
    nouns = {form for noun in NOUNS.values() for form in (noun.en, noun.en_plural)}
    for case in steer_sets(language.steer(Request(n=200))[0])["words/zh"].cases:
        changed = []
        for name in ("hypothesis", "wrong_concept"):
            plus, minus = (
                set(text.lower().replace(".", "").split()) for text in texts(case.directions[name])
            )
            changed.append((plus - minus, minus - plus))
        (new, old), (other_new, other_old) = changed
        assert new
        assert other_new
        assert not (new | old) & (other_new | other_old) - nouns
        assert case.directions["wrong_concept"] != case.directions["hypothesis"]


def test_words_of_few_sentences_and_of_another_seed() -> None:
    one, other, again = (language.steer(Request(n=1, seed=seed))[0] for seed in (0, 1, 0))
    assert one == again != other
    for case_set in steer_sets(one).values():
        assert len(case_set.cases) + sum(case_set.kept.dropped.values()) == case_set.kept.given == 1
    longer = steer_sets(language.steer(Request(n=39))[0])["words/zh"].cases
    assert steer_sets(one)["words/zh"].cases == longer[:1]


def test_words_in_another_dominant_language() -> None:
    by_name = steer_sets(language.steer(Request(n=5, dominant="zh"))[0])
    assert list(by_name) == ["words/en", "words/es"]
    for one in by_name.values():
        for case in one.cases:
            assert isinstance(case.directions["hypothesis"], StateDifference)
            assert all(text.endswith("这代表了") for text in texts(case.directions["hypothesis"]))
    only = steer_sets(language.steer(Request(n=5, languages=("es",)))[0])
    assert list(only) == ["words/es"]
    with pytest.raises(UsageError, match="generated sentences exist in en, zh, es, not de"):
        language.steer(Request(languages=("de",)))
