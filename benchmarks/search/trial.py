"""One search on one landscape: the real planner, policy and memory, and the scripted author."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

from benchmarks.search import proposer
from benchmarks.search.landscape import Landscape, Program, landscape
from benchmarks.search.policies import Entrant, Told
from benchmarks.search.proposer import FILE, Author
from evolve.agent.brief import Attempt, Brief, Solution
from evolve.events import Event, ExpansionStarted, RunStarted
from evolve.graph import Expansion, Node, SearchGraph
from evolve.memory.base import MemoryPolicy, Query
from evolve.plugins import BuildContext, config_class
from evolve.search.planner import INITIAL, Outcome, Planner
from evolve.tasks.base import TaskSheet

TRAJECTORY = 6
"""So many ancestors are told."""
CALLS = 2
"""Model calls of a step: one that plans and one that writes. One more where a program judged before is asked for anew."""


@dataclass(slots=True)
class Trial:
    """How one search went."""

    gains: list[tuple[float, int, float]]
    """Steps' worth of model calls used, programs evaluated, and the true score of what the search then held to be the best,
    at each change."""
    statuses: Counter[str] = field(default_factory=Counter)
    operators: Counter[str] = field(default_factory=Counter)
    breadth: float = 0.0
    """Mean effective number of branches."""

    @property
    def evaluations(self) -> int:
        """Programs that were run."""
        return sum(count for status, count in self.statuses.items() if status not in ("no_code", "duplicate"))

    def steps_to(self, target: float) -> float | None:
        """None where the target was never reached."""
        return next((used for used, _, score in self.gains if score >= target), None)

    def evaluations_to(self, target: float) -> int | None:
        """None where the target was never reached."""
        return next((evaluations for _, evaluations, score in self.gains if score >= target), None)

    def at(self, used: float) -> float:
        """The score after so many steps."""
        return next((score for when, _, score in reversed(self.gains) if when <= used), 0.0)

    def area(self, steps: int) -> float:
        """Mean score over the whole budget."""
        ends = [used for used, _, _ in self.gains[1:]] + [float(steps)]
        return (
            sum((min(end, steps) - used) * score for (used, _, score), end in zip(self.gains, ends, strict=True))
            / steps
        )


class World:
    """Stands in for everything between the planner's question and its answer: prompts, model, sandbox and grader."""

    def __init__(self, land: Landscape, seed: int, told: Told) -> None:
        self.land = land
        self.author = Author(land, seed)
        self.sheet = TaskSheet(
            name="modules",
            description="Choose an option for every module.",
            direction="maximize",
            initial={FILE: proposer.text(Program((0,) * land.spec.modules))},
        )
        self.calls = 0
        self._told = told
        self.programs: dict[str, Program] = {}
        """By node."""
        self.seed = seed
        self._errors: dict[str, str] = {}
        self._twins: dict[Program, str] = {}

    def brief(self, graph: SearchGraph, expansion: Expansion, memory: MemoryPolicy) -> Brief:
        """As `evolve.run.rollout` makes it."""
        parent = graph.nodes.get(expansion.parent_id)
        lineage = [one for one in graph.lineage(expansion.parent_id) if one in graph.nodes][:TRAJECTORY][::-1]
        way = lineage if self._told == "all" else []
        shown = (graph.nodes[node_id] for node_id in expansion.shown if node_id not in way)
        return Brief(
            expansion_id=expansion.id,
            operator=expansion.operator,
            task=self.sheet,
            parent=self._solution(parent, "parent") if parent else None,
            best_score=graph.nodes[expansion.best_id].score if expansion.best_id else None,
            attempts=tuple(map(self._attempt, shown)),
            trajectory=tuple(self._attempt(graph.nodes[node_id]) for node_id in way),
            references=tuple(self._solution(graph.nodes[one.node_id], one.role) for one in expansion.references),
            experiences=tuple(memory.experience(node_id) for node_id in expansion.recalled),
        )

    def _attempt(self, node: Node) -> Attempt:
        return Attempt(node.id, node.title, node.status, node.score, None if self._told == "scores" else node.gain)

    def roll_out(self, brief: Brief) -> Outcome:
        rng = random.Random(f"rollout/{self.seed}/{brief.expansion_id}")
        if brief.operator == INITIAL:
            return self._judged(
                brief, proposer.Written("the initial program", proposer.parse(self.sheet.initial[FILE])), rng
            )
        self.calls += CALLS
        written = self.author.write(brief, rng)
        if self._told == "all" and _was_tried(written, brief):
            self.calls += 1
            written = self.author.write(brief, rng, proposer.moves(written.title))
        if written.program in self._twins:
            self.calls += 1
            written = self.author.write(brief, rng)
        return self._judged(brief, written, rng)

    def _judged(self, brief: Brief, written: proposer.Written, rng: random.Random) -> Outcome:
        program = written.program
        if program is None:
            return Outcome("no_code", written.title, lesson="the reply cannot be read")
        source = proposer.text(program)
        self.programs[brief.expansion_id] = program
        twin = self._twins.setdefault(program, brief.expansion_id)
        if twin != brief.expansion_id:
            return Outcome(
                "duplicate", written.title, fingerprint=source, twin_id=twin, lesson=f"the same program as {twin}"
            )
        size = self.land.size(program.choices)
        touched = tuple(f"m{module}" for module, choice in enumerate(program.choices) if choice)
        fault = self.land.fault(program)
        if fault:
            self._errors[brief.expansion_id] = fault.message
            return Outcome(
                "crashed",
                written.title,
                fingerprint=source,
                error_signature=f"E{fault.kind}",
                lesson=fault.message,
                size=size,
                touched=touched,
            )
        score = round(self.land.true_score(program.choices) + self.land.spec.noise * rng.gauss(0, 1), 6)
        return Outcome("scored", written.title, score=score, fingerprint=source, size=size, touched=touched)

    def _solution(self, node: Node, role: str) -> Solution:
        program = self.programs.get(node.id)
        return Solution(
            node_id=node.id,
            title=node.title,
            files={FILE: proposer.text(program)} if program else {},
            status=node.status,
            score=node.score,
            stderr=self._errors.get(node.id, ""),
            role=role,
        )


def _was_tried(written: proposer.Written, brief: Brief) -> bool:
    """Whether a change of a valid program is, word for word, one the author was told of that was judged."""
    known = {one.title for one in (*brief.attempts, *brief.trajectory) if one.status in ("scored", "duplicate")}
    changes = brief.parent is not None and brief.parent.status == "scored"
    return changes and written.program is not None and written.title in known


class Search:
    """Drives the planner as the engine does, with one worker."""

    def __init__(self, entrant: Entrant, land: Landscape, seed: int) -> None:
        context = BuildContext(Path(), seed)
        self.world = World(land, seed, entrant.told)
        self.graph = SearchGraph()
        self.memory: MemoryPolicy = (
            config_class("memory", entrant.memory).model_validate({"kind": entrant.memory}).build(context)
        )
        self._planner = Planner(entrant.settings().build(context), seed)
        self._absorb(RunStarted("modules", "maximize", seed))

    def expand(self, progress: float) -> Expansion:
        expansion = self._planner.ask(self.graph, progress)
        parent = self.graph.nodes.get(expansion.parent_id)
        query = Query(expansion.operator, expansion.parent_id, parent.error_signature if parent else None)
        expansion = replace(expansion, recalled=self.memory.recall(query))
        self._absorb(ExpansionStarted(expansion))
        return expansion

    def settle(self, expansion: Expansion, outcome: Outcome) -> None:
        for event in self._planner.tell(self.graph, expansion, outcome):
            self._absorb(event)

    def _absorb(self, event: Event) -> None:
        self.graph.apply(event)
        self._planner.observe(self.graph, event)
        if event.kind == "experience_recorded":
            self.memory.observe(event.experience)


def run(entrant: Entrant, name: str, seed: int, steps: int) -> Trial:
    """Search until the model calls of so many steps are used."""
    search = Search(entrant, landscape(name, seed), seed)
    world, graph = search.world, search.graph
    trial = Trial([(0.0, 0, 0.0)])
    best: Node | None = None
    while world.calls < steps * CALLS:
        expansion = search.expand(world.calls / (steps * CALLS))
        search.settle(expansion, world.roll_out(world.brief(graph, expansion, search.memory)))
        trial.statuses[graph.nodes[expansion.id].status] += 1
        trial.operators[expansion.operator] += 1
        trial.breadth += expansion.selection.branches
        if graph.best and graph.best is not best:
            best = graph.best
            score = world.land.true_score(world.programs[best.id].choices)
            trial.gains.append((world.calls / CALLS, trial.evaluations, score))
    trial.breadth /= len(graph.nodes)
    return trial
