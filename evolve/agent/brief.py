"""What the agents are told and what they hand back. Plain facts; the templates word them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from evolve.events import Experience
from evolve.graph import Status
from evolve.llm.base import Files, Materials
from evolve.tasks.base import TaskSheet

Mode = Literal["whole", "stepwise", "diff"]

NO_PLAN = "(no plan)"
"""The hypothesis of an author who gave none."""


@dataclass(frozen=True, slots=True)
class Solution:
    """A judged program as an author reads it."""

    node_id: str
    title: str
    files: Files
    status: Status
    score: float | None
    metrics: Mapping[str, float] = field(default_factory=dict)
    feedback: str = ""
    artifacts: Mapping[str, str] = field(default_factory=dict)
    stderr: str = ""
    role: str = "parent"
    """`parent`, or the role of the reference edge."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """An earlier try in one line."""

    node_id: str
    title: str
    status: Status
    score: float | None
    gain: float | None = None
    """Over the program it was made from, more is better."""


@dataclass(frozen=True, slots=True)
class Brief:
    """Everything strategist, coder and reviewer are told about one expansion."""

    expansion_id: str
    operator: str
    task: TaskSheet
    parent: Solution | None
    """None when a branch is opened at the root."""
    best_score: float | None
    """The best score in the run when the expansion was decided."""
    attempts: tuple[Attempt, ...] = ()
    trajectory: tuple[Attempt, ...] = ()
    """Solutions that the parent descends from, root side first."""
    beside: tuple[str, ...] = ()
    """Plans, in one line, of the drafts that are being written at the same time."""
    references: tuple[Solution, ...] = ()
    experiences: tuple[Experience, ...] = ()
    progress: float = 0.0
    """Share of the budget that is used, 0 to 1."""
    noise: float | None = None
    """Standard deviation of one evaluation, where it was measured."""

    @property
    def base(self) -> Files:
        """The program the coder starts from: the parent's, or the task's initial one."""
        return self.parent.files if self.parent else self.task.initial

    @property
    def materials(self) -> Materials:
        return Materials(
            operator=self.operator,
            files=self.base,
            baseline=self.task.initial,
            references=tuple(reference.files for reference in self.references),
            failed=self.parent is not None and self.parent.status != "scored",
        )


@dataclass(frozen=True, slots=True)
class Change:
    """One thing to do, and where."""

    where: str
    what: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What to try and why. Decided by the strategist; the coder only carries it out."""

    hypothesis: str
    why: str = ""
    changes: tuple[Change, ...] = ()
    keep: str = ""
    """What must stay as it is."""
    predicted_gain: float | None = None
    """By how much the score should get better; negative if it is to get worse."""

    @property
    def title(self) -> str:
        """The hypothesis in one line of at most 120 characters."""
        line = " ".join(self.hypothesis.split())
        return line if len(line) <= 120 else line[:117] + "..."


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan, and what it took to get it."""

    plan: Plan
    reasks: int = 0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Candidate:
    """A program that has not run yet."""

    plan: Plan
    files: Files
    mode: Mode | None
    """None for a program that was given, not written."""
    reasks: int = 0
    notes: tuple[str, ...] = ()
    """What was mended or refused on the way, for a person who asks."""
    calls: int = 1
    """Requests its author was sent."""
    redone: bool = False
    """Written again after the first program of this plan turned out to be an earlier one; the plan need not describe it."""

    @property
    def title(self) -> str:
        return (
            replace(self.plan, hypothesis=f"redone: {self.plan.hypothesis}").title if self.redone else self.plan.title
        )


@dataclass(frozen=True, slots=True)
class NoCandidate:
    """The author gave nothing that can run, re-asks included."""

    plan: Plan
    reason: str
    mode: Mode | None = None
    reasks: int = 0
    notes: tuple[str, ...] = ()
