"""The slow part of a step: plan, write, review, run, grade. Works on a snapshot and returns an outcome.

Runs in a worker thread; it never touches the graph or the journal. A failing candidate is an outcome; a failing
service is an exception.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from evolve.agent import coder, reviewer, strategist
from evolve.agent.brief import Attempt, Brief, Candidate, NoCandidate, Plan, Solution
from evolve.agent.fingerprint import fingerprint
from evolve.config import AgentConfig
from evolve.errors import BudgetSpent, SandboxError
from evolve.events import Experience
from evolve.graph import Expansion, Node, Reference
from evolve.llm.base import LLM
from evolve.memory.signature import error_signature
from evolve.prompts import Prompts
from evolve.run.artifacts import Artifacts
from evolve.run.calls import CallLog
from evolve.sandbox.base import SandboxProvider
from evolve.search.planner import INITIAL, Outcome
from evolve.tasks.base import Evaluation, Task

logger = logging.getLogger(__name__)

SANDBOX_PAUSES_S = (1.0, 5.0, 15.0)
"""Pauses before a sandbox that failed is tried again."""
GIVEN = Plan(hypothesis="the initial program, as given")


@dataclass(frozen=True, slots=True)
class Assignment:
    """An expansion and the facts of the graph its author may read, taken when it was handed out."""

    expansion: Expansion
    parent: Node | None
    shown: tuple[Node, ...]
    references: tuple[tuple[Reference, Node], ...]
    experiences: tuple[Experience, ...]
    best_score: float | None
    """The best score when the expansion was decided."""


@dataclass(frozen=True, slots=True)
class Services:
    """What every rollout of a run works with. All of it is thread-safe."""

    task: Task
    agent: AgentConfig
    prompts: Prompts
    strategist: LLM
    coder: LLM
    reviewer: LLM | None
    provider: SandboxProvider
    artifacts: Artifacts
    calls: CallLog
    twins: Twins
    interrupt: threading.Event
    """Set when pauses are to end early."""


@dataclass(frozen=True, slots=True)
class Rollout:
    """The outcome, and what the clock said, which stays out of the journal."""

    outcome: Outcome
    files: Mapping[str, str]
    stage_seconds: dict[str, float]


class Twins:
    """Which expansion was first with a program. Thread-safe, so that two workers never run the same one."""

    def __init__(self, known: Mapping[str, str]) -> None:
        self._lock = threading.Lock()
        self._first = dict(known)

    def claim(self, program: str, expansion_id: str) -> str | None:
        """Id of the node that has this program already; None, and it is ours, if there is none."""
        with self._lock:
            first = self._first.setdefault(program, expansion_id)
        return None if first == expansion_id else first

    def forget(self, program: str, expansion_id: str) -> None:
        """Give up a claim: the expansion will judge another program."""
        with self._lock:
            if self._first.get(program) == expansion_id:
                del self._first[program]

    def release(self, expansion_id: str) -> None:
        """Forget the claims of an abandoned expansion."""
        with self._lock:
            for program in [program for program, first in self._first.items() if first == expansion_id]:
                del self._first[program]


def roll_out(assignment: Assignment, services: Services) -> Rollout:
    """Raises ServiceError when a service failed for good and BudgetSpent when a call is no longer affordable."""
    if assignment.expansion.operator == INITIAL:
        return _judge(Candidate(GIVEN, services.task.sheet.initial, mode=None), assignment, services)
    written = _write(_brief(assignment, services), services)
    if isinstance(written, NoCandidate):
        return _without_code(written, services)
    return _judge(written, assignment, services)


def _write(brief: Brief, services: Services) -> Candidate | NoCandidate:
    """Plan, write and review; the re-asks of the plan count as the program's."""
    planned = strategist.plan(brief, services.strategist, services.prompts, services.agent)
    if isinstance(planned, NoCandidate):
        return planned
    written = _carry_out(brief, planned.plan, services)
    return replace(written, reasks=planned.reasks + written.reasks, notes=(*planned.notes, *written.notes))


def _carry_out(brief: Brief, plan: Plan, services: Services) -> Candidate | NoCandidate:
    """Write and review. A program that was judged before is asked for once more, with the reason."""
    written = coder.write(brief, plan, services.coder, services.prompts, services.agent)
    if isinstance(written, NoCandidate):
        return written
    twin_id = services.twins.claim(fingerprint(written.files), brief.expansion_id)
    if twin_id is not None:
        objection = f"This is the same program as {twin_id}, which was judged already. Carry the plan out differently."
        written = coder.rewrite(brief, plan, written, objection, services.coder, services.prompts, services.agent)
    if services.reviewer is None:
        return written
    reviewed = reviewer.review(brief, plan, written, services.reviewer, services.prompts, services.agent)
    if reviewed.files != written.files:
        services.twins.forget(fingerprint(written.files), brief.expansion_id)
    return reviewed


def _judge(candidate: Candidate, assignment: Assignment, services: Services) -> Rollout:
    """Run and grade a program, unless it is one that was judged before."""
    program = fingerprint(candidate.files)
    twin_id = services.twins.claim(program, assignment.expansion.id)
    if twin_id is not None:
        return _duplicate(candidate, program, twin_id, services)
    return _judged(candidate, program, _grade(candidate, services), services)


def _grade(candidate: Candidate, services: Services) -> Evaluation:
    """Judge it; a sandbox that is out of order for a moment, as when its engine restarts, is tried again.

    Raises SandboxError when it stays out of order, and BudgetSpent when the pause before another try is interrupted.
    """
    for pause_s in SANDBOX_PAUSES_S:
        try:
            return services.task.grade(candidate.files, services.provider)
        except SandboxError as error:
            if not error.retryable:
                raise
            logger.info("%s; trying again in %g s", error.message, pause_s)
        if services.interrupt.wait(pause_s):
            raise BudgetSpent("interrupted")
    return services.task.grade(candidate.files, services.provider)


def _brief(assignment: Assignment, services: Services) -> Brief:
    return Brief(
        expansion_id=assignment.expansion.id,
        operator=assignment.expansion.operator,
        task=services.task.sheet,
        parent=_solution(assignment.parent, "parent", services.artifacts) if assignment.parent else None,
        best_score=assignment.best_score,
        attempts=tuple(Attempt(node.id, node.title, node.status, node.score) for node in assignment.shown),
        references=tuple(_solution(node, edge.role, services.artifacts) for edge, node in assignment.references),
        experiences=assignment.experiences,
    )


def _solution(node: Node, role: str, artifacts: Artifacts) -> Solution:
    candidate = load_candidate(node, artifacts)
    evaluation = load_evaluation(node, artifacts)
    return Solution(
        node_id=node.id,
        title=node.title,
        files=candidate["files"],
        status=node.status,
        score=node.score,
        metrics=node.metrics,
        feedback=evaluation.get("feedback", ""),
        artifacts=evaluation.get("artifacts", {}),
        stderr=evaluation.get("stderr", ""),
        role=role,
    )


def _judged(candidate: Candidate, program: str, evaluation: Evaluation, services: Services) -> Rollout:
    outcome = Outcome(
        status=evaluation.status,
        title=candidate.plan.title,
        score=evaluation.score,
        metrics=dict(evaluation.metrics),
        candidate_ref=_store_candidate(candidate, services.artifacts),
        evaluation_ref=_store_evaluation(evaluation, services.artifacts),
        fingerprint=program,
        error_signature=error_signature(evaluation),
        lesson=_first_line(evaluation.feedback),
        mode=candidate.mode,
        reasks=candidate.reasks,
        level=services.provider.level,
        isolated=services.task.sheet.isolated,
    )
    return Rollout(outcome, candidate.files, {stage.name: round(stage.seconds, 3) for stage in evaluation.stages})


def _duplicate(candidate: Candidate, program: str, twin_id: str, services: Services) -> Rollout:
    outcome = Outcome(
        status="duplicate",
        title=candidate.plan.title,
        candidate_ref=_store_candidate(candidate, services.artifacts),
        fingerprint=program,
        twin_id=twin_id,
        lesson=f"the same program as {twin_id}",
        mode=candidate.mode,
        reasks=candidate.reasks,
    )
    return Rollout(outcome, candidate.files, {})


def _without_code(failure: NoCandidate, services: Services) -> Rollout:
    record = {"plan": asdict(failure.plan), "files": {}, "reason": failure.reason, "notes": failure.notes}
    outcome = Outcome(
        status="no_code",
        title=failure.plan.title,
        candidate_ref=services.artifacts.put(_json(record)),
        lesson=_first_line(failure.reason),
        mode=failure.mode,
        reasks=failure.reasks,
    )
    return Rollout(outcome, {}, {})


def load_candidate(node: Node, artifacts: Artifacts) -> dict[str, Any]:
    """Keys: plan, files, notes and, where no program came of it, reason."""
    return dict(json.loads(artifacts.get(node.candidate_ref))) if node.candidate_ref else {"plan": {}, "files": {}}


def load_evaluation(node: Node, artifacts: Artifacts) -> dict[str, Any]:
    """The fields of Evaluation without its seconds; empty for a node that never ran."""
    return dict(json.loads(artifacts.get(node.evaluation_ref))) if node.evaluation_ref else {}


def _store_candidate(candidate: Candidate, artifacts: Artifacts) -> str:
    return artifacts.put(
        _json({"plan": asdict(candidate.plan), "files": dict(candidate.files), "notes": candidate.notes})
    )


def _store_evaluation(evaluation: Evaluation, artifacts: Artifacts) -> str:
    record = asdict(evaluation)
    del record["seconds"]
    for stage in record["stages"]:
        del stage["seconds"]
    return artifacts.put(_json(record))


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def _first_line(text: str) -> str:
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    return line if len(line) <= 200 else f"{line[:197]}..."
