"""What the positional parameters of a call are named: by the program's own definition, or by the builtin's signature.

Nothing is run: definitions are read from the syntax tree, builtins come from the table in builtin_names.py.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from semhub.data import builtin_names
from semhub.data.builtin_names import Names
from semhub.data.scopes import SEVERAL, Scopes
from semhub.data.syntax import Call

Origin = Literal["defined", "builtin", ""]

UNKNOWN = "neither defined in the program nor a builtin"
NO_INIT = "a class without an __init__ in the program"
IMPORTED = "an attribute of something imported"
NO_METHOD = "no class of the program and no builtin type has a method of that name"
UNBOUND = "a method called on its class"
DIFFERENT = "classes that have the method name the parameter differently"
REST = "taken by *args, which names none of them"
TOO_MANY = "more arguments than parameters"
AFTER_STAR = "after a starred argument, so that its parameter is not known"


@dataclass(frozen=True, slots=True)
class Parameters:
    """The names of a callable's positional parameters; a star before the last: it takes all that remain.

    readings: several where the type is not known. origin: the program or the builtins. reason: why there are none.
    """

    readings: tuple[Names, ...] = ()
    origin: Origin = ""
    reason: str = ""

    def name(self, place: int) -> tuple[str, str]:
        """The name of the parameter that takes the positional argument at `place`, or why there is none."""
        if self.reason:
            return "", self.reason
        found = {_name(names, place) for names in self.readings}
        return found.pop() if len(found) == 1 else ("", DIFFERENT)


def parameters(call: Call, scopes: Scopes) -> Parameters:
    """The parameters of what is called, as it is seen from the call."""
    positional = sum(one.kind == "positional" for one in call.arguments)
    if call.form == "name":
        return _of_name(call, scopes, positional)
    if call.form == "method":
        return _of_method(call, scopes)
    return Parameters(reason=UNKNOWN)


def argument_names(call: Call, scopes: Scopes) -> tuple[Parameters, list[tuple[str, str]]]:
    """The parameters, and for each positional argument its parameter's name or the reason why it has none."""
    known = parameters(call, scopes)
    found, place, starred = [], 0, False
    for one in call.arguments:
        if one.kind == "starred":
            starred = True
        elif one.kind == "positional":
            found.append(("", AFTER_STAR) if starred and not known.reason else known.name(place))
            place += 1
    return known, found


def _name(names: Names, place: int) -> tuple[str, str]:
    rest = bool(names) and names[-1].startswith("*")
    fixed = names[:-1] if rest else names
    if place < len(fixed):
        return fixed[place], ""
    return "", REST if rest else TOO_MANY


def _of_name(call: Call, scopes: Scopes, positional: int) -> Parameters:
    found = scopes.find(call.name, call.node)
    if found is None:
        builtin = builtin_names.function(call.name, positional)
        return Parameters((builtin,), "builtin") if builtin is not None else Parameters(reason=UNKNOWN)
    if isinstance(found, str):
        return Parameters(origin="defined" if found == SEVERAL else "", reason=found)
    if isinstance(found, ast.ClassDef):
        names = _constructor(found, scopes)
        return Parameters((names,) if names else (), "defined", "" if names else NO_INIT)
    return Parameters((_names(found),), "defined")


def _of_method(call: Call, scopes: Scopes) -> Parameters:
    assert isinstance(call.node.func, ast.Attribute)
    receiver = call.node.func.value
    root = receiver
    while isinstance(root, (ast.Attribute, ast.Subscript, ast.Call)):
        root = root.func if isinstance(root, ast.Call) else root.value
    if isinstance(root, ast.Name):
        bindings, _ = scopes.bindings(root.id, call.node)
        if any(one.imported for one in bindings):
            return Parameters(reason=IMPORTED)
        around = scopes.method_around(call.node)
        if receiver is root and around and around[1] == root.id and (own := _method(around[0], call.name)):
            return Parameters((_bound(own),), "defined")
        if receiver is root and any(isinstance(one.definition, ast.ClassDef) for one in bindings):
            return Parameters(reason=UNBOUND)
        if not bindings and receiver is root and builtin_names.is_type(root.id):
            names = builtin_names.of_class(root.id, call.name)
            return Parameters((names,), "builtin") if names is not None else Parameters(reason=UNBOUND)
    defined = [one for known in scopes.classes if (one := _method(known, call.name))]
    builtin = builtin_names.methods(call.name)
    if not defined and not builtin:
        return Parameters(reason=NO_METHOD)
    return Parameters((*map(_bound, defined), *builtin), "defined" if defined else "builtin")


def _names(definition: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> Names:
    given = definition.args
    names = [one.arg for one in (*given.posonlyargs, *given.args)]
    return (*names, *([f"*{given.vararg.arg}"] if given.vararg else []))


def _method(known: ast.ClassDef, name: str) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
    """The last function of that name in the class's body."""
    found = None
    for one in known.body:
        if isinstance(one, (ast.FunctionDef, ast.AsyncFunctionDef)) and one.name == name:
            found = one
    return found


def _bound(method: ast.FunctionDef | ast.AsyncFunctionDef) -> Names:
    """The parameters without the first, which is the instance or the class, unless the method is static."""
    static = any(isinstance(one, ast.Name) and one.id == "staticmethod" for one in method.decorator_list)
    names = _names(method)
    return names if static or not names or names[0].startswith("*") else names[1:]


def _constructor(known: ast.ClassDef, scopes: Scopes) -> Names | None:
    """The parameters of its __init__, or of that of its first base that has one in the program."""
    waiting: list[ast.ClassDef] = [known]
    seen: set[str] = set()
    while waiting:
        one = waiting.pop(0)
        if one.name in seen:
            continue
        seen.add(one.name)
        if found := _method(one, "__init__"):
            return _bound(found)
        waiting += _bases(one, scopes.classes)
    return None


def _bases(known: ast.ClassDef, classes: Sequence[ast.ClassDef]) -> list[ast.ClassDef]:
    names = [one.id for one in known.bases if isinstance(one, ast.Name)]
    named = [[one for one in classes if one.name == name] for name in names]
    return [found[0] for found in named if len(found) == 1]
