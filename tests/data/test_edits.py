"""Near misses of programs: one operator or one constant, at its exact place."""

from __future__ import annotations

import ast
import difflib

import pytest

from semhub.data.docstrings import described
from semhub.data.edits import near_misses
from semhub.data.source import parse


def changes(old: str, new: str) -> list[tuple[str, str]]:
    steps = difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    return [(old[a:b], new[c:d]) for what, a, b, c, d in steps if what != "equal"]


@pytest.mark.parametrize(
    ("code", "possible"),
    [
        ("x = ((a) + b)", {"x = ((a) - b)"}),
        ("a and b", {"a or b"}),
        ("a not  in b", {"a in b"}),
        ("(a is not b)", {"(a is b)"}),
        ("a is b", {"a is not b"}),
        ("a == b", {"a != b"}),
        ("'é', a << b", {"'é', a >> b"}),
        ("y = [\r\n\ta -\r\n\t# +\r\n\tb]", {"y = [\r\n\ta +\r\n\t# +\r\n\tb]"}),
        ("a ** b", set()),
        ("a and b and c", set()),
        ("a or b and c", set()),
        ("a or (b and c)", {"a or (b or c)", "a and (b and c)"}),
    ],
)
def test_operators(code: str, possible: set[str]) -> None:
    found = {one for seed in range(20) for one in near_misses(code, seed)}
    assert found == possible


@pytest.mark.parametrize(
    ("code", "possible"),
    [
        ("9", {"8"}),
        ("0", {"1"}),
        ("10", {"11"}),
        ("45", {"44", "46"}),
        ("3.14", {"2.14", "4.14"}),
        ("True", {"False"}),
        ("'9'", set()),
        ("0x10", set()),
        ("1_0", set()),
        ("00", set()),
        ("f'{9}'", set()),
        ("'é',\r\n9", {"'é',\r\n8"}),
        ("None, ..., 2j, b'1'", set()),
    ],
)
def test_constants(code: str, possible: set[str]) -> None:
    assert {one for seed in range(20) for one in near_misses(code, seed)} == possible


def test_one_of_each_and_all_else_stays() -> None:
    code = "def f(n):\r\n\t# 1 + 2 é\r\n\tif n % 2 == 0 and n > 10:\r\n\t\treturn 'a + 1'\r\n\treturn n"
    for seed in range(30):
        operator, constant = near_misses(code, seed)
        assert near_misses(code, seed) == (operator, constant)
        for near in (operator, constant):
            assert len(changes(code, near)) == 1
            assert near != code
            assert parse(near) is not None
            old, new = ast.walk(ast.parse(code)), ast.walk(ast.parse(near))
            pairs = list(zip(old, new, strict=True))
            kinds = [one for one, two in pairs if type(one) is not type(two)]
            values = [
                one for one, two in pairs if isinstance(one, ast.Constant) and ast.dump(one) != ast.dump(two)
            ]
            assert len(kinds) + len(values) == 1
    assert len({near_misses(code, seed) for seed in range(30)}) > 3


def test_nothing_to_change() -> None:
    assert near_misses("def f(): pass", 0) == ()
    assert near_misses("def f(:", 0) == ()
    assert [len(near) for near in near_misses("a" + "+1" * 900, 0)] == [1801, 1801]


def test_the_tree_that_is_shared_is_left_as_it_was() -> None:
    code = "x = a + 1"
    source = parse(code)
    assert source is not None
    before = ast.dump(source.tree)
    near_misses(code, 0)
    assert ast.dump(source.tree) == before


@pytest.mark.parametrize(
    ("code", "description", "shown"),
    [
        ('"""Adds.\n\n  One   line."""\nx = 1\n', "Adds. One line.", "x = 1\n"),
        (
            'def f(a):\r\n\t"""Adds.\r\n\t>>> f(1)\r\n\t"""\r\n\treturn a\r\n',
            "Adds.",
            "def f(a):\r\n\treturn a\r\n",
        ),
        ('def f():\n  "Waits."', "Waits.", "def f():\n  pass"),
        ('def f(): "é Waits."; return 1', "é Waits.", "def f(): pass; return 1"),
        ('"Only."', "Only.", "pass"),
        (
            'import x\ndef f():\n  """>>> f()"""\n  return 1',
            "",
            'import x\ndef f():\n  """>>> f()"""\n  return 1',
        ),
        ("def f(): return 'No.'", "", "def f(): return 'No.'"),
        ("def f(:", "", "def f(:"),
        ('class C:\n  """No."""', "", 'class C:\n  """No."""'),
    ],
)
def test_descriptions(code: str, description: str, shown: str) -> None:
    assert described(code) == (description, shown)
    assert parse(shown) is not None or not description


def test_the_function_asked_for_is_described() -> None:
    code = 'def g():\n  "Helps."\n  return 1\ndef f():\n  "Adds."\n  return 2\n'
    assert described(code, "f") == ("Adds.", 'def g():\n  "Helps."\n  return 1\ndef f():\n  return 2\n')
    assert described(code)[0] == "Helps."
