"""The strict readings of steered texts: by hand at the boundaries, and on whatever a model may write."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semhub.data import arithmetic_steer
from semhub.data.arithmetic_steer import OPERATORS, parse_operand, parse_sum
from semhub.data.code_steer import MOST_CLOSING, MOST_READ, arguments, parse_arguments
from semhub.types import Content, Parser, SteerCase

CASES = {case.case_id: case for case in arithmetic_steer.cases(None, 0, "en")[0]}
FIVE = CASES["3+5"]
RANGE = SteerCase("p:0", "p", Content.of("range("), 6, {}, new=("0",))
OUTCOMES = {"success", "unchanged", "other", "unparseable"}
BOUNDARIES = ["", " ", "\n", "\n9=4+5", "\t", ")", ",", ";", "=8", ":", '"', " 3", "。", "</s>", " .", "!"]
NO_BOUNDARIES = ["0", "1", ".", ".5", "x", "é", "五", "+", "+1", "-", "*2", "/", "^", "²", "×", "%"]


@pytest.mark.parametrize(
    ("text", "whole", "operand"),
    [
        ("4+1", "success", "success"),
        (" 4+1", "success", "success"),
        ("4+1\n", "success", "success"),
        ("4+1)", "success", "success"),
        ("4", "other", "success"),
        ("4\n", "other", "success"),
        ("4+10", "other", "other"),
        ("4+1.5", "other", "other"),
        ("4+1.", "other", "other"),
        ("4+1+0", "other", "other"),
        ("4 +1", "other", "success"),
        ("4+ 1", "other", "other"),
        ("4+2", "other", "other"),
        ("4.0", "other", "other"),
        ("4-1", "other", "other"),
        ("14+1", "other", "other"),
        ("44", "other", "other"),
        ("3+1", "other", "other"),
        ("5+1", "other", "other"),
        ("5", "unchanged", "unchanged"),
        (" 5\n9=", "unchanged", "unchanged"),
        ("55", "other", "other"),
        ("5x", "other", "other"),
        ("", "unparseable", "unparseable"),
        (" ", "unparseable", "unparseable"),
        ("\n4+1", "unparseable", "unparseable"),
        ("+1", "unparseable", "unparseable"),
        ("four plus one", "unparseable", "unparseable"),
        ("-4+1", "unparseable", "unparseable"),
    ],
)
def test_sums(text: str, whole: str, operand: str) -> None:
    assert parse_sum(text, "5", FIVE) == whole
    assert parse_operand(text, "5", FIVE) == operand


@pytest.mark.parametrize("unsteered", ["", "4", "55", "5.", "5+1", "5.0", "five", "\n5", "4+1", "05"])
@pytest.mark.parametrize("parse", [parse_sum, parse_operand])
def test_a_sum_that_the_model_cannot_do_is_skipped(parse: Parser, unsteered: str) -> None:
    assert parse("4+1", unsteered, FIVE) == "skip"


@settings(deadline=None)
@given(st.sampled_from(sorted(CASES)), st.sampled_from(BOUNDARIES), st.sampled_from(["", " ", "  "]))
def test_a_boundary_ends_the_answer_of_every_case(name: str, end: str, before: str) -> None:
    case, b = CASES[name], int(name.split("+")[1])
    unsteered = f"{before}{b}{end}"
    for parse in (parse_sum, parse_operand):
        assert parse(f"{before}{b - 1}+1{end}", unsteered, case) == "success"
        assert parse(unsteered, unsteered, case) == "unchanged"
    assert parse_sum(f"{before}{b - 1}{end}", unsteered, case) == "other"
    assert parse_operand(f"{before}{b - 1}{end}", unsteered, case) == "success"


@settings(deadline=None)
@given(st.sampled_from(sorted(CASES)), st.sampled_from(NO_BOUNDARIES))
def test_nothing_else_ends_it(name: str, more: str) -> None:
    case, b = CASES[name], int(name.split("+")[1])
    for parse in (parse_sum, parse_operand):
        assert parse(f"{b - 1}+1{more}", str(b), case) == "other"
        assert parse(f"{b - 1}+1", f"{b}{more}", case) == "skip"
        assert parse(f"{b}{more}", str(b), case) == "other"


@settings(deadline=None)
@given(st.text(alphabet=st.one_of(st.characters(), st.sampled_from("0123456789+. ")), max_size=12))
def test_any_text_is_read_as_a_sum(text: str) -> None:
    """Against another way to say it: cut the text at the first character that is a boundary."""
    shown = text.lstrip(" ")
    inside = [c.isalnum() or c in OPERATORS or c == "." for c in shown]
    first = shown[: inside.index(False)] if False in inside else shown
    assert (parse_sum(text, "5", FIVE) == "success") == (first == "4+1")
    assert (parse_sum(text, "5", FIVE) == "unchanged") == (first == "5")
    assert (parse_operand(text, "5", FIVE) == "success") == (first in ("4", "4+1"))
    assert parse_sum(text, "5", FIVE) in OUTCOMES
    assert (parse_sum("4+1", text, FIVE) == "skip") == (first != "5")


@pytest.mark.parametrize(
    ("steered", "outcome"),
    [
        ("0, n):\n    f(n)", "success"),
        ("0,n)", "success"),
        (" 0 , (n) ,)", "success"),
        ("0, # (start)\n n)", "success"),
        ("n):\n    g(0, n)", "unchanged"),
        ("(n))", "unchanged"),
        ("n,)", "unchanged"),
        ("1, n)", "other"),
        ("-0, n)", "other"),
        ("0.0, n)", "other"),
        ("False, n)", "other"),
        ("0, n, 1)", "other"),
        ("0, m)", "other"),
        ("0, n + 1)", "other"),
        ("0, *n)", "other"),
        ("0, stop=n)", "other"),
        ("n, 0)", "other"),
        ("n)", "unchanged"),
        (")", "other"),
        ("0)", "other"),
        ("0, n", "unparseable"),
        ("", "unparseable"),
        ("0 n)", "unparseable"),
        ("0, ')", "unparseable"),
        ("start, end", "unparseable"),
    ],
)
def test_ranges(steered: str, outcome: str) -> None:
    assert parse_arguments(steered, "n):\n    print(n)", RANGE) == outcome


@pytest.mark.parametrize("unsteered", ["", "0, n)", ")", "*n)", "stop=n)", "**n)", "n", "n n)", "1, n, 2)"])
def test_anything_but_one_argument_is_skipped(unsteered: str) -> None:
    assert parse_arguments("0, n)", unsteered, RANGE) == "skip"


ARGUMENTS = [
    "n", "len(x)", "len(x[0]) - 1", "')'", '"(" + f")"', "(a, b)", "n  # no )\n", "f(*x, **y)", "'''\n)'''", "é",
    "(x for x in y)", "x for x in y", "[1, (2)][-1]", "lambda: (0)", "x if (y) else z",
]  # fmt: skip


@pytest.mark.parametrize("argument", ARGUMENTS)
@pytest.mark.parametrize("end", [")", "):\n    g(a, b)[0)\n", ")):\n", ") + f(0)"])
def test_the_bracket_that_closes_the_call_is_found(argument: str, end: str) -> None:
    assert parse_arguments(argument + end, argument + end, RANGE) == "unchanged"
    if argument != "x for x in y":  # which needs brackets beside another argument
        assert parse_arguments(f"0, {argument}{end}", argument + end, RANGE) == "success"
    assert parse_arguments(f"0, {argument}, 1{end}", argument + end, RANGE) in ("other", "unparseable")


HOSTILE = [
    "(" * 5_000, "(" * 900 + ")" * 900, "[" * 5_000 + ")", ")" * 10_000, "{" * 199 + "}" * 199 + ")",
    "-" * 1_900 + "1)", "not " * 450 + "1)", "a" + ".b" * 900 + ")", "a" + "[0]" * 600 + ")", "lambda " * 300 + ")",
    "x for x in " * 150 + "y)", "x" * 1_000_000 + ")", "0" * 1_900 + ")", "9" * 1_900 + ")",
    "\0)", "n\0)", "\ud800)", "'\ud800')", "\ufeffn)", "n\u202e)", "\\)", "\\\n)", "\r)", "\f)",
    "'" * 999 + ")", '"""' + ")" * 99, "'\\N{x}')", "'\\d')", "f'{')'}')", "1if 1else 2)", "0_)", "1 is 1)",
    "a:=1)", "yield)", "await x)", "=)",
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_is_read_without_a_fault(text: str) -> None:
    assert parse_arguments(text, "n)", RANGE) in OUTCOMES
    assert parse_arguments("0, n)", text, RANGE) in {*OUTCOMES, "skip"}
    assert parse_arguments(text, text, RANGE) in ("unchanged", "skip")
    for parse in (parse_sum, parse_operand):
        assert parse(text, "5", FIVE) in OUTCOMES
        assert parse("5", text, FIVE) == "skip"


LIKELY = st.characters() | st.sampled_from("()[]{}'\"#,:*0n \n\\")


@settings(deadline=None)
@given(st.text(alphabet=LIKELY, max_size=40), st.text(alphabet=LIKELY, max_size=10))
def test_what_comes_after_the_bracket_makes_no_difference(text: str, more: str) -> None:
    """The arguments are those of the shortest beginning that has any, and end with its last bracket."""
    assert parse_arguments(text, "n)", RANGE) in OUTCOMES
    found = [i for i in range(len(text) + 1) if arguments(text[:i]) is not None]
    if not found:
        assert arguments(text) is None
        return
    first = text[: found[0]]
    assert first.endswith(")")
    assert arguments(text) == arguments(first) == arguments(first + more)
    assert len(found) == len(text) + 1 - len(first)
    assert parse_arguments(text, first, RANGE) == ("unchanged" if _is_one(first) else "skip")


def _is_one(text: str) -> bool:
    found = arguments(text)
    return found is not None and len(found) == 1 and not found[0].startswith(("Starred", "keyword"))


def test_only_the_beginning_of_a_long_text_is_read() -> None:
    assert arguments(" " * (MOST_READ - 2) + "n)") == arguments("n)")
    assert arguments(" " * MOST_READ + "n)") is None
    quoted = "')'" * MOST_CLOSING + ")"
    assert arguments(quoted) is None
    assert arguments(quoted[3:]) is not None
