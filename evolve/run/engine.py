"""The core loop: select, expand, roll out, backpropagate, remember.

One thread owns the graph and the journal; rollouts happen in a pool and work on snapshots, so no lock is needed.
Every event is durable before anything acts on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import Protocol

from evolve.errors import BudgetSpent, ServiceError
from evolve.events import Event, ExpansionAbandoned, ExpansionStarted
from evolve.graph import ROOT_ID, Expansion, Node, SearchGraph
from evolve.memory.base import MemoryPolicy, Query
from evolve.run.budget import Budget
from evolve.run.grading import Standing
from evolve.run.journal import Journal
from evolve.run.pool import Finished, Pool
from evolve.run.rollout import Assignment, Rollout, Services, roll_out
from evolve.run.rundir import RunDir
from evolve.run.timeline import Timeline
from evolve.search.planner import Planner

ABANDONED_IN_ROW = 3
"""So many expansions lost to services in a row, and the run stops."""
TRAJECTORY = 6
"""Of so many solutions that a program descends from, its author is told."""
_LOOK_S = 0.5
"""How often the stop file is looked for while nothing finishes."""


class Observer(Protocol):
    """Watches a run. Called by the engine's thread only."""

    def started(self, graph: SearchGraph, expansion: Expansion) -> None: ...

    def added(self, graph: SearchGraph, node: Node) -> None: ...

    def abandoned(self, graph: SearchGraph, expansion: Expansion, reason: str) -> None: ...


@dataclass(slots=True)
class State:
    """What a run has come to know: the fold of its journal."""

    graph: SearchGraph
    planner: Planner
    memory: MemoryPolicy

    def absorb(self, event: Event) -> None:
        self.graph.apply(event)
        self.planner.observe(self.graph, event)
        if event.kind == "experience_recorded":
            self.memory.observe(event.experience)


class Engine:
    """Works on one run until there is a reason to stop; used once.

    `stop_gently` and `stop_now` may be called from a signal handler.
    """

    def __init__(
        self,
        run: RunDir,
        state: State,
        services: Services,
        budget: Budget,
        journal: Journal,
        timeline: Timeline,
        observer: Observer,
        workers: int,
    ) -> None:
        self._run = run
        self._state = state
        self._services = services
        self._budget = budget
        self._journal = journal
        self._timeline = timeline
        self._observer = observer
        self._workers = workers
        self._pool: Pool[Assignment, Rollout] = Pool(workers, lambda assignment: roll_out(assignment, services))
        self._running = 0
        self._abandoned_in_row = 0
        self._reason: str | None = None
        self._error: BaseException | None = None
        self._now = False

    def run(self) -> str:
        """Work until done; the reason it stopped.

        Raises the error that ended the run: a service that stays down, a broken grader, a full disk. Whatever was in
        flight then stays in flight in the journal, and a resume takes it up again.
        """
        for expansion in list(self._state.graph.pending.values()):
            self._hand_out(expansion)
        while not self._now:
            while self._running < self._workers and not self._must_stop():
                self._hand_out(self._expand())
            if self._running == 0:
                break
            finished = self._pool.wait(_LOOK_S)
            if finished is not None:
                self._finish(finished)
        self._pool.close(wait=not self._now)
        if self._error is not None:
            raise self._error
        return self.stop_reason

    @property
    def stop_reason(self) -> str:
        """Why it stopped, or would if it had to say now."""
        return self._reason or "interrupted"

    def stop_gently(self) -> None:
        """Start nothing more and finish what is in flight."""
        self._reason = self._reason or "interrupted"
        self._pool.wake()

    def stop_now(self) -> None:
        """Leave what is in flight to a resume, and end its sandboxes."""
        self._reason = self._reason or "interrupted"
        self._now = True
        self._pool.wake()

    def _must_stop(self) -> bool:
        if self._reason is None and self._error is None:
            stop_file = "stop_file" if self._run.stop.exists() else None
            self._reason = stop_file or self._budget.stop_reason(self._state.graph)
        return self._reason is not None or self._error is not None

    def _expand(self) -> Expansion:
        """Decide what to grow next, ask memory for advice, and make the decision durable."""
        graph = self._state.graph
        expansion = self._state.planner.ask(graph, self._budget.progress(graph))
        parent = graph.nodes.get(expansion.parent_id)
        query = Query(expansion.operator, expansion.parent_id, parent.error_signature if parent else None)
        expansion = replace(expansion, recalled=self._state.memory.recall(query))
        self._commit([ExpansionStarted(expansion)])
        return expansion

    def _hand_out(self, expansion: Expansion) -> None:
        graph = self._state.graph
        best = graph.nodes[expansion.best_id] if expansion.best_id else None
        assignment = Assignment(
            expansion=expansion,
            parent=graph.nodes.get(expansion.parent_id),
            shown=tuple(graph.nodes[node_id] for node_id in expansion.shown),
            references=tuple((reference, graph.nodes[reference.node_id]) for reference in expansion.references),
            experiences=tuple(self._state.memory.experience(node_id) for node_id in expansion.recalled),
            best_score=best.score if best else None,
            trajectory=_ancestors(graph, expansion.parent_id),
            beside=tuple(
                graph.nodes.get(one, one) for one in expansion.beside if one in graph.nodes or one in graph.pending
            ),
            standing=Standing(best.score if best else None, expansion.noise, graph.spread),
        )
        self._observer.started(graph, expansion)
        self._running += 1
        self._pool.submit(expansion.id, assignment)

    def _finish(self, finished: Finished[Rollout]) -> None:
        self._running -= 1
        expansion = self._state.graph.pending[finished.id]
        if finished.result is not None:
            self._abandoned_in_row = 0
            self._tell(expansion, finished.result)
        elif isinstance(finished.error, BudgetSpent):
            self._reason = self._reason or finished.error.reason
        elif isinstance(finished.error, ServiceError) and not finished.error.stops_run:
            self._abandon(expansion, finished.error)
        else:
            self._error = self._error or finished.error

    def _tell(self, expansion: Expansion, rollout: Rollout) -> None:
        """Record a judged node: blobs first, commit second, then whatever follows from it."""
        graph = self._state.graph
        outcome = replace(rollout.outcome, cost=self._services.calls.settle(expansion.id))
        self._services.artifacts.flush()
        self._commit(self._state.planner.tell(graph, expansion, outcome))
        self._timeline.note("node", id=expansion.id, stages=rollout.stage_seconds)
        node = graph.nodes[expansion.id]
        if graph.best is node:
            publish(self._run, graph, rollout.files)
        self._observer.added(graph, node)

    def _abandon(self, expansion: Expansion, error: ServiceError) -> None:
        """A service, not the candidate, failed: no node gets the blame."""
        self._services.twins.release(expansion.id)
        cost = self._services.calls.settle(expansion.id)
        self._commit([ExpansionAbandoned(expansion.id, expansion.parent_id, error.message, cost)])
        self._observer.abandoned(self._state.graph, expansion, error.message)
        self._abandoned_in_row += 1
        if self._abandoned_in_row >= ABANDONED_IN_ROW:
            self._error = error

    def _commit(self, events: list[Event]) -> None:
        self._journal.commit(events)
        for event in events:
            self._state.absorb(event)


def _ancestors(graph: SearchGraph, node_id: str) -> tuple[Node, ...]:
    """The nodes that this one descends from, root side first; of a long line only the last ones."""
    line = islice(graph.lineage(node_id), 1, 1 + TRAJECTORY)
    return tuple(graph.nodes[one] for one in reversed(list(line)) if one != ROOT_ID)


def publish(run: RunDir, graph: SearchGraph, files: Mapping[str, str]) -> None:
    """Put the best program into `best/` with its score card."""
    best = graph.best
    if best is not None:
        card = {"id": best.id, "score": best.score, "direction": graph.direction, "metrics": dict(best.metrics)}
        run.publish_best(best.id, files, card)
