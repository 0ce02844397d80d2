"""Which nodes may still grow, kept up to date event by event so that no step looks at the whole graph."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from evolve.events import Event
from evolve.graph import DEBUGGABLE, ROOT_ID, SearchGraph
from evolve.operators.base import Target
from evolve.search.settings import TreeSettings


@dataclass(slots=True)
class _Spot:
    """One node's subtree, as far as it is open."""

    node_id: str
    above: _Spot | None
    open: int = 0
    """How many of its nodes are."""
    ways: dict[str, None] = field(default_factory=dict)
    """Children that are open, or something below them; a set that keeps its order."""


class Frontier:
    """A node is open while it may get another child under the hardest limit; in-flight nodes never are.

    The open nodes of every subtree are counted, so that a walk never enters a dead end.
    """

    def __init__(self, settings: TreeSettings, targets: frozenset[Target]) -> None:
        self._children_limit = max(settings.improves, settings.improves_exploiting)
        self._debug_depth = settings.debug_depth
        self._targets = targets
        self._open: set[str] = set()
        self._spots = {ROOT_ID: _Spot(ROOT_ID, above=None)}
        self._failures_in_row: dict[str, int] = {}
        self._elite: dict[str, list[tuple[float, int, str]]] = {}

    def observe(self, graph: SearchGraph, event: Event) -> None:
        """Call after the graph has applied the event."""
        match event.kind:
            case "expansion_started":
                self._update(graph, event.expansion.parent_id)
            case "expansion_abandoned":
                self._update(graph, event.parent_id)
            case "node_added":
                node = event.node
                self._failures_in_row[node.id] = 0 if node.valid else self._failures_in_row.get(node.parent_id, 0) + 1
                self._spots[node.id] = _Spot(node.id, self._spots[node.parent_id])
                self._update(graph, node.id)
            case _:
                pass

    def is_open(self, node_id: str) -> bool:
        return node_id in self._open

    def ways(self, node_id: str) -> list[str]:
        """Children that may grow, or have something below them that may."""
        return list(self._spots[node_id].ways)

    def elite(
        self, graph: SearchGraph, size: int, per_branch: int, live: Callable[[str], bool] = lambda _: True
    ) -> list[str]:
        """The best open valid nodes of the live branches, best first, at most `per_branch` of one branch.

        With several objectives the Pareto fronts come first, in their order.
        """
        if graph.objectives:

            def worth(node_id: str) -> float:
                return -graph.utility(graph.nodes[node_id].score or 0.0)

            ranked = [
                one
                for front in graph.fronts.ranked()
                for one in sorted(front, key=worth)
                if one in self._open and live(graph.nodes[one].branch_id)
            ]
            if ranked:
                return _capped(graph, ranked, size, per_branch)
        heads: list[tuple[float, int, str]] = []
        for branch_id, branch in self._elite.items():
            if live(branch_id):
                heads += branch[:per_branch]
        return [node_id for _, _, node_id in sorted(heads)[:size]]

    def _may_grow(self, graph: SearchGraph, node_id: str) -> bool:
        node = graph.nodes[node_id]
        if node.valid:
            return "valid" in self._targets and graph.width(node_id) < self._children_limit
        return (
            "failed" in self._targets
            and node.status in DEBUGGABLE
            and graph.width(node_id) == 0
            and self._failures_in_row[node_id] <= self._debug_depth
        )

    def _update(self, graph: SearchGraph, node_id: str) -> None:
        if node_id == ROOT_ID:
            return
        opens = self._may_grow(graph, node_id)
        if opens == (node_id in self._open):
            return
        node = graph.nodes[node_id]
        if opens:
            self._open.add(node_id)
        else:
            self._open.remove(node_id)
        change = 1 if opens else -1
        spot = self._spots[node_id]
        spot.open += change
        while (above := spot.above) is not None:
            above.open += change
            if spot.open == 0:
                del above.ways[spot.node_id]
            elif spot.node_id not in above.ways:
                above.ways[spot.node_id] = None
            spot = above
        if node.score is not None and node.valid:
            ranked = self._elite.setdefault(node.branch_id, [])
            key = (-graph.utility(node.score), node.step, node_id)
            if opens:
                insort(ranked, key)
            else:
                del ranked[bisect_left(ranked, key)]
                if not ranked:
                    del self._elite[node.branch_id]


def _capped(graph: SearchGraph, ranked: list[str], size: int, per_branch: int) -> list[str]:
    taken: Counter[str] = Counter()
    kept = []
    for node_id in ranked:
        branch_id = graph.nodes[node_id].branch_id
        if taken[branch_id] < per_branch:
            taken[branch_id] += 1
            kept.append(node_id)
    return kept[:size]
