"""Make a program of a reply, in the form it was asked for, or say why that is impossible. Runs and calls nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from evolve.agent import syntax
from evolve.agent.brief import Mode
from evolve.agent.edits import apply_edits, conflict_markers, has_edits, read_edits
from evolve.agent.markers import enforce
from evolve.agent.replies import Block, Refusal, fenced_blocks, named_path, without_thoughts
from evolve.llm.base import Files, Reply
from evolve.tasks.base import TaskSheet

_LANGUAGES = {
    ".py": {"python", "py", "python3"},
    ".rs": {"rust", "rs"},
    ".js": {"javascript", "js"},
    ".ts": {"typescript", "ts"},
    ".c": {"c"},
    ".cpp": {"cpp", "c++", "cc"},
    ".jl": {"julia"},
    ".go": {"go", "golang"},
    ".sh": {"sh", "bash", "shell"},
    ".r": {"r"},
}
"""Words models put after a fence, by the suffix of the file they mean."""


@dataclass(frozen=True, slots=True)
class Written:
    """A program that may be tried: changed only where it may be, and readable."""

    files: Files
    mode: Mode
    notes: tuple[str, ...] = ()


def read_program(
    reply: Reply, mode: Mode, base: Files, task: TaskSheet, *, edits_only: bool = False
) -> Written | Refusal:
    """The program a reply makes of `base`.

    `whole`: every file that changes, in a fenced block. `diff`: SEARCH/REPLACE blocks; a reply without any that holds
    whole files instead is taken as `whole`, unless its author did not see all of the program (`edits_only`).
    """
    if reply.finish == "length":
        return Refusal("the reply was cut off at the token limit; answer more briefly and write a shorter program")
    text = without_thoughts(reply.text).replace("\r\n", "\n")
    if not text.strip():
        return Refusal("the reply is empty")
    editable = sorted(path for path in base if path not in task.protected)
    edits = has_edits(text)
    if mode == "diff" and (edits or not fenced_blocks(text)):
        return _from_edits(text, base, task, editable)
    if edits_only:
        return Refusal("the program is too long to be written whole; answer with SEARCH/REPLACE blocks")
    if edits:
        return Refusal("the reply has SEARCH/REPLACE blocks where whole files were asked for")
    return _from_files(text, base, task, editable)


def read_patch(text: str, base: Files, task: TaskSheet) -> Written | Refusal:
    """The program that the SEARCH/REPLACE blocks of a text make of `base`."""
    editable = sorted(path for path in base if path not in task.protected)
    return _from_edits(text.replace("\r\n", "\n"), base, task, editable)


def _from_edits(text: str, base: Files, task: TaskSheet, editable: Sequence[str]) -> Written | Refusal:
    edits = read_edits(text, tuple(base), editable)
    if isinstance(edits, Refusal):
        return edits
    files = apply_edits(base, edits)
    if isinstance(files, Refusal):
        return files
    return finished(files, "diff", base, task)


def _from_files(text: str, base: Files, task: TaskSheet, editable: Sequence[str]) -> Written | Refusal:
    written = read_files(text, base, editable)
    if isinstance(written, Refusal):
        return written
    if empty := [path for path in sorted(written) if not written[path].strip() and base.get(path, "").strip()]:
        return Refusal(f"the code block of {empty[0]} is empty; write the whole file into it")
    return finished({**base, **written}, "whole", base, task)


def read_files(text: str, base: Files, editable: Sequence[str]) -> dict[str, str] | Refusal:
    """Whole files in fenced blocks, by path. A file sent twice counts as sent last.

    With one editable file a single block in its language needs no name.
    """
    blocks = fenced_blocks(text)
    if not blocks:
        return Refusal("there is no fenced code block in the reply, only prose")
    if not blocks[-1].closed:
        return Refusal("the last code block is not closed: the reply was cut off or its closing fence is missing")
    named = [(path, block) for block in blocks if (path := _path(block, base))]
    if any(path in base for path, _ in named):
        return {path: block.text + "\n" for path, block in named}
    if len(editable) != 1:
        return Refusal(f"no code block names a file of the program ({', '.join(editable)}) in its opening fence")
    [only] = editable
    fitting = [block for block in blocks if _fits(block, only)]
    if len(fitting) != 1:
        found = "no code block" if not fitting else f"{len(fitting)} code blocks"
        return Refusal(f"{found} in the language of {only}; send the whole program in one block")
    return {only: fitting[0].text + "\n"}


def fitting_blocks(text: str, path: str) -> list[str]:
    """The closed fenced blocks in the file's language."""
    return [block.text for block in fenced_blocks(text) if block.closed and _fits(block, path)]


def _path(block: Block, base: Files) -> str | None:
    """The file a block is for: the one its fence names, else the one named above it if the language may be that file's."""
    path = named_path(block.before, base)
    return named_path(block.info, base) or (path if path and _fits(block, path) else None)


def _fits(block: Block, path: str) -> bool:
    """Whether the block's language may be the file's."""
    words = _LANGUAGES.get(PurePosixPath(path).suffix.lower())
    return not block.language or words is None or block.language in words


def finished(files: Files, mode: Mode, base: Files, task: TaskSheet) -> Written | Refusal:
    """The files held to what they may change, checked for leftovers and for syntax."""
    if marker := conflict_markers(files, base):
        return Refusal(marker)
    enforced = enforce(task.initial, files, task.protected, splice=mode != "diff")
    if isinstance(enforced, Refusal):
        return enforced
    changed = [path for path, text in enforced.files.items() if text.strip() != base.get(path, "").strip()]
    if not changed:
        return Refusal("the program would be exactly the one it started from; make the change the plan asks for")
    problems = filter(None, (syntax.problem(path, enforced.files[path]) for path in sorted(changed)))
    if found := "\n".join(problems):
        return Refusal(found)
    return Written(enforced.files, mode, enforced.notes)
