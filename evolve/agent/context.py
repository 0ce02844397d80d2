"""Turn a brief into the facts a template words, cut to what a prompt may hold. Knows no wording."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from evolve.agent.brief import Attempt, Brief, Solution
from evolve.agent.markers import has_markers
from evolve.agent.text import clean, clean_output, clip, one_line
from evolve.errors import PromptError
from evolve.events import Experience
from evolve.llm.base import Files

CHARACTERS_PER_TOKEN = 4

_FEEDBACK, _STDERR, _ARTIFACT = 2000, 2500, 1500
"""Most characters shown of each kind of program output, however much room there is."""


@dataclass(frozen=True, slots=True)
class FileView:
    """A file as a template shows it."""

    path: str
    text: str
    editable: bool


class _Room:
    """What is left of a prompt's characters; whoever asks first gets first."""

    def __init__(self, characters: int) -> None:
        self.left = characters

    def take(self, text: str, limit: int | None = None, keep: Literal["head", "tail"] = "head") -> str:
        text = clip(text, self.left if limit is None else min(limit, self.left), keep)
        self.left -= len(text)
        return text

    def fits(self, text: str) -> bool:
        """Take the text whole or not at all."""
        if len(text) > self.left:
            return False
        self.left -= len(text)
        return True


def facts(brief: Brief) -> dict[str, object]:
    """What every template is told; see prompts/README.md."""
    return {
        "task": brief.task,
        "operator": brief.operator,
        "files": views(brief, brief.base),
        "markers": has_markers(brief.task.initial),
        "parent": brief.parent,
        "best_score": brief.best_score,
        "attempts": brief.attempts,
        "trajectory": brief.trajectory,
        "beside": brief.beside,
        "progress": brief.progress,
        "noise": brief.noise,
        "references": brief.references,
        "lessons": brief.experiences,
    }


def views(brief: Brief, files: Files) -> tuple[FileView, ...]:
    """The files, those that may change first."""
    ordered = sorted(files, key=lambda path: (path in brief.task.protected, path))
    return tuple(FileView(path, files[path].strip("\n"), path not in brief.task.protected) for path in ordered)


def editable(brief: Brief) -> list[str]:
    """Paths of the program that may change, sorted."""
    return sorted(path for path in brief.base if path not in brief.task.protected)


def shows_program(shown: Brief, brief: Brief) -> bool:
    """Whether all that may change of the program is left in the trimmed brief."""
    return all(shown.base[path] == clean(brief.base[path]) for path in editable(brief))


def showing(brief: Brief, files: Files) -> Brief:
    """The brief as if these files were the program it starts from; for rendering only."""
    if brief.parent:
        return replace(brief, parent=replace(brief.parent, files=files))
    return replace(brief, task=replace(brief.task, initial=files))


def fit(
    brief: Brief, limit: int, render: Callable[[Brief], str], *, references: int | None = None
) -> tuple[str, Brief]:
    """Render the brief in at most `limit` characters, leaving out what helps least; the text and the brief it shows.

    The code of all references together has at most `references` characters, if that is given. Raises PromptError if the template's own words are too long.
    """
    room = limit
    while True:
        shown, used = trim(brief, max(room, 0), references)
        text = render(shown)
        excess = len(text) - limit
        if excess <= 0:
            return text, shown
        if room <= 0:
            raise PromptError(
                f"a prompt of {brief.task.name} has {excess} characters too many even without program and results",
                hint="raise agent.prompt_tokens or shorten the template",
            )
        room = min(room, used) - excess


def trim(brief: Brief, characters: int, of_references: int | None = None) -> tuple[Brief, int]:
    """The brief, cleaned, with at most so many characters of foreign text, and how many it has.

    Served in this order, most useful first: task, program, what went wrong, protected files, references, drafts written
    at the same time, lessons, trajectory, attempts, artifacts.
    """
    room = _Room(characters)
    task = replace(
        brief.task,
        description=room.take(clean(brief.task.description).strip()),
        interface=room.take(clean(brief.task.interface).strip()),
    )
    own = [path for path in sorted(brief.base) if path not in task.protected]
    base = {path: room.take(clean(brief.base[path])) for path in own}
    parent = brief.parent and _outcome(brief.parent, room)
    base |= {path: room.take(clean(brief.base[path])) for path in sorted(brief.base) if path in task.protected}
    references = tuple(_references(brief, room, characters if of_references is None else of_references))
    beside = tuple(title for one in brief.beside if room.fits(title := one_line(one, 200)))
    lessons = tuple(_lessons(brief, room))
    # The nearest ancestors matter most, and the first attempts.
    trajectory = tuple(reversed(list(_attempts(reversed(brief.trajectory), room))))
    attempts = tuple(_attempts(brief.attempts, room))
    if parent:
        artifacts = {name: room.take(clean_output(text), _ARTIFACT) for name, text in parent.artifacts.items()}
        parent = replace(parent, artifacts={name: text for name, text in artifacts.items() if text})
    shown = replace(
        brief,
        task=task,
        parent=parent,
        references=references,
        beside=beside,
        experiences=lessons,
        trajectory=trajectory,
        attempts=attempts,
    )
    return showing(shown, base), characters - room.left


def _references(brief: Brief, room: _Room, left: int) -> Iterator[Solution]:
    """Each with all of its code that may change, or, where `left` or the room is too small for that, with none of it."""
    for one in brief.references:
        files = {path: clean(text) for path, text in one.files.items() if path not in brief.task.protected}
        code = "".join(files.values())
        if len(code) <= left and room.fits(code):
            left -= len(code)
            yield _outcome(replace(one, files=files), room, artifacts=False)
        elif room.fits(title := one_line(one.title, 200)):
            yield replace(one, title=title, files={}, feedback="", stderr="", artifacts={})


def _lessons(brief: Brief, room: _Room) -> Iterator[Experience]:
    for one in brief.experiences:
        title, lesson = one_line(one.title, 200), one_line(one.lesson, 400)
        if room.fits(title + lesson):
            yield replace(one, title=title, lesson=lesson)


def _attempts(attempts: Iterable[Attempt], room: _Room) -> Iterator[Attempt]:
    for one in attempts:
        title = one_line(one.title, 200)
        if room.fits(title):
            yield replace(one, title=title)


def _outcome(solution: Solution, room: _Room, *, artifacts: bool = True) -> Solution:
    stderr = clean_output(solution.stderr)
    return replace(
        solution,
        title=one_line(solution.title, 200),
        feedback=room.take(_beyond(clean_output(solution.feedback), stderr), _FEEDBACK),
        stderr=room.take(stderr, _STDERR, keep="tail"),
        artifacts=solution.artifacts if artifacts else {},
    )


def _beyond(text: str, other: str) -> str:
    """The text without the lines that it and the other both end with: a judge repeats the traceback."""
    lines, ending = text.split("\n"), other.split("\n")
    while lines and ending and lines[-1] == ending[-1]:
        lines.pop()
        ending.pop()
    return "\n".join(lines)
