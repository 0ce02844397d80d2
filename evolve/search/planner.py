"""Ask what to grow next, tell what came of it. Pure: no I/O, no clock, no global chance.

The same for every search policy: the policy decides where to grow and what a result is worth, the planner puts the
decision and the result into events.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field, replace

from evolve.events import Event, Experience, ExperienceRecorded, NodeAdded, RewardBackpropagated
from evolve.graph import ROOT_ID, Cost, Expansion, Node, SearchGraph, Selection, Status
from evolve.search.bandit import Models
from evolve.search.base import Chance, Policy

INITIAL = "initial"
"""The operator name of an expansion that judges a given program: nothing is planned or written for it."""


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
    evaluations: int = 1
    error: float | None = None
    predicted_gain: float | None = None
    suspicion: str | None = None
    size: int = 0
    touched: tuple[str, ...] = ()


class Planner:
    """One per run. `observe` every event after the graph has applied it, then `ask` or `tell`."""

    def __init__(self, policy: Policy, seed: int, models: Models | None = None) -> None:
        self._policy = policy
        self._seed = seed
        self._models = models or Models({})
        self._given: dict[int, str | None] = {}
        """Expansion that judges each of the given programs; none where it has still to be judged."""

    def observe(self, graph: SearchGraph, event: Event) -> None:
        self._policy.observe(graph, event)
        self._models.observe(graph, event)
        match event.kind:
            case "run_started":
                self._given = dict.fromkeys(range(event.given))
            case "expansion_started" if event.expansion.given is not None:
                self._given[event.expansion.given] = event.expansion.id
            case "expansion_abandoned" if event.expansion_id in self._given.values():
                lost = next(number for number, by in self._given.items() if by == event.expansion_id)
                self._given[lost] = None
            case _:
                pass

    def ask(self, graph: SearchGraph, progress: float) -> Expansion:
        """The next expansion. `progress` is the share of the budget used, 0 to 1."""
        step = graph.steps + 1
        expansion_id = f"n{step}"
        unjudged = next((number for number, by in self._given.items() if by is None), None)
        if unjudged is not None:
            first = Selection("given", progress, branches=graph.effective_branches)
            return Expansion(expansion_id, step, INITIAL, ROOT_ID, expansion_id, first, given=unjudged)
        growth = self._policy.choose(graph, progress, self._chance(step))
        opens_branch = growth.parent_id == ROOT_ID
        return Expansion(
            id=expansion_id,
            step=step,
            operator=growth.operator,
            parent_id=growth.parent_id,
            branch_id=expansion_id if opens_branch else graph.nodes[growth.parent_id].branch_id,
            selection=growth.selection,
            references=growth.references,
            shown=growth.shown,
            beside=_drafts_in_flight(graph) if opens_branch and not growth.alone else (),
            models=self._models.choose(self._chance(step)),
            best_id=graph.best.id if graph.best else None,
            noise=graph.noise,
        )

    def tell(self, graph: SearchGraph, expansion: Expansion, outcome: Outcome) -> list[Event]:
        """The events that record a finished rollout, to be committed together."""
        outcome = _orderly(outcome)
        parent = graph.nodes.get(expansion.parent_id)
        gain = None
        if parent and parent.score is not None and outcome.score is not None:
            gain = graph.utility(outcome.score) - graph.utility(parent.score)
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
            evaluations=outcome.evaluations,
            error=outcome.error,
            gain=gain if gain is not None and math.isfinite(gain) else None,
            predicted_gain=outcome.predicted_gain,
            suspicion=outcome.suspicion,
            size=outcome.size,
            touched=outcome.touched,
        )
        experience = Experience(
            node_id=node.id,
            parent_id=node.parent_id,
            operator=node.operator,
            status=node.status,
            title=node.title,
            gain=node.gain,
            predicted_gain=node.predicted_gain,
            error_signature=node.error_signature,
            lesson=outcome.lesson,
        )
        rewards = self._policy.rewards(graph, node)
        return [
            NodeAdded(node),
            RewardBackpropagated(node.id, rewards.own, rewards.reference),
            ExperienceRecorded(experience),
        ]

    def _chance(self, step: int) -> Chance:
        return lambda purpose: random.Random(f"{self._seed}/{step}/{purpose}")


def _orderly(outcome: Outcome) -> Outcome:
    """Without numbers that no order and no journal can hold, should a third party's task let one through."""
    metrics = {name: value for name, value in outcome.metrics.items() if math.isfinite(value)}
    if outcome.score is None or math.isfinite(outcome.score):
        return replace(outcome, metrics=metrics)
    return replace(outcome, metrics=metrics, status="invalid", score=None)


def _drafts_in_flight(graph: SearchGraph) -> tuple[str, ...]:
    """Oldest first. Given programs have no author whose plan could be waited for."""
    return tuple(one.id for one in graph.pending.values() if one.parent_id == ROOT_ID and one.given is None)
