"""Ask what to grow next, tell what came of it. Pure: no I/O, no clock, no global chance."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from evolve.config import SearchConfig
from evolve.events import Event, Experience, ExperienceRecorded, NodeAdded, RewardBackpropagated
from evolve.graph import ROOT_ID, Cost, Expansion, Node, SearchGraph, Selection, Status
from evolve.operators.base import Operator, Situation, Target
from evolve.search.frontier import Frontier
from evolve.search.reward import reward
from evolve.search.selection import select

INITIAL = "initial"
"""The operator name of the expansion that judges the task's own program: nothing is planned or written for it."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a rollout found out about its expansion."""

    status: Status
    title: str
    score: float | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    candidate_ref: str | None = None
    evaluation_ref: str | None = None
    fingerprint: str | None = None
    twin_id: str | None = None
    error_signature: str | None = None
    lesson: str = ""
    mode: str | None = None
    reasks: int = 0
    level: str | None = None
    isolated: bool = True
    cost: Cost = field(default_factory=Cost)


class Planner:
    """One per run. `observe` every event after the graph has applied it, then `ask` or `tell`."""

    def __init__(self, settings: SearchConfig, operators: Sequence[Operator], seed: int) -> None:
        self._settings = settings
        self._operators = operators
        self._seed = seed
        self._frontier = Frontier(settings, frozenset(target for op in operators for target in op.targets))

    def observe(self, graph: SearchGraph, event: Event) -> None:
        self._frontier.observe(graph, event)

    def ask(self, graph: SearchGraph, progress: float) -> Expansion:
        """The next expansion. `progress` is the share of the budget used, 0 to 1."""
        step = graph.steps + 1
        expansion_id = f"n{step}"
        if not graph.width(ROOT_ID):
            first = Selection("initial", progress, 0.0, 1.0)
            return Expansion(expansion_id, step, INITIAL, ROOT_ID, expansion_id, first)
        parent_id, selection = select(graph, self._frontier, self._settings, progress, self._rng(step, "select"))
        operator = self._draw_operator(graph, parent_id, selection, self._rng(step, "operator"))
        return Expansion(
            id=expansion_id,
            step=step,
            operator=operator.name,
            parent_id=parent_id,
            branch_id=expansion_id if parent_id == ROOT_ID else graph.nodes[parent_id].branch_id,
            selection=selection,
            references=operator.references(graph, parent_id, self._rng(step, "references")),
            shown=operator.shown(graph, parent_id),
            best_id=graph.best.id if graph.best else None,
        )

    def tell(self, graph: SearchGraph, expansion: Expansion, outcome: Outcome) -> list[Event]:
        """The events that record a finished rollout, to be committed together."""
        parent = graph.nodes.get(expansion.parent_id)
        node = Node(
            id=expansion.id,
            step=expansion.step,
            branch_id=expansion.branch_id,
            operator=expansion.operator,
            parent_id=expansion.parent_id,
            depth=parent.depth + 1 if parent else 1,
            status=outcome.status,
            score=outcome.score,
            title=outcome.title,
            candidate_ref=outcome.candidate_ref,
            evaluation_ref=outcome.evaluation_ref,
            fingerprint=outcome.fingerprint,
            twin_id=outcome.twin_id,
            error_signature=outcome.error_signature,
            mode=outcome.mode,
            reasks=outcome.reasks,
            level=outcome.level,
            isolated=outcome.isolated,
            metrics=outcome.metrics,
            cost=outcome.cost,
        )
        gain = None
        if parent and parent.score is not None and outcome.score is not None:
            gain = graph.utility(outcome.score) - graph.utility(parent.score)
        experience = Experience(
            node_id=node.id,
            parent_id=node.parent_id,
            operator=node.operator,
            status=node.status,
            title=node.title,
            gain=gain,
            error_signature=node.error_signature,
            lesson=outcome.lesson,
        )
        worth = reward(self._settings, graph, node.branch_id, node.score)
        return [NodeAdded(node), RewardBackpropagated(node.id, worth), ExperienceRecorded(experience)]

    def _draw_operator(self, graph: SearchGraph, parent_id: str, selection: Selection, rng: random.Random) -> Operator:
        situation = Situation(_target(graph, parent_id), selection.progress, selection.policy == "exploit")
        able = [operator for operator in self._operators if situation.target in operator.targets]
        weights = [operator.weight(situation) for operator in able]
        return rng.choices(able, weights if sum(weights) > 0 else None)[0]

    def _rng(self, step: int, purpose: str) -> random.Random:
        """A generator of its own for every decision, so that a resumed run draws what the first would have drawn."""
        return random.Random(f"{self._seed}/{step}/{purpose}")


def _target(graph: SearchGraph, parent_id: str) -> Target:
    if parent_id == ROOT_ID:
        return "root"
    return "valid" if graph.nodes[parent_id].valid else "failed"
