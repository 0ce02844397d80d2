"""Whether a program can be read at all, without running it. Knows Python; other languages pass."""

from __future__ import annotations

import ast
import threading
import warnings
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_WARNINGS = threading.Lock()
"""`warnings.catch_warnings` swaps a global list; one thread at a time may."""

UNREADABLE = (SyntaxError, ValueError, OverflowError, RecursionError, MemoryError)
"""What Python's own parser raises on odd text: null bytes, lone surrogates and nesting too deep are among them."""


def is_python(path: str) -> bool:
    return path.endswith(".py")


def parse(text: str) -> ast.Module:
    """The syntax tree. Raises one of UNREADABLE; warnings about the program's style are dropped."""
    return _quietly(lambda: ast.parse(text))


def problem(path: str, text: str) -> str | None:
    """Why the file cannot be compiled, with the line; None if it can or is in another language."""
    if not is_python(path):
        return None
    try:
        _quietly(lambda: compile(text, path, "exec", dont_inherit=True))
    except SyntaxError as error:
        lines, number = text.split("\n"), error.lineno or 0
        shown = f": `{lines[number - 1].strip()[:200]}`" if 0 < number <= len(lines) else ""
        return f"syntax error in {path}, line {number}: {error.msg}{shown}"
    except UNREADABLE as error:
        return f"{path} cannot be compiled: {type(error).__name__}: {str(error)[:200]}"
    return None


def _quietly(action: Callable[[], T]) -> T:
    with _WARNINGS, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return action()
