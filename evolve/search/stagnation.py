"""Whether a branch, or the whole search, has stopped getting better.

Counts valid nodes since the last new best, so the best that recent nodes are compared with is always the best before
them. Failures count for neither. Kept event by event: a look costs nothing.
"""

from __future__ import annotations

from collections import Counter

from evolve.events import Event
from evolve.graph import Node, SearchGraph


class Stagnation:
    """`observe` every event after the graph has applied it. A gain is what the graph says it is, and above `min_gain`."""

    def __init__(self, min_gain: float = 0.0) -> None:
        self._min_gain = min_gain
        self._of_branch: Counter[str] = Counter()
        self._of_search = 0
        self._best_of_branch: dict[str, Node] = {}
        self._best: Node | None = None

    def observe(self, graph: SearchGraph, event: Event) -> None:
        if event.kind != "node_added":
            return
        node = event.node
        if not node.valid:
            return
        if graph.beats(node, self._best_of_branch.get(node.branch_id), self._min_gain):
            self._best_of_branch[node.branch_id] = node
            self._of_branch[node.branch_id] = 0
        else:
            self._of_branch[node.branch_id] += 1
        if graph.beats(node, self._best, self._min_gain):
            self._best = node
            self._of_search = 0
        else:
            self._of_search += 1

    def branch(self, branch_id: str) -> int:
        """Valid nodes of the branch since its last new best."""
        return self._of_branch[branch_id]

    @property
    def search(self) -> int:
        """Valid nodes since the last new best of all, or since `acknowledge`."""
        return self._of_search

    def acknowledge(self) -> None:
        """Something is being done about the whole search's standing still: count anew."""
        self._of_search = 0
