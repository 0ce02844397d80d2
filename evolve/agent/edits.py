"""SEARCH/REPLACE edits: read them from a reply and apply them exactly, all or none.

The search text is whole lines and must occur once in the program as it was shown; every block is matched against that
program, so their order does not matter and they must not overlap. Matching ignores blanks at line ends, and one and the
same indentation missing from, or added to, all lines of both halves of a block.
"""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from evolve.agent.replies import Refusal, named_path
from evolve.llm.base import Files

_SEARCH = re.compile(r"\s*(?:<{5,9}|>{5,9})\s*SEARCH\b.*")
_DIVIDER = re.compile(r"\s*={5,9}\s*")
_REPLACE = re.compile(r"\s*(?:<{5,9}|>{5,9})\s*REPLACE\b.*")
_CONFLICT = re.compile(r"\s*(?:<{7}|>{7}|={7})(?:\s.*|SEARCH.*|REPLACE.*)?")
_FENCE = re.compile(r"\s*(?:`{3,}|~{3,}).*")

_MOST_EDITS = 100
_LONGEST_LINE = 200
"""Longer lines are neither compared for likeness nor shown in full."""
_MOST_COMPARED = 2000


@dataclass(frozen=True, slots=True)
class Edit:
    """Replace some lines of a file by others; no replacement deletes them."""

    path: str
    search: tuple[str, ...]
    replace: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Hit:
    """Where an edit goes: `start` counts lines from 0; `replace` is indented as the program is."""

    start: int
    end: int
    replace: tuple[str, ...]


def has_edits(reply: str) -> bool:
    """Whether the reply attempts a SEARCH/REPLACE block."""
    return any(_SEARCH.fullmatch(line) for line in reply.split("\n"))


def conflict_markers(new: Files, old: Files) -> str | None:
    """Why the program cannot be used if lines of an edit block ended up in it; lines it had before do not count."""
    for path, text in new.items():
        had = Counter(line for line in old.get(path, "").split("\n") if _CONFLICT.fullmatch(line))
        has = Counter(line for line in text.split("\n") if _CONFLICT.fullmatch(line))
        if left := has - had:
            return f"{path} has a marker line of an edit block in it: `{next(iter(left)).strip()[:_LONGEST_LINE]}`"
    return None


def read_edits(reply: str, paths: Collection[str], editable: Sequence[str]) -> list[Edit] | Refusal:
    """The blocks of a reply; their marker lines are told by the words SEARCH and REPLACE, whichever way the arrows point.

    A block belongs to the file named above it, else to that of the block before it, else to the only editable one.
    """
    edits: list[Edit] = []
    path = editable[0] if len(editable) == 1 else None
    above = ""
    lines = iter(reply.replace("\r\n", "\n").split("\n"))
    for line in lines:
        if not _SEARCH.fullmatch(line):
            if _REPLACE.fullmatch(line):
                return Refusal("there is a >>>>>>> REPLACE line without its <<<<<<< SEARCH")
            above = line if line.strip() and (not _FENCE.fullmatch(line) or "=" in line) else above
            continue
        number = len(edits) + 1
        if number > _MOST_EDITS:
            return Refusal(f"more than {_MOST_EDITS} blocks")
        path = named_path(above, paths) or path
        if path is None:
            return Refusal(f"block {number} does not say which file it changes ({', '.join(editable)})")
        halves = _read_halves(lines, number)
        if isinstance(halves, Refusal):
            return halves
        search, replace = map(_unfenced, halves)
        if path not in paths and len(editable) == 1 and any(map(str.strip, search)):
            # Models make up names; the lines they want to change say which file they mean.
            path = editable[0]
        edits.append(Edit(path, search, replace))
        above = ""
    return edits or Refusal("there is no SEARCH/REPLACE block in the reply")


def _read_halves(lines: Iterator[str], number: int) -> tuple[list[str], list[str]] | Refusal:
    """The rest of a block whose SEARCH line was read, up to and with its REPLACE line."""
    search, replace = list[str](), list[str]()
    half = search
    for line in lines:
        if _REPLACE.fullmatch(line):
            if half is search:
                return Refusal(f"block {number} has no ======= line between its halves")
            return search, replace
        if _SEARCH.fullmatch(line):
            return Refusal(f"block {number} is not closed by >>>>>>> REPLACE before the next one starts")
        if not _DIVIDER.fullmatch(line):
            half.append(line)
        elif half is replace:
            return Refusal(f"block {number} has more than one ======= line")
        else:
            half = replace
    return Refusal(f"block {number} is not closed by >>>>>>> REPLACE")


def apply_edits(files: Files, edits: Sequence[Edit]) -> dict[str, str] | Refusal:
    """The files after all edits, or why not one was made, for every block that is at fault.

    A block sent twice counts once, and one that changes nothing is passed over if others do.
    """
    problems: list[str] = []
    hits: dict[str, list[_Hit]] = {}
    idle = [edit for edit in edits if _changes_nothing(edit)]
    for number, edit in enumerate(edits, start=1):
        if edit in edits[: number - 1] or (edit in idle and len(idle) < len(edits)):
            continue
        hit = _locate(files.get(edit.path, ""), edit, known=edit.path in files)
        if isinstance(hit, Refusal):
            problems.append(f"block {number} ({edit.path}): {hit.reason}")
        else:
            hits.setdefault(edit.path, []).append(hit)
    problems += [f"two blocks change line {line} of {path}" for path in hits for line in _overlaps(hits[path])]
    if problems:
        return Refusal("\n".join(problems))
    changed = {path: _replaced(files.get(path, ""), hits[path]) for path in hits}
    return {**files, **changed}


def _locate(text: str, edit: Edit, *, known: bool) -> _Hit | Refusal:
    search, lines = [line.rstrip() for line in edit.search], [line.rstrip() for line in text.split("\n")]
    if not any(search):
        if text.strip():
            return Refusal("the SEARCH half is empty; copy the lines to change into it")
        return _Hit(0, len(lines), edit.replace)
    if not known:
        return Refusal("there is no such file; a new file needs an empty SEARCH half")
    if _changes_nothing(edit):
        return Refusal("SEARCH and REPLACE are the same; write the changed lines into REPLACE")
    starts = [start for start in range(len(lines) - len(search) + 1) if lines[start : start + len(search)] == search]
    hits = [_Hit(start, start + len(search), edit.replace) for start in starts] or _shifted(lines, edit)
    if len(hits) == 1:
        return hits[0]
    if hits:
        places = ", ".join(str(hit.start + 1) for hit in hits[:10])
        return Refusal(
            f"the SEARCH text occurs {len(hits)} times (lines {places}); add lines around it until it is unique"
        )
    return Refusal(_not_found(lines, search))


def _changes_nothing(edit: Edit) -> bool:
    return [line.rstrip() for line in edit.search] == [line.rstrip() for line in edit.replace]


def _shifted(lines: Sequence[str], edit: Edit) -> list[_Hit]:
    """Places where the search text fits but for one indentation common to all its lines."""
    bare = _dedented(edit.search)
    size = len(bare)
    own = _indent(edit.search)
    hits = []
    for start in range(len(lines) - size + 1):
        window = lines[start : start + size]
        if _dedented(window) != bare:
            continue
        replace = _reindented(edit.replace, own, _indent(window))
        if replace is not None:
            hits.append(_Hit(start, start + size, replace))
    return hits


def _indent(lines: Sequence[str]) -> str:
    """The blanks that all lines with text begin with."""
    starts = [line[: len(line) - len(line.lstrip())] for line in lines if line.strip()]
    first, last = min(starts, default=""), max(starts, default="")
    size = next((at for at, sign in enumerate(first) if not last.startswith(first[: at + 1])), len(first))
    return first[:size]


def _dedented(lines: Sequence[str]) -> list[str]:
    size = len(_indent(lines))
    return [line[size:].rstrip() for line in lines]


def _reindented(lines: Sequence[str], old: str, new: str) -> tuple[str, ...] | None:
    """The lines with `new` in the place of the `old` indentation; None if one of them does not have it."""
    if not all(line.startswith(old) for line in lines if line.strip()):
        return None
    return tuple(new + line[len(old) :] if line.strip() else line for line in lines)


def _not_found(lines: Sequence[str], search: Sequence[str]) -> str:
    """Say which line of the search text the program does not have, and what comes closest."""
    present = {line.strip() for line in lines}
    missing = next((line for line in search if line.strip() and line.strip() not in present), None)
    if missing is None:
        return "the SEARCH lines are all in the file, but not one after the other like that"
    reason = f"the SEARCH line `{missing.strip()[:_LONGEST_LINE]}` is not in the file"
    by_text = {line.strip()[:_LONGEST_LINE]: number for number, line in enumerate(lines[:_MOST_COMPARED], start=1)}
    close = difflib.get_close_matches(missing.strip()[:_LONGEST_LINE], list(by_text), n=3, cutoff=0.6)
    if close:
        reason += "; nearest: " + ", ".join(f"line {by_text[line]}: `{line}`" for line in close)
    return reason


def _overlaps(hits: Sequence[_Hit]) -> list[int]:
    """Lines, counted from 1, that a block starts in while another still covers them."""
    ordered = sorted(hits, key=lambda hit: (hit.start, hit.end))
    return [later.start + 1 for earlier, later in pairwise(ordered) if later.start < earlier.end]


def _replaced(text: str, hits: Sequence[_Hit]) -> str:
    lines = text.split("\n")
    for hit in sorted(hits, key=lambda hit: hit.start, reverse=True):
        lines[hit.start : hit.end] = hit.replace
    return "\n".join(lines)


def _unfenced(lines: Sequence[str]) -> tuple[str, ...]:
    """The lines without a fence put around all of them."""
    if len(lines) >= 2 and _FENCE.fullmatch(lines[0]) and _FENCE.fullmatch(lines[-1]):
        lines = lines[1:-1]
    return tuple(line.rstrip("\r") for line in lines)
