"""Recognise the same bug in different programs.

A signature is a digest of the exception's type, the functions it passed through and its message, with everything masked
that differs between two runs of one bug: numbers, quoted text, addresses, paths and line numbers.
"""

from __future__ import annotations

import hashlib
import re

from evolve.tasks.base import Evaluation

_FRAME = re.compile(r'\s*File "(?P<path>[^"\n]*)", line \d+(?:, in (?P<function>.+))?')
_GROUP = re.compile(r"^\s*[|+] ?-*")
"""What Python draws before the lines of an exception group."""
_RAISED = re.compile(r"(?P<type>[A-Za-z_][\w.]*)(?::\s*(?P<message>.*))?")
_FOREIGN = re.compile(r"site-packages|dist-packages|[/\\]lib[/\\]python\d|<frozen |<__array_function__")
_MASKS = (
    (re.compile(r"'[^'\n]*'|\"[^\"\n]*\"|`[^`\n]*`"), "<text>"),
    (re.compile(r"(?:[A-Za-z]:)?(?:[\w.~-]*[/\\])+[\w.-]*"), "<path>"),
    (re.compile(r"\b0x[0-9a-fA-F]+\b"), "<hex>"),
    (re.compile(r"\b(?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])[0-9a-f]{6,}\b"), "<hex>"),
    (re.compile(r"[-+]?(?<!\w)(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"), "<n>"),
)

_READ = 20_000
"""Characters of program output looked at, from its end."""
_FRAMES = 3


def error_signature(evaluation: Evaluation) -> str | None:
    """Twelve hexadecimal digits that are equal for the same bug; None for a program that was scored."""
    match evaluation.status:
        case "scored":
            return None
        case "timed_out" | "out_of_memory":
            # Where the program was when it was cut short says nothing about why it takes so long.
            parts: tuple[str, ...] = ()
        case "crashed":
            parts = _traceback(evaluation.stderr) or _traceback(evaluation.feedback) or _words(evaluation)
        case _:
            parts = _traceback(evaluation.feedback) or (_mask(_first_line(evaluation.feedback)),)
    return hashlib.sha256("\n".join((evaluation.status, *parts)).encode("utf-8", "surrogatepass")).hexdigest()[:12]


def _words(evaluation: Evaluation) -> tuple[str, ...]:
    """What a program that is not Python, or was killed, left behind."""
    return _mask(_last_line(evaluation.stderr)), _mask(_first_line(evaluation.feedback))


def _traceback(text: str) -> tuple[str, ...] | None:
    """Exception type, masked message and the last own functions of the last Python traceback; None without one."""
    lines = [_GROUP.sub("", line) for line in text[-_READ:].split("\n")]
    frames = [(at, found) for at, line in enumerate(lines) if (found := _FRAME.match(line))]
    if not frames:
        return None
    last, _ = frames[-1]
    # The lines of a frame are indented; the first that is not names the exception.
    raised = next((found for line in lines[last + 1 :] if (found := _RAISED.fullmatch(line.rstrip()))), None)
    if raised is None:
        return None
    start = max((at for at, line in enumerate(lines[:last]) if line.startswith("Traceback (")), default=0)
    own = [found["function"] or "" for at, found in frames if at > start and not _FOREIGN.search(found["path"])]
    return (raised["type"].rsplit(".", 1)[-1], _mask(raised["message"] or ""), *map(_mask, own[-_FRAMES:]))


def _mask(text: str) -> str:
    for pattern, mask in _MASKS:
        text = pattern.sub(mask, text)
    return " ".join(text.split())[:300]


def _first_line(text: str) -> str:
    return next((line for line in text[:_READ].split("\n") if line.strip()), "")


def _last_line(text: str) -> str:
    return next((line for line in reversed(text[-_READ:].split("\n")) if line.strip()), "")
