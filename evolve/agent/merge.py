"""Put a rewritten part of a Python program into it, by the names of top-level definitions. Whole lines; runs nothing."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from evolve.agent.replies import Refusal
from evolve.agent.syntax import UNREADABLE, parse
from evolve.agent.touched import defined

_MODULE_NAMES = frozenset(dir(builtins)) | {"__file__", "__name__", "__doc__", "__builtins__", "__spec__"}


@dataclass(frozen=True, slots=True)
class Merged:
    """The program with the part in it."""

    text: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Unit:
    """Whole lines that hold one top-level statement, or several that share a line. `start` counts from 0."""

    start: int
    end: int
    names: frozenset[str]
    statement: ast.stmt

    @property
    def imports(self) -> bool:
        return isinstance(self.statement, ast.Import | ast.ImportFrom)


def merge(program: str, part: str) -> Merged | Refusal:
    """The program with every definition of the part in the place of its own of that name.

    Definitions it does not have go before the first one that is replaced; where none is, constants go before its first
    function or class and others after the last one. Imports it does not have join its own. Statements that define nothing replace those at the program's end if the part has nothing
    else, and are left out otherwise: they are examples of use. A part that defines all that the program does is a whole
    program and replaces it.
    """
    try:
        old, new = _units(program), _units(part)
    except UNREADABLE as error:
        return Refusal(f"the code cannot be read: {type(error).__name__}: {str(error)[:200]}")
    definitions, script = [unit for unit in new if unit.names], _script(new)
    if _is_whole(old, new):
        return Merged(part)
    if not definitions and not script:
        return Refusal("the code block defines nothing")
    lines, source = program.split("\n"), part.split("\n")
    edits = _definition_edits(lines, old, source, definitions) if definitions else [_script_edit(old, source, script)]
    if isinstance(edits, Refusal):
        return edits
    for edit in sorted([*edits, *_import_edits(old, new)], key=lambda edit: edit.start, reverse=True):
        lines[edit.start : edit.end] = edit.lines
    notes = ("statements outside definitions were left out of a part",) if definitions and script else ()
    return Merged("\n".join(lines), notes)


def names_of(text: str) -> frozenset[str]:
    """What a program defines at its top level; nothing if it cannot be read."""
    try:
        return _all_names(_units(text))
    except UNREADABLE:
        return frozenset()


def undefined(text: str) -> frozenset[str]:
    """Names that are read somewhere and bound nowhere in the program, whatever the scope. Raises one of UNREADABLE."""
    read, bound = set[str](), set[str](_MODULE_NAMES)
    for node in ast.walk(parse(text)):
        match node:
            case ast.Name(id=name, ctx=ast.Load()):
                read.add(name)
            case ast.Name(id=name) | ast.arg(arg=name):
                bound.add(name)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                bound.add(name)
            case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                bound.add(name)
            case ast.MatchMapping(rest=str(name)):
                bound.add(name)
            case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
                if any(alias.name == "*" for alias in aliases):
                    return frozenset()
                bound.update((alias.asname or alias.name).split(".")[0] for alias in aliases)
    return frozenset(read - bound)


@dataclass(frozen=True, slots=True)
class _Edit:
    start: int
    end: int
    lines: Sequence[str]


def _units(text: str) -> list[_Unit]:
    found: list[_Unit] = []
    for statement in parse(text).body:
        decorators = [one.lineno for one in getattr(statement, "decorator_list", ())]
        start, end = min([statement.lineno, *decorators]) - 1, statement.end_lineno or statement.lineno
        names = frozenset(_names(statement))
        if found and start < found[-1].end:
            found[-1] = _Unit(found[-1].start, end, found[-1].names | names, found[-1].statement)
        else:
            found.append(_Unit(start, end, names, statement))
    return found


def _names(statement: ast.stmt) -> Iterator[str]:
    """Names a statement defines, under a condition too; none of the part that only runs when the file is run."""
    match statement:
        case ast.If(test=test) if "__name__" in ast.unparse(test):
            return
        case ast.If(body=body, orelse=other):
            inner: Iterable[ast.stmt] = (*body, *other)
        case ast.Try(body=body, handlers=handlers, orelse=other):
            inner = (*body, *(one for handler in handlers for one in handler.body), *other)
        case _:
            yield from defined(statement)
            return
    for one in inner:
        if isinstance(one, ast.Import | ast.ImportFrom):
            yield from ((alias.asname or alias.name).split(".")[0] for alias in one.names)
        else:
            yield from _names(one)


def _is_docstring(unit: _Unit, units: Sequence[_Unit]) -> bool:
    value = unit.statement.value if isinstance(unit.statement, ast.Expr) else None
    return unit is units[0] and isinstance(value, ast.Constant) and isinstance(value.value, str)


def _script(units: Sequence[_Unit]) -> list[_Unit]:
    """The statements that define nothing."""
    return [unit for unit in units if not unit.names and not unit.imports and not _is_docstring(unit, units)]


def _is_whole(old: Sequence[_Unit], new: Sequence[_Unit]) -> bool:
    """Whether the new units are a whole program: all definitions of the old one, more than one, and as much script."""
    had, has = _all_names(old), _all_names(new)
    return len(had) > 1 and has >= had and 0 < len(_script(old)) <= len(_script(new))


def _all_names(units: Iterable[_Unit]) -> frozenset[str]:
    return frozenset(name for unit in units for name in unit.names)


def _definition_edits(
    lines: Sequence[str], old: Sequence[_Unit], source: Sequence[str], definitions: Sequence[_Unit]
) -> list[_Edit] | Refusal:
    names = _all_names(definitions)
    replaced = [unit for unit in old if unit.names & names]
    if lost := sorted(_all_names(replaced) - names):
        return Refusal(f"{', '.join(lost)} is defined in the same statement; write it, too")
    places: dict[int, list[str]] = {}
    """New code by the line where the definition it replaces starts. A name that is defined twice stays so."""
    added: list[str] = []
    for unit in definitions:
        code = list(source[_comments_above(source, unit.start) : unit.end])
        place = next((one.start for one in replaced if one.names & unit.names), None)
        if place is not None:
            places.setdefault(place, []).extend(code)
        else:
            added += ["", "", *code] if added and len(code) > 1 else code
    edits = [_Edit(unit.start, unit.end, places.get(unit.start, ())) for unit in replaced]
    if added:
        before = replaced or (_scopes(old) if _stand_alone(definitions, old) else [])
        at = _comments_above(lines, before[0].start) if before else _end_of_definitions(lines, old)
        edits.append(_Edit(at, at, [*added, "", ""] if before else ["", "", *added]))
    return edits


def _scopes(units: Sequence[_Unit]) -> list[_Unit]:
    """Functions and classes."""
    return [unit for unit in units if isinstance(unit.statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)]


def _stand_alone(definitions: Sequence[_Unit], old: Sequence[_Unit]) -> bool:
    """Whether they are constants made of none of the program's functions, which may need them to be defined."""
    used = {node.id for unit in definitions for node in ast.walk(unit.statement) if isinstance(node, ast.Name)}
    return not _scopes(definitions) and used.isdisjoint(_all_names(_scopes(old)))


def _comments_above(lines: Sequence[str], start: int) -> int:
    while start and lines[start - 1].startswith("#"):
        start -= 1
    return start


def _end_of_definitions(lines: Sequence[str], old: Sequence[_Unit]) -> int:
    """After the last function or class, else before the closing script."""
    scopes, tail = _scopes(old), _script_tail(old)
    if scopes:
        return scopes[-1].end
    return tail[0].start if tail else len(lines)


def _script_tail(units: Sequence[_Unit]) -> list[_Unit]:
    """The statements at the program's end that define nothing."""
    tail: list[_Unit] = []
    for unit in reversed(units):
        if unit.names or unit.imports or _is_docstring(unit, units):
            break
        tail.insert(0, unit)
    return tail


def _script_edit(old: Sequence[_Unit], source: Sequence[str], script: Sequence[_Unit]) -> _Edit:
    code = list(source[_comments_above(source, script[0].start) : script[-1].end])
    tail = _script_tail(old)
    if tail:
        return _Edit(tail[0].start, tail[-1].end, code)
    end = old[-1].end if old else 0
    return _Edit(end, end, ["", "", *code])


def _import_edits(old: Sequence[_Unit], new: Sequence[_Unit]) -> list[_Edit]:
    have = {line for unit in old for line in _import_lines(unit)}
    wanted = [line for unit in new for line in _import_lines(unit) if line not in have]
    missing = list(dict.fromkeys(wanted))
    future = [line for line in missing if line.startswith("from __future__")]
    others = [line for line in missing if line not in future]
    head = old[0].end if old and _is_docstring(old[0], old) else 0
    last = max((unit.end for unit in old if unit.imports), default=head)
    # Of edits at one place the last one ends up first.
    return [_Edit(last, last, others), _Edit(head, head, future)]


def _import_lines(unit: _Unit) -> list[str]:
    """One line for each name that is imported; none of a statement that imports nothing."""
    match unit.statement:
        case ast.Import(names=aliases):
            return [ast.unparse(ast.Import([alias])) for alias in aliases]
        case ast.ImportFrom(module=module, names=aliases, level=level):
            return [ast.unparse(ast.ImportFrom(module, [alias], level)) for alias in aliases]
    return []
