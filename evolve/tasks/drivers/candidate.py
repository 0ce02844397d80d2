"""Runs a candidate written in Python, in the candidate's own sandbox. Standard library only; knows no task and no score.

python candidate.py solve PROGRAM ANSWER    call `solve()` and write what it returns, as JSON, to ANSWER
python candidate.py decide PROGRAM          for each JSON line on stdin write `decide(message)` as a JSON line to stdout

Starts with every evaluation, so it imports little (pathlib alone would add a fifth to the start).
"""
# ruff: noqa: PTH100, PTH119, PTH120, PTH123

from __future__ import annotations

import json
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Any


def entry(path: str, name: str) -> Callable[..., Any]:
    """The function the program must define. It is run under its own name, so that a traceback shows its lines."""
    module = type(sys)(os.path.basename(path).removesuffix(".py"))
    module.__file__ = path
    sys.modules[module.__name__] = module
    sys.path[0] = os.path.dirname(os.path.abspath(path))
    with open(path, "rb") as file:
        exec(compile(file.read(), path, "exec"), module.__dict__)
    function = getattr(module, name, None)
    if not callable(function):
        raise SystemExit(f"{path} defines no function {name}()")
    return function  # type: ignore[no-any-return]


def plain(value: Any) -> Any:
    """Arrays and array scalars as lists and numbers."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"may hold numbers, texts, lists and dicts, not {type(value).__name__}")


def encoder(of: str) -> Callable[[Any], bytes]:
    """Makes JSON of what function `of` returned, infinities and NaN as they are: the grader refuses them by name."""
    encode = json.JSONEncoder(default=plain).encode

    def encoded(value: Any) -> bytes:
        try:
            return encode(value).encode()
        except (TypeError, ValueError, RecursionError) as error:
            raise SystemExit(f"what {of}() returns is no plain data: {error}") from None

    return encoded


def solve(program: str, answer: str) -> None:
    value = entry(program, "solve")()
    data = encoder("solve")(value)
    with open(answer, "wb") as file:
        file.write(data)


def decide(program: str) -> None:
    """Keeps the channel to itself: what the program prints goes to stderr, and its stdin is empty."""
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    function, encode = entry(program, "decide"), encoder("decide")
    for line in requests:
        replies.write(encode(function(json.loads(line))) + b"\n")
        replies.flush()


def report(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print an exception without this file's own frames."""
    import traceback

    while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next
    traceback.print_exception(kind, error, trace)


if __name__ == "__main__":
    sys.excepthook = report
    commands: dict[str, Callable[..., None]] = {"solve": solve, "decide": decide}
    commands[sys.argv[1]](*sys.argv[2:])
