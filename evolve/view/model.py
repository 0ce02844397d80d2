"""A run as it is looked at: its graph, its decisions and what the clock said. Read only, also while it is written."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from evolve.errors import RunError, RunNotFound
from evolve.events import Experience
from evolve.graph import ROOT_ID, Expansion, Node, SearchGraph
from evolve.run.artifacts import Artifacts
from evolve.run.journal import read_journal
from evolve.run.rundir import RunDir
from evolve.run.timeline import read_timeline
from evolve.view.branches import effective_branches
from evolve.view.state import state_of


@dataclass(frozen=True, slots=True)
class RunView:
    """Everything in it is a fold of the run's files at the moment of loading."""

    run: RunDir
    state: str
    """`running`, or the reason it stopped."""
    graph: SearchGraph
    expansions: Mapping[str, Expansion]
    """Every decision, those in flight and those abandoned included."""
    experiences: Mapping[str, Experience]
    abandoned: Mapping[str, str]
    """Why, by expansion."""
    stages: Mapping[str, Mapping[str, float]]
    """Seconds of each evaluation stage, by node."""

    @property
    def branches(self) -> tuple[float, ...]:
        """Effective number of branches after each expansion."""
        return tuple(effective_branches(expansion.branch_id for expansion in self.expansions.values()))

    def node(self, node_id: str) -> Node:
        """Raises RunNotFound for what is not a judged node, and says what it is instead."""
        if node_id in self.graph.nodes:
            return self.graph.nodes[node_id]
        expansion = self.decision(node_id)
        fate = "was abandoned" if expansion.id in self.abandoned else "is in flight"
        raise RunNotFound(f"{node_id}: {fate}, so there is no program", hint=f"`evolve why {self.run.name} {node_id}`")

    def decision(self, node_id: str) -> Expansion:
        """The expansion a node came of. Raises RunNotFound."""
        if node_id in self.expansions:
            return self.expansions[node_id]
        if node_id == ROOT_ID:
            raise RunNotFound(f"{ROOT_ID} is the virtual root: nothing was decided there", hint="name a node, e.g. n1")
        known = f"n1 to n{self.graph.steps}" if self.graph.steps else "none yet"
        raise RunNotFound(
            f"{node_id!r}: no such node in {self.run.name} (there are: {known})",
            hint=f"`evolve graph {self.run.name}` shows them",
        )


def load_view(run: RunDir) -> RunView:
    """Raises RunNotFound, JournalCorrupt, SchemaTooNew."""
    run.read_manifest()
    state = state_of(run)
    graph = SearchGraph()
    expansions: dict[str, Expansion] = {}
    experiences: dict[str, Experience] = {}
    abandoned: dict[str, str] = {}
    for event in read_journal(run.journal):
        graph.apply(event)
        match event.kind:
            case "expansion_started":
                expansions[event.expansion.id] = event.expansion
            case "expansion_abandoned":
                abandoned[event.expansion_id] = event.reason
            case "experience_recorded":
                experiences[event.experience.node_id] = event.experience
            case _:
                pass
    notes = (entry for entry in read_timeline(run.timeline) if entry["what"] == "node")
    return RunView(
        run, state, graph, expansions, experiences, abandoned, {entry["id"]: entry["stages"] for entry in notes}
    )


@contextmanager
def open_artifacts(run: RunDir) -> Iterator[Artifacts]:
    """Raises RunError when the file is missing or is not what it should be."""
    try:
        with Artifacts(run.artifacts, read_only=True) as artifacts:
            yield artifacts
    except sqlite3.Error as error:
        raise RunError(
            f"{run.artifacts}: cannot be read: {error}", hint="restore it from a backup; the journal is not affected"
        ) from None


def graph_dict(view: RunView) -> dict[str, Any]:
    """Nodes and edges as plain data; the virtual root comes first and has no parent."""
    graph = view.graph
    edges = [{"source": source, "target": target, **facts} for source, target, facts in graph.edges.edges(data=True)]
    return {
        "run": str(view.run.path.resolve()),
        "direction": graph.direction,
        "best_id": graph.best.id if graph.best else None,
        "front": graph.fronts.front(),
        "branches": list(view.branches),
        "nodes": [_root(graph), *(node_dict(graph, node) for node in graph.nodes.values())],
        "edges": edges,
        "pending": [
            {"id": one.id, "step": one.step, "operator": one.operator, "parent_id": one.parent_id}
            for one in graph.pending.values()
        ],
    }


def node_dict(graph: SearchGraph, node: Node) -> dict[str, Any]:
    """What is known of one node, the statistics of the search included."""
    return {
        **asdict(node),
        "metrics": dict(node.metrics),
        "reward": graph.rewards.get(node.id),
        **_stats(graph, node.id),
    }


def _root(graph: SearchGraph) -> dict[str, Any]:
    facts = {"step": 0, "branch_id": None, "operator": "root", "parent_id": None, "depth": 0}
    unknown = {"status": "root", "score": None, "reward": None, "title": "the empty start"}
    return {"id": ROOT_ID, **facts, **unknown, **_stats(graph, ROOT_ID)}


def _stats(graph: SearchGraph, node_id: str) -> dict[str, Any]:
    stats = graph.stats(node_id)
    return {"visits": stats.visits, "value_sum": stats.value_sum, "in_flight": stats.in_flight}
