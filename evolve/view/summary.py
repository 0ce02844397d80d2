"""What a run has come to, in a few numbers: read in one pass, without building its graph."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

from evolve.events import Event
from evolve.graph import Cost, Direction, Node, Objective, Ranking
from evolve.run.calls import read_calls
from evolve.run.journal import read_journal
from evolve.run.rundir import RunDir
from evolve.view.branches import effective_branches
from evolve.view.state import last_entry, state_of
from evolve.view.usage import Usage, usage


@dataclass(frozen=True, slots=True)
class Improvement:
    """A new best: how many evaluations it took, and what it scored."""

    evaluations: int
    score: float


@dataclass(frozen=True)
class Summary:
    """The facts of `evolve status`."""

    run: RunDir
    task: str
    state: str
    """`running`, or the reason it stopped."""
    direction: Direction
    nodes: int
    statuses: dict[str, int]
    in_flight: int
    failures_in_row: int
    """Failed nodes since the last valid one."""
    abandoned: int
    best: Node | None
    initial: Node | None
    """The node of the task's own program."""
    evaluations: int
    """How often a program was run and graded, repetitions included."""
    improvements: tuple[Improvement, ...]
    """Oldest first; the last one is the best."""
    noise: float | None
    """Standard deviation of one evaluation; None unless something was evaluated more than once."""
    objectives: tuple[Objective, ...]
    front: tuple[Node, ...]
    """Nodes that no other dominates; none for a task with a single score."""
    branches: tuple[float, ...]
    """Effective number of branches after each expansion."""
    usage: tuple[Usage, ...]
    cost: Cost
    """Every paid call, those of rollouts in flight included."""
    active_s: float
    error: str | None
    """What ended the last session, if it was an error."""

    def as_dict(self) -> dict[str, Any]:
        return {
            **outcome(self.run, self.state, self.nodes, self.best, self.cost),
            "task": self.task,
            "direction": self.direction,
            "statuses": self.statuses,
            "in_flight": self.in_flight,
            "failures_in_row": self.failures_in_row,
            "abandoned": self.abandoned,
            "initial_score": self.initial.score if self.initial else None,
            "isolated": self.best.isolated if self.best else None,
            "suspicion": self.best.suspicion if self.best else None,
            "standard_error": self.best.error if self.best else None,
            "evaluations": self.evaluations,
            "improvements": [asdict(one) for one in self.improvements],
            "noise": self.noise,
            "objectives": [asdict(one) for one in self.objectives],
            "front": [{"id": node.id, "score": node.score, "metrics": dict(node.metrics)} for node in self.front],
            "branches": list(self.branches),
            "usage": [
                {"role": one.role, "operator": one.operator, **asdict(one.cost), "again": one.again}
                for one in self.usage
            ],
            "active_s": self.active_s,
            "error": self.error,
        }


def outcome(run: RunDir, stop_reason: str, nodes: int, best: Node | None, cost: Cost) -> dict[str, Any]:
    """The object that `run`, `resume` and `status` print for scripts."""
    path = run.path.resolve()
    return {
        "run": str(path),
        "stop_reason": stop_reason,
        "nodes": nodes,
        "best": {"id": best.id, "score": best.score, "path": str(path / run.best.name)} if best else None,
        "cost": asdict(cost),
    }


@dataclass
class _Tally:
    ranking: Ranking = field(default_factory=Ranking)
    statuses: Counter[str] = field(default_factory=Counter)
    operators: dict[str, str] = field(default_factory=dict)
    """Of every expansion, by id."""
    branch_ids: list[str] = field(default_factory=list)
    pending: set[str] = field(default_factory=set)
    abandoned: int = 0
    initial: Node | None = None
    failures_in_row: int = 0
    """Failed nodes since the last valid one."""
    evaluations: int = 0
    improvements: list[Improvement] = field(default_factory=list)

    def absorb(self, event: Event) -> None:
        match event.kind:
            case "run_started":
                self.ranking.direction, self.ranking.objectives = event.direction, event.objectives
            case "expansion_started":
                self.pending.add(event.expansion.id)
                self.operators[event.expansion.id] = event.expansion.operator
                self.branch_ids.append(event.expansion.branch_id)
            case "expansion_abandoned":
                self.pending.discard(event.expansion_id)
                self.abandoned += 1
            case "node_added":
                self._add(event.node)
            case _:
                pass

    def _add(self, node: Node) -> None:
        self.pending.discard(node.id)
        self.statuses[node.status] += 1
        self.failures_in_row = 0 if node.valid else self.failures_in_row + 1
        if node.status not in ("duplicate", "no_code"):
            self.evaluations += node.evaluations
        if node.operator == "initial" and self.initial is None:
            self.initial = node
        if node.valid and node.score is not None:
            before = self.ranking.best
            self.ranking.rank(node)
            best = self.ranking.best
            if best is not None and best is not before and best.score is not None:
                self.improvements.append(Improvement(self.evaluations, best.score))


def summarise(run: RunDir) -> Summary:
    """Raises RunNotFound, JournalCorrupt, SchemaTooNew."""
    manifest = run.read_manifest()
    state = state_of(run)
    tally = _Tally()
    for event in read_journal(run.journal):
        tally.absorb(event)
    used = usage(read_calls(run.calls), tally.operators)
    last = last_entry(run) or {}
    return Summary(
        run=run,
        task=str(manifest.get("task", "")),
        state=state,
        direction=tally.ranking.direction,
        nodes=tally.statuses.total(),
        statuses=dict(sorted(tally.statuses.items())),
        in_flight=len(tally.pending),
        failures_in_row=tally.failures_in_row,
        abandoned=tally.abandoned,
        best=tally.ranking.best,
        initial=tally.initial,
        evaluations=tally.evaluations,
        improvements=tuple(tally.improvements),
        noise=tally.ranking.noise,
        objectives=tally.ranking.objectives,
        front=tally.ranking.front,
        branches=tuple(effective_branches(tally.branch_ids)),
        usage=used,
        cost=sum((one.cost for one in used), Cost()),
        active_s=float(last.get("active_s", 0.0)),
        error=last.get("error"),
    )
