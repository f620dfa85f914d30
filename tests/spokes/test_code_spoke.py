"""The code spoke on generated programs, on programs of our own, and on the real file where it is."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from semhub.data.source import NOT_PARSED
from semhub.errors import UsageError
from semhub.spokes import code
from semhub.types import CaseSet, LensCase, LensSet, PairSet, Request

DATA = Path(
    os.environ.get("SEMHUB_TEST_DATA") or Path(__file__).resolve().parents[2] / ".." / "shared" / "data"
)


def given(
    tmp_path: Path, *programs: str | dict[str, Any], n: int | None = None, dominant: str = "en"
) -> Request:
    """A request for these programs in MBPP's layout."""
    rows = [
        {"text": f"Task {i}.", "test_list": []} | ({"code": one} if isinstance(one, str) else one)
        for i, one in enumerate(programs)
    ]
    path = tmp_path / "mbpp.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return Request(data={"mbpp": str(path)}, n=n, dominant=dominant)


def lens_sets(sets: Sequence[CaseSet]) -> dict[str, LensSet]:
    for one in sets:
        assert isinstance(one, LensSet)
        assert one.kept.given == len(one.cases) + sum(one.kept.dropped.values())
        assert one.surface_language == "code"
        assert all(case.next_token and ("surface" in case.words) == one.spelled for case in one.cases)
    return {one.variant: one for one in sets if isinstance(one, LensSet) and not one.spelled}


def pair_sets(sets: Sequence[CaseSet]) -> dict[str, PairSet]:
    for one in sets:
        assert isinstance(one, PairSet)
        assert one.kept.given == len(one.pairs) + sum(one.kept.dropped.values())
        assert one.shares_words
    return {one.variant: one for one in sets if isinstance(one, PairSet)}


def around(case: LensCase) -> str:
    """The character before the position's white space, and what follows it."""
    text = case.content.text
    return text[: case.at].rstrip()[-1] + text[case.at : case.at + 3]


def test_whole_words_are_the_cases_of_all_with_the_first_word_of_each_argument(tmp_path: Path) -> None:
    request = given(tmp_path, "def f(first_one, b, c): pass\nf(some_list[0], 'x', -1)\n")
    every, *_, whole = code.lens_role(request)[0]
    assert isinstance(every, LensSet)
    assert isinstance(whole, LensSet)
    assert (whole.variant, whole.spelled, whole.deciding) == ("whole_words", True, False)
    assert [case.words["dominant"] for case in whole.cases] == [("first_one",), ("b",), ("c",)]
    assert [case.words["surface"] for case in whole.cases] == [("some_list",), ("'",), ("-",)]
    assert [case.at for case in whole.cases] == [case.at for case in every.cases]


def test_and(tmp_path: Path) -> None:
    row = {"code": "x = f([1,\t2], b)\r\n", "test_list": ["assert x == ['é', (3, 4)]", "assert g(h(5, 6))"]}
    sets = lens_sets(code.lens_and(given(tmp_path, row))[0])
    assert not any(one.deciding for one in sets.values())
    lists, calls = sets["list_comma"], sets["call_comma"]
    assert [around(case) for case in lists.cases] == [",2],", ",(3,"]
    assert [around(case) for case in calls.cases] == [",b)\r", ",6))"]
    case = lists.cases[0]
    assert case.content.text == f"{row['code']}\n{row['test_list'][0]}\n{row['test_list'][1]}"
    assert (case.case_id, case.cluster_id) == (f"mbpp:0:{case.at}", "mbpp:0")
    assert case.words == {"dominant": ("and",), "control": ("or", "not")}
    chinese = lens_sets(code.lens_and(given(tmp_path, row, dominant="zh"))[0])["list_comma"]
    assert chinese.cases[0].words == {"dominant": ("和",), "control": ("或", "不")}
    assert chinese.dominant_language == "zh"
    with pytest.raises(UsageError, match="no words in 'xx'"):
        code.lens_and(given(tmp_path, row, dominant="xx"))


def test_what_and_leaves_out_is_counted(tmp_path: Path) -> None:
    programs: list[str | dict[str, Any]] = [
        "[1, # one\n 2,\n 3, \\\n 4]\nf'{[5, 6]}{f(7, 8, 9)}'",
        {"code": "x = [1, 2]", "test_list": ["assert ("]},
        "def f(:",
    ]
    sets = lens_sets(code.lens_and(given(tmp_path, *programs, "f(1, 2)"))[0])
    assert [around(case) for case in sets["list_comma"].cases] == [",3, "]
    assert sets["list_comma"].kept.dropped == {
        code.APART: 2, "inside an f-string": 1, code.TESTS_NOT_PARSED: 1, NOT_PARSED: 1
    }  # fmt: skip
    assert sets["call_comma"].kept.dropped == {
        "inside an f-string": 2, code.TESTS_NOT_PARSED: 1, NOT_PARSED: 1
    }  # fmt: skip


ROLES = """def give(owner, thing, *rest, place=None): pass
give(a, b, c, place=(d))
give(owner, thing=e)
len(f)
sorted(g, key=h)
i.split(j)
max(k)
m.n(o)
"""


def test_role(tmp_path: Path) -> None:
    sets = lens_sets(code.lens_role(given(tmp_path, {"code": ROLES, "test_list": ["assert int(p)"]}))[0])
    assert [name for name, one in sets.items() if one.deciding] == ["all"]
    found = {
        name: [(around(case)[:2], *case.words["dominant"]) for case in one.cases]
        for name, one in sets.items()
    }
    assert found == {
        "all": [("(a", "owner"), (",b", "thing"), ("(g", "iterable")],
        "builtins": [("(g", "iterable")],
        "defined": [("(a", "owner"), (",b", "thing")],
        "keywords": [("=e", "thing"), ("=h", "key")],
        "methods": [("(j", "sep")],
    }
    assert sets["all"].kept.dropped == {
        "taken by *args, which names none of them": 1,
        "keyword argument (they have a variant of their own)": 3,
        "the argument is spelled like the parameter": 1,
        "the parameter is called obj or object": 1,
        "argument of range, max, min, dict, zip or type": 1,
    }
    assert sets["keywords"].kept.dropped == {"the argument starts with a bracket": 1}
    assert [case.words["echo"] for case in sets["defined"].cases] == [("give",), ("give",)]
    assert all(case.content.text == ROLES for case in sets["all"].cases)


def test_roles_in_another_language(tmp_path: Path) -> None:
    sets = lens_sets(code.lens_role(given(tmp_path, ROLES, dominant="es"))[0])
    assert [case.words for case in sets["defined"].cases] == [
        {"dominant": ("dueño",)},
        {"dominant": ("cosa",)},
    ]
    assert sets["methods" if "methods" in sets else "all"].kept.dropped.get(code.NO_WORD, 0) == 0
    program = "def f(qqq): pass\nf(x)"
    (only,) = code.lens_role(given(tmp_path, program, dominant="zh"))[0]
    assert isinstance(only, LensSet)
    assert (only.variant, only.kept.dropped) == ("all", {code.NO_WORD: 1})


def test_names_with_underscores_and_names_of_several_words(tmp_path: Path) -> None:
    sets = lens_sets(code.lens_role(given(tmp_path, "def to_x(a_1): pass\nto_x(y)\nisinstance(y, z)"))[0])
    assert [case.words for case in sets["all"].cases] == [
        {"dominant": ("a_1",)}, {"dominant": ("class_or_tuple",), "echo": ("isinstance",)}
    ]  # fmt: skip


def test_long_programs_are_cut_at_a_line(tmp_path: Path) -> None:
    program = "x = [1, 2]\r\n" * 1_000
    one = lens_sets(code.lens_and(given(tmp_path, program))[0])["list_comma"]
    shown = one.cases[0].content.text
    assert len(shown) <= code.LONG < len(shown) + 12
    assert program.startswith(shown)
    assert shown.endswith("\n")
    assert one.kept.dropped == {code.PAST: 1_000 - len(shown) // 12}
    assert pair_sets(code.similarity(given(tmp_path, program))[0])["all/bare"].kept.dropped == {
        code.TOO_LONG: 1
    }


def test_similarity(tmp_path: Path) -> None:
    programs = [
        {"text": "Add one.", "code": "def f(n):\r\n\treturn n + 1"},
        {"text": "Wait", "code": "def f(n): pass"},
        {"text": "Add one.", "code": "def g(n): return n"},
        {"text": "", "code": "x = 2"},
        {"text": "Add.", "code": "def f(n):\r\n\treturn n + 1"},
    ]
    sets = pair_sets(code.similarity(given(tmp_path, *programs))[0])
    assert [(name, one.deciding) for name, one in sets.items()] == [
        ("all/bare", False),
        ("all/continued", True),
    ]
    bare, continued = sets["all/bare"].pairs, sets["all/continued"].pairs
    assert [pair.case_id for pair in bare] == ["mbpp:0", "mbpp:1"]
    assert (bare[0].a.text, bare[0].b.text) == ("Add one.This represents", programs[0]["code"])
    assert {near.text for near in bare[0].negatives} <= {
        "def f(n):\r\n\treturn n - 1", "def f(n):\r\n\treturn n + 2", "def f(n):\r\n\treturn n + 0"
    }  # fmt: skip
    assert len(bare[0].negatives) == 2
    assert continued[0].a.text == "Add one. This represents"
    assert continued[1].a.text == "Wait This represents"
    assert continued[0].b.text == f"{programs[0]['code']}\n# This represents"
    assert all(near.text.endswith("\n# This represents") for near in continued[0].negatives)
    assert bare[1].negatives == ()
    assert "1 of them without a near miss" in sets["all/bare"].source
    assert sets["all/bare"].kept.dropped == {code.REPEATED: 2, code.NO_DESCRIPTION: 1}
    with pytest.raises(UsageError, match="descriptions in en in --data mbpp, not in zh"):
        code.similarity(given(tmp_path, *programs, dominant="zh"))


def test_generated_programs() -> None:
    sets = pair_sets(code.similarity(Request(n=40, dominant="es"))[0])
    for pair in sets["all/continued"].pairs:
        assert pair.a.text.endswith(" Esto representa")
        assert pair.negatives
        assert pair.b not in pair.negatives
    roles = lens_sets(code.lens_role(Request(n=40, dominant="es"))[0])
    assert set(roles) == {"all", "defined", "keywords"}
    assert code.NO_WORD not in roles["all"].kept.dropped
    assert set(lens_sets(code.lens_and(Request(n=12))[0])) == {"list_comma", "call_comma"}


def test_a_sample_and_two_data_sets(tmp_path: Path) -> None:
    request = given(tmp_path, *[f"x = [{i}, 1]" for i in range(20)], n=5)
    one = lens_sets(code.lens_and(request)[0])["list_comma"]
    assert len(one.cases) == one.kept.given == 5
    assert "5 of 20 programs" in one.source
    sets = pair_sets(code.similarity(request)[0])
    assert sets["all/bare"].kept.given == 20
    with pytest.raises(UsageError, match="--data mbpp and --data programs"):
        code.lens_and(Request(data={"mbpp": "x", "programs": "y"}))


def test_the_real_file() -> None:
    path = DATA / "mbpp"
    if not path.exists():
        pytest.skip(f"real data not found: {path} (set SEMHUB_TEST_DATA)")
    request = Request(data={"mbpp": str(path)})
    ands = lens_sets(code.lens_and(request)[0])
    assert {name: len(one.cases) for name, one in ands.items()} == {"list_comma": 10_092, "call_comma": 2_506}
    roles = lens_sets(code.lens_role(request)[0])
    assert {name: (len(one.cases), one.kept.given) for name, one in roles.items()} == {
        "all": (702, 2_174), "builtins": (539, 1_846), "defined": (163, 264), "keywords": (26, 34), "methods": (46, 513)
    }  # fmt: skip
    for one in (*ands.values(), *roles.values()):
        assert len({case.case_id for case in one.cases}) == len(one.cases)
        for case in one.cases:
            assert around(case)[0] in ("=" if one.variant == "keywords" else "(,")
    assert {name: len(one.pairs) for name, one in pair_sets(code.similarity(request)[0]).items()} == {
        "all/bare": 970, "all/continued": 970
    }  # fmt: skip
