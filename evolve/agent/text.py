"""Make foreign text fit to be shown: clean it, and cut it at line ends. Knows nothing of prompts' words."""

from __future__ import annotations

import re
from typing import Literal

_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-_])")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
_LONGEST_LINE = 500


def clean(text: str) -> str:
    """Text without terminal sequences, control characters and lone surrogates; newlines and tabs stay."""
    text = _ANSI.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    return _CONTROL.sub("", text).encode("utf-8", "replace").decode("utf-8")


def clean_output(text: str) -> str:
    """What a program printed, made harmless and short-lined."""
    lines = (line.rstrip() for line in clean(text).split("\n"))
    return "\n".join(line if len(line) <= _LONGEST_LINE else line[:_LONGEST_LINE] + " ..." for line in lines).strip(
        "\n"
    )


def clip(text: str, limit: int, keep: Literal["head", "tail"] = "head") -> str:
    """At most `limit` characters of `text`: whole lines of its beginning or end and a line that says what is missing."""
    if len(text) <= limit:
        return text
    lines = text.split("\n")
    room = limit - len(_left_out(len(lines)))
    kept = 0
    for line in lines if keep == "head" else reversed(lines):
        if len(line) + 1 > room:
            break
        room -= len(line) + 1
        kept += 1
    if not kept:
        return ""
    notice = _left_out(len(lines) - kept)
    return "\n".join([*lines[:kept], notice] if keep == "head" else [notice, *lines[-kept:]])


def _left_out(count: int) -> str:
    return f"[... {count} lines left out ...]"


def one_line(text: str, limit: int) -> str:
    """The text on one line, cut to `limit` characters."""
    line = " ".join(clean(text).split())
    return line if len(line) <= limit else line[: limit - 3] + "..."
