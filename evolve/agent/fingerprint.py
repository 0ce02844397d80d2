"""Tell whether two programs are the same but for their looks.

For Python, formatting, comments, docstrings and the names of local variables do not count; literals, attributes,
globals, parameters (they can be passed by name) and the names of functions and classes do. Two programs that differ in
what they do never get the same fingerprint; two that do the same may get different ones. Other languages, and Python
that does not parse, are compared as text without blank ends and empty lines.
"""

from __future__ import annotations

import ast
import functools
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from evolve.agent.syntax import UNREADABLE, is_python, parse
from evolve.llm.base import Files

_REFLECTION = frozenset({"locals", "vars", "dir", "eval", "exec"})
"""Builtins that can see the names of local variables; a program that has one keeps its names."""
_LOOKS = frozenset({"ctx", "type_comment", "kind", "type_ignores"})
_OWN = {
    "Module": {"body"},
    "FunctionDef": {"decorator_list", "args", "returns", "body"},
    "AsyncFunctionDef": {"decorator_list", "args", "returns", "body"},
    "Lambda": {"args"},
    "ClassDef": {"decorator_list", "bases", "keywords", "body"},
    "ListComp": {"generators"},
    "SetComp": {"generators"},
    "DictComp": {"generators"},
    "GeneratorExp": {"generators"},
    "NamedExpr": {"target"},
    "Nonlocal": {"names"},
    "ExceptHandler": {"name"},
    "MatchAs": {"name"},
    "MatchStar": {"name"},
    "MatchMapping": {"rest"},
}
"""Fields that a kind of node has its own way of writing."""


def fingerprint(files: Files) -> str:
    """SHA-256 of the normalised program, in hex."""
    digest = hashlib.sha256()
    for path in sorted(files):
        normal = _normal(path, files[path])
        digest.update(f"{path}\n{len(normal)}\n{normal}\n".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


@functools.lru_cache(maxsize=64)  # a program is looked at again after a review, and by those that keep a file
def _normal(path: str, text: str) -> str:
    if is_python(path):
        try:
            return normalised(parse(text))
        except UNREADABLE:
            pass
    return "\n".join(line.rstrip() for line in text.split("\n") if line.strip())


def normalised(tree: ast.Module) -> str:
    """The code without its looks. May raise what the parser does, for trees that are nested too deep."""
    writer = _Writer(rename=True)
    writer.node(tree)
    if writer.reflects:
        writer = _Writer(rename=False)
        writer.node(tree)
    return "\n".join(writer.out)


@dataclass(slots=True)
class _Scope:
    """Names met in one module, class, function or comprehension."""

    kind: str
    number: int
    uses: list[tuple[int, str]] = field(default_factory=list)
    """Places in the output that hold a name whose meaning is not settled yet."""
    variables: set[str] = field(default_factory=set)
    """Plain local variables: their names do not matter."""
    kept: set[str] = field(default_factory=set)
    """Names bound here that others may know: parameters, imports, functions, classes, declared globals."""
    outer: set[str] = field(default_factory=set)
    """Names declared nonlocal."""


class _Fields(dict[type, tuple[str, ...]]):
    """The fields of a kind of node that are written as they stand."""

    def __missing__(self, kind: type[ast.AST]) -> tuple[str, ...]:
        skipped = _LOOKS | _OWN.get(kind.__name__, frozenset())
        self[kind] = fields = tuple(name for name in kind._fields if name not in skipped)
        return fields


_FIELDS = _Fields()


class _Writer:
    """One walk over the tree. Names are written as they stand and replaced when the scope that binds them ends.

    Most of the time is spent in `node` and `_rest`, which is why they are as plain as they are.
    """

    def __init__(self, *, rename: bool) -> None:
        self.out: list[str] = []
        self.reflects = False
        self._rename = rename
        self._scopes = [_Scope("module", 0)]
        self._opened = 0

    def node(self, node: ast.AST) -> None:
        write = _WRITERS.get(node.__class__)
        if write is None:
            self._rest(node)
        else:
            write(self, node)

    def _rest(self, node: ast.AST) -> None:
        """The kind of the node and all fields that have no way of their own."""
        out, kind = self.out, node.__class__
        out.append(kind.__name__)
        for name in _FIELDS[kind]:
            value = getattr(node, name)
            if value.__class__ is list:
                out.append(f"[{len(value)}]")
                for item in value:
                    self._item(item)
            elif isinstance(value, ast.AST):
                self.node(value)
            else:
                out.append(repr(value))

    def _item(self, value: object) -> None:
        if isinstance(value, ast.AST):
            self.node(value)
        else:
            self.out.append(repr(value))

    def _use(self, name: str) -> None:
        self._scopes[-1].uses.append((len(self.out), name))
        self.out.append(name)

    def _name(self, node: ast.Name) -> None:
        name = node.id
        if node.ctx.__class__ is not ast.Load:
            self._scopes[-1].variables.add(name)
        elif name in _REFLECTION:
            self.reflects = True
        self.out.append("Name")
        self._use(name)

    def _constant(self, node: ast.Constant) -> None:
        # repr of an int of more than 4300 digits is refused by Python; hexadecimal is not.
        value = node.value
        self.out.append(hex(value) if value.__class__ is int else repr(value))

    def _body(self, body: list[ast.stmt]) -> None:
        match body:
            case [ast.Expr(value=ast.Constant(value=str())), *rest]:
                body = rest
        self.out.append(f"[{len(body)}]")
        for statement in body:
            self.node(statement)

    def _module(self, node: ast.Module) -> None:
        self._body(node.body)

    def _global(self, node: ast.Global) -> None:
        self._scopes[-1].kept.update(node.names)
        self._rest(node)

    def _nonlocal(self, node: ast.Nonlocal) -> None:
        self._scopes[-1].outer.update(node.names)
        self._rest(node)
        for name in node.names:
            self._use(name)

    def _import(self, node: ast.Import | ast.ImportFrom) -> None:
        self._scopes[-1].kept.update((alias.asname or alias.name).split(".")[0] for alias in node.names)
        self._rest(node)

    def _capture(self, node: ast.ExceptHandler | ast.MatchAs | ast.MatchStar | ast.MatchMapping) -> None:
        """Nodes that bind a variable by a plain string."""
        name = node.rest if isinstance(node, ast.MatchMapping) else node.name
        if name is not None:
            self._scopes[-1].variables.add(name)
            self._use(name)
        self._rest(node)

    def _assignment_expression(self, node: ast.NamedExpr) -> None:
        # In a comprehension it binds in the function around it (PEP 572).
        around = next(scope for scope in reversed(self._scopes) if scope.kind != "comprehension")
        around.variables.add(node.target.id)
        self._use(node.target.id)
        self._rest(node)

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> None:
        """Decorators, defaults and annotations belong to the scope around; parameter names are part of the interface."""
        form = node.args
        every = [*form.posonlyargs, *form.args, *form.kwonlyargs, form.vararg, form.kwarg]
        parameters = [parameter for parameter in every if parameter is not None]
        outside: list[ast.expr | None] = [*form.defaults, *form.kw_defaults, *(one.annotation for one in parameters)]
        if not isinstance(node, ast.Lambda):
            self._scopes[-1].kept.add(node.name)
            outside += [*node.decorator_list, node.returns]
        for value in outside:
            self._item(value)
        shape = (len(form.posonlyargs), len(form.args), len(form.defaults), form.vararg is None, form.kwarg is None)
        self.out.append(f"{len(outside)} {shape} {[parameter.arg for parameter in parameters]}")
        self._open("function").kept.update(parameter.arg for parameter in parameters)
        self._rest(node)
        if not isinstance(node, ast.Lambda):
            self._body(node.body)
        self._close()

    def _class(self, node: ast.ClassDef) -> None:
        self._scopes[-1].kept.add(node.name)
        for value in (*node.decorator_list, *node.bases, *node.keywords):
            self.node(value)
        self.out.append(f"{len(node.decorator_list)} {len(node.bases)}")
        self._open("class")
        self._rest(node)
        self._body(node.body)
        self._close()

    def _comprehension(self, node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp) -> None:
        # The first iterable is evaluated outside the comprehension's scope.
        self.node(node.generators[0].iter)
        self._open("comprehension")
        for index, generator in enumerate(node.generators):
            self.node(generator.target)
            if index:
                self.node(generator.iter)
            self.out.append(f"{len(generator.ifs)} {generator.is_async}")
            for condition in generator.ifs:
                self.node(condition)
        self.out.append(str(len(node.generators)))
        self._rest(node)
        self._close()

    def _open(self, kind: str) -> _Scope:
        self._opened += 1
        self._scopes.append(_Scope(kind, self._opened))
        return self._scopes[-1]

    def _close(self) -> None:
        """Settle the names this scope binds and hand the others to the one around it."""
        scope = self._scopes.pop()
        # A class body is no scope for the code inside its functions and classes.
        around = next(outer for outer in reversed(self._scopes) if outer.kind != "class")
        settled = (scope.variables | scope.kept) - scope.outer
        plain = scope.variables - scope.kept - scope.outer if self._rename and scope.kind != "class" else set()
        numbers: dict[str, int] = {}
        for place, name in scope.uses:
            if name in plain:
                self.out[place] = f"%{scope.number}.{numbers.setdefault(name, len(numbers))}"
            elif name not in settled:
                around.uses.append((place, name))


_WRITERS: dict[type, Callable[[_Writer, Any], None]] = {
    ast.Module: _Writer._module,
    ast.Name: _Writer._name,
    ast.Constant: _Writer._constant,
    ast.FunctionDef: _Writer._function,
    ast.AsyncFunctionDef: _Writer._function,
    ast.Lambda: _Writer._function,
    ast.ClassDef: _Writer._class,
    ast.ListComp: _Writer._comprehension,
    ast.SetComp: _Writer._comprehension,
    ast.DictComp: _Writer._comprehension,
    ast.GeneratorExp: _Writer._comprehension,
    ast.NamedExpr: _Writer._assignment_expression,
    ast.Global: _Writer._global,
    ast.Nonlocal: _Writer._nonlocal,
    ast.Import: _Writer._import,
    ast.ImportFrom: _Writer._import,
    ast.ExceptHandler: _Writer._capture,
    ast.MatchAs: _Writer._capture,
    ast.MatchStar: _Writer._capture,
    ast.MatchMapping: _Writer._capture,
}
