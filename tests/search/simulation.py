"""A search without programs: the planner over made-up outcomes, with any number of workers and service failures."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from evolve.config import SearchSettings
from evolve.events import Event, ExpansionAbandoned, ExpansionStarted, RunStarted
from evolve.graph import Cost, Direction, Expansion, Objective, SearchGraph, Status
from evolve.plugins import BuildContext
from evolve.search.planner import Outcome, Planner

FAILURES: tuple[Status, ...] = ("crashed", "timed_out", "out_of_memory", "invalid", "duplicate", "no_code")

Judge = Callable[[Expansion], Outcome | None]
"""What comes of an expansion; None abandons it."""


@dataclass
class Simulation:
    """Drives a planner as the engine does."""

    settings: SearchSettings
    seed: int = 0
    direction: Direction = "maximize"
    graph: SearchGraph = field(default_factory=SearchGraph)
    events: list[Event] = field(default_factory=list)
    objectives: tuple[Objective, ...] = ()
    given: int = 1

    def __post_init__(self) -> None:
        self.planner = Planner(self.settings.build(BuildContext(Path())), self.seed)
        for event in list(self.events):
            self._absorb(event)
        if not self.graph.started:
            self.commit(RunStarted("simulated", self.direction, self.seed, self.objectives, self.given))

    def commit(self, *events: Event) -> None:
        for event in events:
            self.events.append(event)
            self._absorb(event)

    def _absorb(self, event: Event) -> None:
        self.graph.apply(event)
        self.planner.observe(self.graph, event)

    def start(self, progress: float) -> Expansion:
        expansion = self.planner.ask(self.graph, progress)
        self.commit(ExpansionStarted(expansion))
        return expansion

    def finish(self, expansion: Expansion, outcome: Outcome) -> None:
        self.commit(*self.planner.tell(self.graph, expansion, outcome))

    def abandon(self, expansion: Expansion) -> None:
        self.commit(ExpansionAbandoned(expansion.id, expansion.parent_id, "the endpoint is down", Cost(1, 2, 3)))

    def run(self, steps: int, judge: Judge, workers: int = 1, chaos: int = 0) -> None:
        """Rollouts finish in an order drawn from `chaos`."""
        order = random.Random(chaos)
        started = len(self.graph.nodes)
        while started < steps or self.graph.pending:
            while len(self.graph.pending) < workers and started < steps:
                self.start(started / steps)
                started += 1
            expansion = order.choice(list(self.graph.pending.values()))
            outcome = judge(expansion)
            if outcome is None:
                self.abandon(expansion)
            else:
                self.finish(expansion, outcome)

    def play(self, *scores: float | Status) -> list[Expansion]:
        """One expansion after another, each with this score or failure; what was expanded."""
        expansions = []
        for result in scores:
            expansion = self.start(0.0)
            outcome = judged(None, result) if isinstance(result, str) else judged(result)
            self.finish(expansion, outcome)
            expansions.append(expansion)
        return expansions


def judged(score: float | None, status: Status = "crashed") -> Outcome:
    if score is None:
        return Outcome(status=status, title="fails")
    return Outcome(status="scored", title="works", score=score)


def random_judge(seed: int, failing: float = 0.3, abandoned: float = 0.0) -> Judge:
    """Deterministic in the expansion, so that a resumed simulation sees the same."""

    def judge(expansion: Expansion) -> Outcome | None:
        rng = random.Random(f"{seed}/{expansion.id}")
        if rng.random() < abandoned:
            return None
        if rng.random() < failing:
            return judged(None, rng.choice(FAILURES))
        outcome = judged(rng.choice([rng.gauss(0, 1), 0.5, -1e300, 1e-300]))
        repeated = rng.random() < 0.3
        return replace(
            outcome,
            metrics={"speed": rng.gauss(0, 1), "weight": float(rng.randrange(5)), "feature": rng.gauss(0, 9)},
            evaluations=3 if repeated else 1,
            error=abs(rng.gauss(0, 0.1)) if repeated else None,
            size=rng.randrange(1000),
            touched=tuple(sorted(rng.sample("abcdefgh", rng.randrange(8)))),
        )

    return judge


def inheriting_judge(simulation: Simulation, seed: int) -> Judge:
    """A child is about as good as its parent, and branches differ: what makes a search narrow down."""

    def judge(expansion: Expansion) -> Outcome | None:
        rng = random.Random(f"{seed}/{expansion.id}")
        parent = simulation.graph.nodes.get(expansion.parent_id)
        if rng.random() < 0.15:
            return judged(None)
        inherited = parent.score if parent and parent.score is not None else rng.gauss(0, 1)
        return judged(inherited + rng.gauss(-0.1, 0.3))

    return judge
