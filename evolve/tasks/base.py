"""What a task is: the program to improve, in which direction, and how a candidate is judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from evolve.graph import Direction, Objective, Status
from evolve.llm.base import Files
from evolve.sandbox.base import SandboxProvider

SCORE_CARD = "score.json"
"""Beside the best program's own files a run keeps one of this name."""


@dataclass(frozen=True, slots=True)
class TaskSheet:
    """What planner and coder are told."""

    name: str
    description: str
    """The task in Markdown, written by a person."""
    direction: Direction
    initial: Files
    """The program the search starts from."""
    given: tuple[Files, ...] = ()
    """Further programs to start from; they are judged before anything is written."""
    protected: frozenset[str] = frozenset()
    """Paths of `initial` that no candidate may change."""
    interface: str = ""
    """How the program is run and what it must leave behind, in a sentence or two."""
    isolated: bool = True
    """False where candidate and grader share a process, so that a score can be forged."""
    timeout_s: float = 60.0
    reference: float | None = None
    """Best known score, where the task states one."""
    bound: float | None = None
    """Best score there can be: a better one is a mistake or a fraud."""
    suspicious_spreads: float | None = 10.0
    """A jump over the best score by more than so many interquartile ranges of the run's scores is not taken on trust."""
    repeats: int = 1
    """Most evaluations of one program, for a task whose scores vary."""
    objectives: tuple[Objective, ...] = ()
    """Several aims, by the names of metrics; every scored evaluation has all of them. None where the score is the only aim."""
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
    scores: tuple[float, ...] = field(default=(), kw_only=True)
    """The score of each evaluation, where there were several; `score` is then their mean."""
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
