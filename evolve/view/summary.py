"""What a run has come to, in a few numbers: read in one pass, without building its graph."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

from evolve.events import Event
from evolve.graph import Cost, Direction, Node
from evolve.run.calls import read_calls
from evolve.run.journal import read_journal
from evolve.run.rundir import RunDir
from evolve.view.state import last_entry, state_of


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
    abandoned: int
    best: Node | None
    initial: Node | None
    """The node of the task's own program."""
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
            "abandoned": self.abandoned,
            "initial_score": self.initial.score if self.initial else None,
            "isolated": self.best.isolated if self.best else None,
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
    direction: Direction = "maximize"
    statuses: Counter[str] = field(default_factory=Counter)
    pending: set[str] = field(default_factory=set)
    abandoned: int = 0
    best: Node | None = None
    initial: Node | None = None

    def absorb(self, event: Event) -> None:
        match event.kind:
            case "run_started":
                self.direction = event.direction
            case "expansion_started":
                self.pending.add(event.expansion.id)
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
        if node.operator == "initial" and self.initial is None:
            self.initial = node
        if node.score is not None and (self.best is None or self._better(node.score, self.best.score)):
            self.best = node

    def _better(self, score: float, incumbent: float | None) -> bool:
        return incumbent is None or (score > incumbent if self.direction == "maximize" else score < incumbent)


def summarise(run: RunDir) -> Summary:
    """Raises RunNotFound, JournalCorrupt, SchemaTooNew."""
    manifest = run.read_manifest()
    state = state_of(run)
    tally = _Tally()
    for event in read_journal(run.journal):
        tally.absorb(event)
    last = last_entry(run) or {}
    return Summary(
        run=run,
        task=str(manifest.get("task", "")),
        state=state,
        direction=tally.direction,
        nodes=tally.statuses.total(),
        statuses=dict(sorted(tally.statuses.items())),
        in_flight=len(tally.pending),
        abandoned=tally.abandoned,
        best=tally.best,
        initial=tally.initial,
        cost=total_cost(run),
        active_s=float(last.get("active_s", 0.0)),
        error=last.get("error"),
    )


def total_cost(run: RunDir) -> Cost:
    return sum((call.cost for call in read_calls(run.calls)), Cost())
