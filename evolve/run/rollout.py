"""The slow part of a step: plan, write, review, run, grade. Works on a snapshot and returns an outcome.

Runs in a worker thread; it never touches the graph or the journal. A failing candidate is an outcome; a failing
service is an exception.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any

from evolve.agent import analyst, coder, integrity, reviewer, strategist
from evolve.agent.brief import NO_PLAN, Attempt, Brief, Candidate, Change, NoCandidate, Plan, Solution
from evolve.agent.fingerprint import fingerprint
from evolve.agent.novelty import Tried
from evolve.agent.replies import Refusal
from evolve.agent.touched import touched
from evolve.config import AgentConfig
from evolve.errors import BudgetSpent, LLMError, SandboxError
from evolve.events import Experience
from evolve.graph import Expansion, Node, Reference
from evolve.llm.base import LLM
from evolve.llm.stack import Directed
from evolve.memory.signature import error_signature
from evolve.prompts import Prompts
from evolve.run.artifacts import Artifacts
from evolve.run.board import Plans
from evolve.run.calls import CallLog
from evolve.run.grading import Graded, Standing, grade
from evolve.sandbox.base import SandboxProvider
from evolve.search.planner import INITIAL, Outcome
from evolve.tasks.base import Evaluation, Task, TaskSheet

logger = logging.getLogger(__name__)

SANDBOX_PAUSES_S = (1.0, 5.0, 15.0)
"""Pauses before a sandbox that failed is tried again."""
MOST_COMPARED = 32
"""With the plans of so many shown attempts, the most telling ones, a new plan is compared."""


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
    standing: Standing
    """What the judging of its program depends on."""
    trajectory: tuple[Node, ...] = ()
    """Ancestors of the parent, root side first; of a long line only the last ones."""
    beside: tuple[Node | str, ...] = ()
    """The drafts that were in flight when this one was decided: judged by now, or ids of those that are not."""


@dataclass(frozen=True, slots=True)
class Services:
    """What every rollout of a run works with. All of it is thread-safe."""

    task: Task
    agent: AgentConfig
    prompts: Prompts
    strategist: LLM
    coder: LLM
    reviewer: LLM | None
    analyst: LLM | None
    provider: SandboxProvider
    artifacts: Artifacts
    calls: CallLog
    twins: Twins
    interrupt: threading.Event
    """Set when pauses are to end early."""
    plans: Plans = field(default_factory=Plans)


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
    services = _directed(services, assignment.expansion)
    if assignment.expansion.operator == INITIAL:
        return _judge(_given(assignment.expansion.given or 0, services.task.sheet), assignment, services)
    with services.plans.drafting(assignment.expansion.id) if assignment.parent is None else nullcontext():
        written = _write(assignment, services)
        if isinstance(written, NoCandidate):
            return _without_code(written, services)
        return _judge(written, assignment, services)


def _given(number: int, sheet: TaskSheet) -> Candidate:
    """A program the search starts from: the task's own one is number 0."""
    title = f"given program {number + 1}" if number else "the initial program, as given"
    return Candidate(Plan(title), sheet.given[number - 1] if number else sheet.initial, mode=None)


def _directed(services: Services, expansion: Expansion) -> Services:
    """With the models that the expansion prefers, and authors that write as its operator wants."""
    models, sampling = expansion.models, services.agent.sampling_of(expansion.operator)
    return replace(
        services,
        strategist=Directed(services.strategist, models.get("strategist"), sampling),
        coder=Directed(services.coder, models.get("coder"), sampling),
        reviewer=Directed(services.reviewer, models.get("reviewer")) if services.reviewer else None,
        analyst=Directed(services.analyst, models.get("analyst")) if services.analyst else None,
    )


def _write(assignment: Assignment, services: Services) -> Candidate | NoCandidate:
    """Plan, write and review; the re-asks of the plan count as the program's."""
    brief = _brief(assignment, services)
    if not services.agent.strategist:
        return _carry_out(brief, None, services)
    tried = tuple(_tried(assignment, services)) if services.agent.novelty else ()
    planned = strategist.plan(brief, services.strategist, services.prompts, services.agent, tried)
    if isinstance(planned, NoCandidate):
        return planned
    services.plans.publish(brief.expansion_id, planned.plan)
    written = _carry_out(brief, planned.plan, services)
    return replace(written, reasks=planned.reasks + written.reasks, notes=(*planned.notes, *written.notes))


def _carry_out(brief: Brief, plan: Plan | None, services: Services) -> Candidate | NoCandidate:
    """Write and review. A program that was judged before is asked for once more, with the reason."""
    written = coder.write(brief, plan, services.coder, services.prompts, services.agent)
    if isinstance(written, NoCandidate):
        return written
    if plan is None:
        services.plans.publish(brief.expansion_id, written.plan)
    twin_id = services.twins.claim(fingerprint(written.files), brief.expansion_id)
    if twin_id is not None:
        objection = f"This is the same program as {twin_id}, which was judged already. Carry the plan out differently."
        written = coder.rewrite(
            brief, written.plan, written, objection, services.coder, services.prompts, services.agent
        )
    if services.reviewer is None:
        return written
    reviewed = reviewer.review(brief, written.plan, written, services.reviewer, services.prompts, services.agent)
    if reviewed.files != written.files:
        services.twins.forget(fingerprint(written.files), brief.expansion_id)
    return reviewed


def _judge(candidate: Candidate, assignment: Assignment, services: Services) -> Rollout:
    """Run and grade a program, unless it is one that was judged before."""
    program = fingerprint(candidate.files)
    twin_id = services.twins.claim(program, assignment.expansion.id)
    if twin_id is not None:
        return _duplicate(candidate, program, twin_id, services)
    graded = _grade(candidate, assignment, services)
    return _judged(candidate, program, graded, assignment, services)


def _grade(candidate: Candidate, assignment: Assignment, services: Services) -> Graded:
    """Judge it. Programs that were given are evaluated in full, so that the noise is known from the start."""

    def review(suspicion: str, score: float, llm: LLM) -> integrity.Opinion:
        expansion = assignment.expansion
        brief = Brief(expansion.id, expansion.operator, services.task.sheet, None, assignment.best_score)
        return integrity.examine(brief, candidate.files, score, suspicion, llm, services.prompts, services.agent)

    return grade(
        lambda: _evaluate(candidate, services),
        services.task.sheet,
        assignment.standing,
        in_full=assignment.expansion.operator == INITIAL,
        review=partial(review, llm=services.reviewer) if services.reviewer else None,
    )


def _evaluate(candidate: Candidate, services: Services) -> Evaluation:
    """Run and grade it once; a sandbox that is out of order for a moment, as when its engine restarts, is tried again.

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
        attempts=tuple(_attempt(node) for node in assignment.shown if node not in assignment.trajectory),
        trajectory=tuple(map(_attempt, assignment.trajectory)),
        beside=tuple(plan.title for plan in _plans_beside(assignment, services)),
        references=tuple(_solution(node, edge.role, services.artifacts) for edge, node in assignment.references),
        experiences=assignment.experiences,
        progress=assignment.expansion.selection.progress,
        noise=assignment.expansion.noise,
    )


def _attempt(node: Node) -> Attempt:
    return Attempt(node.id, node.title, node.status, node.score, node.gain)


def _plans_beside(assignment: Assignment, services: Services) -> Iterator[Plan]:
    """Plans of the drafts in flight when this one was decided, oldest first, once all are known.

    Those abandoned and those that came to no plan have none.
    """
    waited = (one for one in assignment.beside if isinstance(one, str))
    plans = services.plans.wait_for(waited, services.interrupt)
    for one in assignment.beside:
        plan = plans[one] if isinstance(one, str) else _plan_of(one, services.artifacts)
        if plan is not None:
            yield plan


def _tried(assignment: Assignment, services: Services) -> Iterator[Tried]:
    """Plans that a new one should not repeat. One that never became a program is not tried."""
    for node in assignment.shown[:MOST_COMPARED]:
        if node.operator != INITIAL and node.status != "no_code" and (plan := _plan_of(node, services.artifacts)):
            yield Tried(plan, node.id, node.status, node.score)
    for plan in _plans_beside(assignment, services):
        yield Tried(plan)


def _plan_of(node: Node, artifacts: Artifacts) -> Plan | None:
    """The plan a node was written to; None if it has none."""
    stored = load_candidate(node, artifacts)["plan"]
    if not stored or stored["hypothesis"] == NO_PLAN:
        return None
    return Plan(**{**stored, "changes": tuple(Change(**change) for change in stored["changes"])})


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


def _judged(candidate: Candidate, program: str, graded: Graded, assignment: Assignment, services: Services) -> Rollout:
    evaluation = graded.evaluation
    gain = _gain(evaluation, assignment, services.task.sheet)
    analysis = _analysis(candidate, evaluation, gain, assignment, services)
    if isinstance(analysis, Refusal):
        candidate = replace(candidate, notes=(*candidate.notes, f"analyst: {analysis.reason}"))
        analysis = ""
    outcome = Outcome(
        status=evaluation.status,
        title=candidate.title,
        score=evaluation.score,
        metrics=dict(evaluation.metrics),
        candidate_ref=_store_candidate(candidate, services.artifacts, analysis),
        evaluation_ref=_store_evaluation(evaluation, services.artifacts),
        fingerprint=program,
        error_signature=error_signature(evaluation),
        lesson=analysis or _lesson(evaluation, candidate.plan.predicted_gain, gain),
        mode=candidate.mode,
        reasks=candidate.reasks,
        level=services.provider.level,
        isolated=services.task.sheet.isolated,
        evaluations=graded.evaluations,
        error=graded.error,
        suspicion=graded.suspicion,
        **_shape(candidate, services.task.sheet),
    )
    return Rollout(outcome, candidate.files, {stage.name: round(stage.seconds, 3) for stage in evaluation.stages})


def _gain(evaluation: Evaluation, assignment: Assignment, sheet: TaskSheet) -> float | None:
    """Over the parent, more is better."""
    if evaluation.score is None or assignment.parent is None or assignment.parent.score is None:
        return None
    gain = evaluation.score - assignment.parent.score
    return gain if sheet.direction == "maximize" else -gain


def _analysis(
    candidate: Candidate, evaluation: Evaluation, gain: float | None, assignment: Assignment, services: Services
) -> str | Refusal:
    """What the analyst makes of it; nothing without one. A node that was judged is not lost because an analysis failed.

    Only errors that leave the expansion in flight, so that a resume judges it again, pass.
    """
    if services.analyst is None or assignment.expansion.operator == INITIAL:
        return ""
    judged = Solution(
        node_id=assignment.expansion.id,
        title=candidate.title,
        files=candidate.files,
        status=evaluation.status,
        score=evaluation.score,
        metrics=evaluation.metrics,
        feedback=evaluation.feedback,
        artifacts=evaluation.artifacts,
        stderr=evaluation.stderr,
    )
    brief = _brief(assignment, services)
    try:
        return analyst.analyse(brief, candidate.plan, judged, gain, services.analyst, services.prompts, services.agent)
    except LLMError as error:
        if error.stops_run:
            raise
        return Refusal(error.message)


def _lesson(evaluation: Evaluation, predicted: float | None, gain: float | None) -> str:
    """What can be said without an analyst: the judge's first words, and whether the plan got what it expected."""
    said = _first_line(evaluation.feedback)
    if predicted is None or gain is None:
        return said
    return "; ".join(filter(None, (said, f"predicted gain {predicted:.4g}, actual {gain:.4g}")))


def _shape(candidate: Candidate, sheet: TaskSheet) -> dict[str, Any]:
    """What an outcome says of the program itself and of its plan."""
    own = {path: text for path, text in candidate.files.items() if path not in sheet.protected}
    initial = {path: text for path, text in sheet.initial.items() if path not in sheet.protected}
    return {
        "predicted_gain": candidate.plan.predicted_gain,
        "size": sum(map(len, own.values())),
        "touched": touched(own, initial),
    }


def _duplicate(candidate: Candidate, program: str, twin_id: str, services: Services) -> Rollout:
    outcome = Outcome(
        status="duplicate",
        title=candidate.title,
        candidate_ref=_store_candidate(candidate, services.artifacts),
        fingerprint=program,
        twin_id=twin_id,
        lesson=f"the same program as {twin_id}",
        mode=candidate.mode,
        reasks=candidate.reasks,
        **_shape(candidate, services.task.sheet),
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
        predicted_gain=failure.plan.predicted_gain,
    )
    return Rollout(outcome, {}, {})


def load_candidate(node: Node, artifacts: Artifacts) -> dict[str, Any]:
    """Keys: plan, files, notes; where no program came of it, reason; where an analyst wrote one, analysis."""
    return dict(json.loads(artifacts.get(node.candidate_ref))) if node.candidate_ref else {"plan": {}, "files": {}}


def load_evaluation(node: Node, artifacts: Artifacts) -> dict[str, Any]:
    """The fields of Evaluation without its seconds; empty for a node that never ran."""
    return dict(json.loads(artifacts.get(node.evaluation_ref))) if node.evaluation_ref else {}


def _store_candidate(candidate: Candidate, artifacts: Artifacts, analysis: str = "") -> str:
    record = {"plan": asdict(candidate.plan), "files": dict(candidate.files), "notes": candidate.notes}
    return artifacts.put(_json(record | ({"analysis": analysis} if analysis else {})))


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
