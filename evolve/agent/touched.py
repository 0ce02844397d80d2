"""Which parts of a program differ from another one, by the names of its top-level definitions. Runs nothing."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator, Mapping

from evolve.agent.fingerprint import normalised
from evolve.agent.syntax import UNREADABLE, is_python, parse
from evolve.llm.base import Files

MOST_NAMES = 40
"""So many names are kept of a program that changed more: every node of a run carries them."""


def touched(files: Files, initial: Files) -> tuple[str, ...]:
    """Names of the functions, classes and constants that are not as in `initial`, sorted; added and lost ones are, too.

    Imports do not count. A file that is not Python, cannot be read or differs in statements that define nothing is
    named by its path.
    """
    names: set[str] = set()
    for path in files.keys() | initial.keys():
        text, before = files.get(path, ""), initial.get(path, "")
        if text != before:
            names |= _differing(path, _parts(path, text), _parts(path, before))
    return tuple(sorted(names)[:MOST_NAMES])


def defined(statement: ast.stmt) -> tuple[str, ...]:
    """Names that a top-level statement defines; none if it is a statement of another kind."""
    match statement:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return (name,)
        case ast.Assign(targets=targets):
            return tuple(name for target in targets for name in _names(target))
        case ast.AnnAssign(target=target) | ast.AugAssign(target=target):
            return tuple(_names(target))
    return ()


def _names(target: ast.expr) -> Iterator[str]:
    match target:
        case ast.Name(id=name):
            yield name
        case ast.Tuple(elts=parts) | ast.List(elts=parts):
            for part in parts:
                yield from _names(part)


def _differing(path: str, new: Mapping[str, str] | None, old: Mapping[str, str] | None) -> set[str]:
    if new is None or old is None:
        return {path}
    return {name or path for name in new.keys() | old.keys() if new.get(name) != old.get(name)}


@functools.lru_cache(maxsize=32)  # the initial program is looked at for every node
def _parts(path: str, text: str) -> Mapping[str, str] | None:
    """Normalised code by name; under the empty name, all statements that define nothing. None if it cannot be read."""
    if not is_python(path):
        return None
    try:
        statements = parse(text).body
        parts: dict[str, str] = {}
        for place, statement in enumerate(statements):
            match statement:
                case ast.Import() | ast.ImportFrom():
                    continue
                case ast.Expr(value=ast.Constant(value=str())) if place == 0:
                    continue
            code = normalised(ast.Module([statement], []))
            for name in defined(statement) or ("",):
                parts[name] = f"{parts.get(name, '')}{code}\n"
        return parts
    except UNREADABLE:
        return None
