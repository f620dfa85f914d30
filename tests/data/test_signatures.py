"""Names of parameters: of the program's definitions as Python's scopes see them, of builtins, of methods."""

from __future__ import annotations

import builtins
import inspect

import pytest

from semhub.data import builtin_names, signatures
from semhub.data.roles import KEYWORD, OBJECT, SAME, SKIPPED_FUNCTION, STARRED, Role, roles
from semhub.data.scopes import REBOUND, SEVERAL, Scopes
from semhub.data.signatures import argument_names
from semhub.data.source import IN_FSTRING, parse
from semhub.data.syntax import call_arguments


def names(code: str, function: str = "f") -> list[str]:
    """Of each positional argument of the last call of `function`: the parameter's name or the reason."""
    source = parse(code)
    assert source is not None
    call = [one for one in call_arguments(code).items if one.name == function][-1]
    _, found = argument_names(call, Scopes(source.tree))
    return [name or reason for name, reason in found]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("def f(a, b=1, /, c=2, *, d): pass\nf(1, 2, 3)", ["a", "b", "c"]),
        ("def f(a, *rest, k): pass\nf(1, 2, 3)", ["a", signatures.REST, signatures.REST]),
        ("def f(a): pass\nf(1, 2)", ["a", signatures.TOO_MANY]),
        ("async def f(a): await f(a)\n", ["a"]),
        ("f = lambda a, b: f(b, a)", ["a", "b"]),
        ("f: object = lambda a: 0\nf(1)", ["a"]),
        ("g((f := lambda a: 0), f(1))", ["a"]),
        ("def f(a): pass\ndef f(b): pass\nf(1)", ["b"]),
        ("def f(a): pass\nf(1)\ndef f(b): pass", ["a"]),
        ("def g(): f(1)\ndef f(a): pass\ndef f(b): pass", [SEVERAL]),
        ("def f(a): pass\ndef g(f): f(1)", [REBOUND]),
        ("def f(a): pass\nf = 3\nf(1)", [REBOUND]),
        ("f = 3\ndef f(a): pass\nf(1)", ["a"]),
        ("from m import f\nf(1)", [REBOUND]),
        ("import f.g\nf(1)", [REBOUND]),
        ("def f(a): pass\nfrom m import *\nf(1)", [REBOUND]),
        ("def f(a): pass\nfor f in x: f(1)", [REBOUND]),
        ("def f(a): pass\n[f(1) for f in x]", [REBOUND]),
        ("def f(a): pass\n[f(1) for g in x]", ["a"]),
        ("def f(a): pass\nwith x as f: f(1)", [REBOUND]),
        ("def f(a): pass\ntry: pass\nexcept E as f: f(1)", [REBOUND]),
        ("def f(a): pass\nmatch x:\n  case [*f]: f(1)", [REBOUND]),
        ("def f(a): pass\ndef g():\n  def f(b): pass\n  f(1)", ["b"]),
        ("def f(a): pass\ndef g():\n  def f(b): pass\nf(1)", ["a"]),
        ("def g():\n  global f\n  def f(b): pass\nf(1)", ["b"]),
        ("def g():\n  def f(a): pass\n  def h():\n    nonlocal f\n    f = 1\n  f(1)", [REBOUND]),
        ("class C:\n  def f(self, a): pass\n  def g(self): f(1)", [signatures.UNKNOWN]),
        ("class C:\n  def f(a): pass\n  f(1)", ["a"]),
        ("class f:\n  def __init__(self, a): pass\nf(1)", ["a"]),
        ("class B:\n  def __init__(self, a): pass\nclass f(B): pass\nf(1)", ["a"]),
        ("class f(f): pass\nf(1)", [signatures.NO_INIT]),
        ("def f(a, b): pass\nf(*x, 1)", [signatures.AFTER_STAR]),
        ("f(1)", [signatures.UNKNOWN]),
        ("@cache\ndef f(n): return f(n - 1)", ["n"]),
        ("class Ü:\n @f(1)\n def g(f): pass\ndef f(a): pass", ["a"]),
    ],
)
def test_definitions(code: str, expected: list[str]) -> None:
    assert names(code) == expected


@pytest.mark.parametrize(
    ("code", "function", "expected"),
    [
        ("sorted(x)", "sorted", ["iterable"]),
        ("isinstance(x, int)", "isinstance", ["obj", "class_or_tuple"]),
        ("iter(f, 0)", "iter", ["callable", "sentinel"]),
        ("iter(f)", "iter", ["iterable"]),
        ("range(3)", "range", ["stop"]),
        ("range(0, 3)", "range", ["start", "stop"]),
        ("print(1, 2)", "print", [signatures.REST] * 2),
        ("map(f, a, b)", "map", ["function", "iterable", signatures.REST]),
        ("ValueError('no')", "ValueError", [signatures.REST]),
        ("sum = 1\nprint(sum([2]))", "sum", [REBOUND]),
        ("def g(len): return len(1)", "len", [REBOUND]),
        ("from math import *\npow(1, 2)", "pow", [REBOUND] * 2),
        ("from math import pow\npow(1, 2)", "pow", [REBOUND] * 2),
        ("__import__('os')", "__import__", [signatures.UNKNOWN]),
    ],
)
def test_builtins(code: str, function: str, expected: list[str]) -> None:
    assert names(code, function) == expected


@pytest.mark.parametrize(
    ("code", "function", "expected"),
    [
        ("x.split(',', 1)", "split", ["sep", "maxsplit"]),
        ("x.replace('a', 'b')", "replace", ["old", "new"]),
        ("x.append(1)", "append", [signatures.DIFFERENT]),
        ("x.insert(0, 1)", "insert", ["index", signatures.DIFFERENT]),
        ("x.get('a', 0)", "get", ["key", "default"]),
        ("x.most_common(1)", "most_common", [signatures.NO_METHOD]),
        ("import re\nre.split(a, b)", "split", [signatures.IMPORTED] * 2),
        ("import re\nre.compile(a).replace(b)", "replace", [signatures.IMPORTED]),
        ("str.split(a, b)", "split", [signatures.UNBOUND] * 2),
        ("dict.fromkeys(a, 0)", "fromkeys", ["iterable", "value"]),
        ("def g(dict): dict.get(1)", "get", ["key"]),
        ("class C:\n def m(self, a): self.m(1)", "m", ["a"]),
        ("class C:\n @staticmethod\n def m(a): pass\nC().m(1)", "m", ["a"]),
        ("class C:\n @classmethod\n def m(cls, a): pass\nC().m(1)", "m", ["a"]),
        ("class C:\n def m(self, a): pass\nC.m(x, 1)", "m", [signatures.UNBOUND] * 2),
        ("class C:\n def split(self, by): pass\nx.split(1)", "split", [signatures.DIFFERENT]),
        ("class C:\n def split(self, by): self.split(1)", "split", ["by"]),
        (
            "class A:\n def m(s, a): pass\nclass B:\n def m(s, a, b): pass\nx.m(1, 2)",
            "m",
            ["a", signatures.DIFFERENT],
        ),
    ],
)
def test_methods(code: str, function: str, expected: list[str]) -> None:
    assert names(code, function) == expected


def test_every_builtin_has_names_that_do_not_depend_on_the_version() -> None:
    """Where this version has a signature, it says what the table says, but for functions of several signatures."""
    several = {"dict", "max", "min", "range", "slice", "type", "iter", "super"}
    site = {"copyright", "credits", "license", "help", "exit", "quit"}
    for name, value in vars(builtins).items():
        if not callable(value) or name.startswith("_") or name in several | site:
            continue
        found = builtin_names.function(name, 1)
        assert found is not None, name
        try:
            signature = inspect.signature(value)
        except (ValueError, TypeError):
            continue
        if isinstance(value, type) and issubclass(value, BaseException):
            continue
        kinds = [
            one
            for one in signature.parameters.values()
            if one.kind not in (one.KEYWORD_ONLY, one.VAR_KEYWORD)
        ]
        assert [name.lstrip("*") for name in found] == [one.name for one in kinds], name


def test_every_method_of_a_builtin_type_has_names() -> None:
    for kind in builtin_names.TYPES:
        for name in dir(kind):
            value = getattr(kind, name)
            if not name.startswith("_") and callable(value):
                listed = builtin_names.of_type(kind, name)
                assert listed is not None, (kind, name)
                try:
                    found = list(inspect.signature(value).parameters.values())
                except (ValueError, TypeError):
                    continue
                places = [one.name for one in found if one.kind not in (one.KEYWORD_ONLY, one.VAR_KEYWORD)]
                assert [one.lstrip("*") for one in listed] == [one for one in places if one != "self"], (
                    kind,
                    name,
                )


def one_role(code: str, text: str, keyword: bool = False) -> Role:
    (found,) = (role for role in roles(code) if code.startswith(text, role.start) and role.keyword == keyword)
    return found


def test_roles() -> None:
    code = "def g(node, obj, name): pass\ng(root, x, name)\ng((1), y, name=z)\nlen(xs)\nmax(3, key=k)\ng(*v)"
    assert one_role(code, "root").name == "node"
    assert (one_role(code, "root").origin, one_role(code, "xs").origin) == ("defined", "builtin")
    assert one_role(code, "x,").reason == OBJECT
    assert one_role(code, "name)\ng((").reason == SAME
    assert one_role(code, "(1)").reason == "the argument starts with a bracket"
    assert one_role(code, "name=z").reason == KEYWORD
    named = one_role(code, "z)", keyword=True)
    assert (named.name, named.reason, code[named.anchor]) == ("name", "", "=")
    assert one_role(code, "3").reason == one_role(code, "k)", keyword=True).reason == SKIPPED_FUNCTION
    assert one_role(code, "*v").reason == STARRED


def test_roles_inside_an_fstring_are_counted() -> None:
    found = list(roles("def g(a, b): pass\nx = f'{g(1, b=2)}'"))
    assert [(role.origin, role.keyword, role.reason) for role in found] == [
        ("defined", False, IN_FSTRING), ("defined", False, IN_FSTRING), ("defined", True, IN_FSTRING)
    ]  # fmt: skip


def test_a_keyword_spelled_like_its_value_is_left_out() -> None:
    assert [role.reason for role in roles("f(key = key, **d)") if role.keyword] == [SAME, STARRED]
