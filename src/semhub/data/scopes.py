"""What the names of a program mean where they are called: definitions, imports, parameters or none of these.

The rules are Python's own: functions, lambdas, classes and comprehensions open scopes, a class's names are seen in its
body alone, `global` and `nonlocal` reach out. Nothing is run, and branches are not told apart.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

Place = tuple[int, int]  # line and column, as `ast` counts
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef

REBOUND = "the name is bound to something else in the program"
SEVERAL = "the name has several definitions"

_STAR = "*"  # the name under which `from m import *` is kept: it may bind any
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


@dataclass(frozen=True, slots=True)
class Binding:
    """A place where a name gets a meaning. definition: what it is defined as, if it is a definition."""

    at: Place
    definition: Definition | None = None
    imported: bool = False


@dataclass(slots=True, eq=False)
class Scope:
    """The names bound in a module, function, class or comprehension (its owner), and those it declares elsewhere."""

    owner: ast.AST
    parent: Scope | None = None
    names: dict[str, list[Binding]] = field(default_factory=dict)
    elsewhere: dict[str, type[ast.AST]] = field(default_factory=dict)

    @property
    def enclosing(self) -> Scope:
        """This scope, or the nearest one around it that is no comprehension."""
        scope = self
        while isinstance(scope.owner, _COMPREHENSIONS) and scope.parent:
            scope = scope.parent
        return scope

    def bind(self, name: str, binding: Binding) -> None:
        """Adds a meaning of the name."""
        self.names.setdefault(name, []).append(binding)


class Scopes:
    """The scopes of a program, and its classes."""

    def __init__(self, tree: ast.Module) -> None:
        self.module = Scope(tree)
        self.classes: list[ast.ClassDef] = []
        self._every = [self.module]
        self._of_call: dict[ast.Call, Scope] = {}
        self._lambdas: dict[ast.Name, ast.Lambda] = {}
        self._walrus: set[ast.Name] = set()
        self._stack: list[tuple[ast.AST, Scope]] = []  # not recursion: programs may be nested deeply
        self._push(tree.body, self.module)
        while self._stack:
            self._visit(*self._stack.pop())
        for scope in self._every:
            self._give_away(scope)

    def find(self, name: str, call: ast.Call) -> Definition | str | None:
        """What the name stands for in the call: a definition, the reason why that is not known, or None if unbound.

        In the call's own scope the last definition before it counts. A name of a scope further out is looked up at
        another time than that of its definition, so that there must be one definition only.
        """
        bindings, own = self.bindings(name, call)
        if not bindings:
            return None
        if own:
            before = [one for one in bindings if one.at < (call.lineno, call.col_offset)]
            return (before or bindings[:1])[-1].definition or REBOUND
        if any(one.definition is None for one in bindings):
            return REBOUND
        return bindings[0].definition if len(bindings) == 1 else SEVERAL

    def bindings(self, name: str, call: ast.Call) -> tuple[Sequence[Binding], bool]:
        """The meanings that the name has in the scope in which the call finds it, by place; whether it is its own."""
        first = self._of_call[call]
        scope: Scope | None = first
        while scope is not None:
            visible = scope is first or not isinstance(scope.owner, ast.ClassDef)
            if visible and name in scope.names:
                found = [*scope.names[name], *scope.names.get(_STAR, [])]
                return sorted(found, key=lambda one: one.at), scope in (first, first.enclosing)
            scope = self.module if scope.elsewhere.get(name) is ast.Global else scope.parent
        return self.module.names.get(_STAR, []), False

    def method_around(self, call: ast.Call) -> tuple[ast.ClassDef, str] | None:
        """The class in whose method the call stands, and the name of that method's first parameter."""
        scope: Scope | None = self._of_call[call]
        while scope is not None and scope.parent is not None:
            outer = scope.parent.owner
            if isinstance(outer, ast.ClassDef) and isinstance(scope.owner, _FUNCTIONS):
                arguments = scope.owner.args
                return outer, next((one.arg for one in (*arguments.posonlyargs, *arguments.args)), "")
            scope = scope.parent
        return None

    def _push(self, nodes: Iterable[ast.AST | None], scope: Scope) -> None:
        self._stack.extend((node, scope) for node in nodes if node is not None)

    def _open(self, owner: ast.AST, parent: Scope) -> Scope:
        self._every.append(Scope(owner, parent))
        return self._every[-1]

    def _visit(self, node: ast.AST, scope: Scope) -> None:
        at = (getattr(node, "lineno", 0), getattr(node, "col_offset", 0))
        if isinstance(node, (*_FUNCTIONS, ast.Lambda)):
            given = node.args
            every = [*given.posonlyargs, *given.args, given.vararg, *given.kwonlyargs, given.kwarg]
            parameters = [one for one in every if one is not None]
            self._push([*given.defaults, *given.kw_defaults, *(one.annotation for one in parameters)], scope)
            inner = self._open(node, scope)
            for parameter in parameters:
                inner.bind(parameter.arg, Binding(at))
            if isinstance(node, ast.Lambda):
                self._push([node.body], inner)
                return
            scope.bind(node.name, Binding(at, node))
            self._push([*node.decorator_list, node.returns], scope)
            self._push([*getattr(node, "type_params", ()), *node.body], inner)
        elif isinstance(node, ast.ClassDef):
            self.classes.append(node)
            scope.bind(node.name, Binding(at, node))
            self._push([*node.decorator_list, *node.bases, *node.keywords], scope)
            self._push([*getattr(node, "type_params", ()), *node.body], self._open(node, scope))
        elif isinstance(node, _COMPREHENSIONS):
            inner = self._open(node, scope)
            outermost, *others = node.generators
            self._push([outermost.iter], scope)
            parts = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
            self._push([outermost.target, *outermost.ifs, *others, *parts], inner)
        else:
            self._bind(node, scope, at)
            self._push(ast.iter_child_nodes(node), scope)

    def _bind(self, node: ast.AST, scope: Scope, at: Place) -> None:
        if isinstance(node, ast.Call):
            self._of_call[node] = scope
        elif isinstance(node, (ast.Assign, ast.AnnAssign, ast.NamedExpr)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = [target for target in targets if isinstance(target, ast.Name)]
            if isinstance(node.value, ast.Lambda):
                self._lambdas.update(dict.fromkeys(names, node.value))
            if isinstance(node, ast.NamedExpr):
                self._walrus.update(names)
        elif isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            home = scope.enclosing if node in self._walrus else scope
            home.bind(node.id, Binding(at, self._lambdas.get(node)))
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            for alias in node.names:
                name = alias.asname or alias.name.partition(".")[0]
                scope.bind(name, Binding(at, imported=True))
        elif isinstance(node, (ast.Global, ast.Nonlocal)):
            scope.elsewhere.update(dict.fromkeys(node.names, type(node)))
        elif not isinstance(node, ast.alias):  # an exception's, a pattern's or a type parameter's name
            for key in ("name", "rest"):
                bound = getattr(node, key, None)
                if isinstance(bound, str):
                    scope.bind(bound, Binding(at))

    def _give_away(self, scope: Scope) -> None:
        for name, declared in scope.elsewhere.items():
            home: Scope | None = self.module if declared is ast.Global else scope.parent
            while home and declared is ast.Nonlocal and not isinstance(home.owner, (*_FUNCTIONS, ast.Lambda)):
                home = home.parent
            if home is not None and home is not scope:
                for binding in scope.names.pop(name, []):
                    home.bind(name, binding)
