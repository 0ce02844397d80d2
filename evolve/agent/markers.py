"""Hold candidates to what a task lets them change: protected files and text outside EVOLVE-BLOCK markers stay.

A file of the initial program that has markers may change only between them; one without markers is free unless it is
protected. Marker lines are comments of any language that begin with EVOLVE-BLOCK-START or EVOLVE-BLOCK-END.
"""

from __future__ import annotations

import re
from collections.abc import Set
from dataclasses import dataclass

from evolve.agent.replies import Refusal
from evolve.errors import ConfigError
from evolve.llm.base import Files

_MARKER = re.compile(r"[^\w\n]*EVOLVE-BLOCK-(START|END)\b")
_PATH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(?:/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")

MOST_FILES = 50
"""Files a candidate may have beyond those of the initial program."""
MOST_CHARACTERS = 1_000_000
"""Characters a candidate may have in all its files, beyond those of the initial program."""


@dataclass(frozen=True, slots=True)
class Enforced:
    """A program that changes only what it may."""

    files: Files
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Parts:
    """A file cut at its markers: `outside` has one element more than `inside`; marker lines are outside."""

    outside: tuple[tuple[str, ...], ...]
    inside: tuple[tuple[str, ...], ...]


def has_markers(files: Files) -> bool:
    return any(_MARKER.match(line) for text in files.values() for line in text.split("\n"))


def check(initial: Files) -> None:
    """Raise ConfigError if the task's program has markers that do not come in pairs."""
    problems = [f"{path}: {cut.reason}" for path, text in initial.items() if isinstance(cut := _cut(text), Refusal)]
    if problems:
        raise ConfigError(
            "\n".join(problems), hint="each EVOLVE-BLOCK-START needs its own EVOLVE-BLOCK-END before the next START"
        )


def enforce(initial: Files, new: Files, protected: Set[str], *, splice: bool) -> Enforced | Refusal:
    """The candidate's files with all that may not change as it was.

    Files of the initial program that are left out come back. Changed text outside the markers is put back with a note
    when `splice` is set (the author sent whole files), and refused otherwise (the author asked for just that change).
    """
    added = sorted(new.keys() - initial.keys())
    if refusal := _refuse_added(added, initial, new):
        return refusal
    files, notes = dict[str, str](), list[str]()
    for path, original in initial.items():
        text = new.get(path, original)
        if path in protected:
            if text.strip() != original.strip():
                return Refusal(f"{path} is protected and must not change")
            files[path] = original
            continue
        kept = _enforce_file(path, original, text, splice=splice)
        if isinstance(kept, Refusal):
            return kept
        files[path] = kept
        if kept != text:
            notes.append(f"text of {path} outside the EVOLVE-BLOCK markers was put back")
    return Enforced({**files, **{path: new[path] for path in added}}, tuple(notes))


def _enforce_file(path: str, original: str, text: str, *, splice: bool) -> str | Refusal:
    old, new = _cut(original), _cut(text)
    if isinstance(old, Refusal) or not old.inside or text == original:
        return text
    if isinstance(new, Refusal):
        return Refusal(f"{path}: {new.reason}")
    if len(new.inside) != len(old.inside):
        return Refusal(
            f"{path} must keep its {len(old.inside)} pair(s) of EVOLVE-BLOCK-START and EVOLVE-BLOCK-END comment lines; "
            f"the reply has {len(new.inside)}"
        )
    if not splice and _trimmed(old.outside) != _trimmed(new.outside):
        return Refusal(f"{path}: text outside the EVOLVE-BLOCK markers, or a marker line, would change")
    lines = list(old.outside[0])
    for inside, outside in zip(new.inside, old.outside[1:], strict=True):
        lines += [*inside, *outside]
    return "\n".join(lines)


def _cut(text: str) -> _Parts | Refusal:
    outside, inside = list[tuple[str, ...]](), list[tuple[str, ...]]()
    lines, opened = list[str](), 0
    for number, line in enumerate(text.split("\n"), start=1):
        marker = _MARKER.match(line)
        if not marker:
            lines.append(line)
        elif marker.group(1) == "START":
            if opened:
                return Refusal(f"line {number}: EVOLVE-BLOCK-START inside the block that starts in line {opened}")
            outside.append((*lines, line))
            lines, opened = [], number
        else:
            if not opened:
                return Refusal(f"line {number}: EVOLVE-BLOCK-END without a START before it")
            inside.append(tuple(lines))
            lines, opened = [line], 0
    if opened:
        return Refusal(f"line {opened}: EVOLVE-BLOCK-START without an END after it")
    return _Parts((*outside, tuple(lines)), tuple(inside))


def _trimmed(parts: tuple[tuple[str, ...], ...]) -> list[list[str]]:
    return [[line.rstrip() for line in part] for part in parts]


def _refuse_added(added: list[str], initial: Files, new: Files) -> Refusal | None:
    folders = {path.rsplit("/", depth)[0] for path in new for depth in range(1, path.count("/") + 1)}
    for path in added:
        if not _PATH.fullmatch(path) or len(path) > 200:
            return Refusal(f"a file cannot be named {path[:200]!r}: relative paths of letters, digits, _ - . only")
        if path in folders:
            return Refusal(f"{path} cannot be a file and a folder")
    if len(added) > MOST_FILES:
        return Refusal(f"{len(added)} new files are too many (at most {MOST_FILES})")
    size = sum(map(len, new.values()))
    if size > MOST_CHARACTERS + sum(map(len, initial.values())):
        return Refusal(f"the program has {size} characters, {MOST_CHARACTERS} more than the initial one are allowed")
    return None
