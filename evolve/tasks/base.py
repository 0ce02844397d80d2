"""What a task is: the program to improve, in which direction, and how a candidate is judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from evolve.graph import Direction, Status
from evolve.llm.base import Files
from evolve.sandbox.base import SandboxProvider


@dataclass(frozen=True, slots=True)
class TaskSheet:
    """What planner and coder are told."""

    name: str
    description: str
    """The task in Markdown, written by a person."""
    direction: Direction
    initial: Files
    """The program the search starts from."""
    protected: frozenset[str] = frozenset()
    """Paths of `initial` that no candidate may change."""
    interface: str = ""
    """How the program is run and what it must leave behind, in a sentence or two."""
    isolated: bool = True
    """False where candidate and grader share a process, so that a score can be forged."""
    timeout_s: float = 60.0
    reference: float | None = None
    """Best known score, where the task states one."""
    grader_digest: str = ""
    """Digest of the grader and all that it reads; when it changes, scores are no longer comparable."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One step of an evaluation, e.g. `solve`, `grade` or a cascade stage."""

    name: str
    status: Status
    seconds: float
    score: float | None = None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What came out of running and grading a candidate. Seconds are kept out of the journal."""

    status: Status
    score: float | None
    """Finite, and present exactly when the status is `scored`."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    feedback: str = ""
    """What the next author should know: the violation and its size, the exception, the timeout."""
    artifacts: Mapping[str, str] = field(default_factory=dict)
    """Named texts the grader wants shown to the next author."""
    stdout: str = ""
    stderr: str = ""
    exit_code: int | None = None
    stages: tuple[Stage, ...] = ()
    seconds: float = 0.0


class Task(Protocol):
    """Judges candidates. `grade` is called from several threads at once.

    It raises `SandboxError` when a sandbox fails and returns an Evaluation for anything a candidate or a grader does.
    """

    sheet: TaskSheet

    def grade(self, files: Files, provider: SandboxProvider) -> Evaluation: ...
