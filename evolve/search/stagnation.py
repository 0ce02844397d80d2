"""Whether a branch, or the whole search, has stopped getting better.

Counts valid nodes since the last new best, so the best that recent nodes are compared with is always the best before
them. Failures count for neither. Kept event by event: a look costs nothing.
"""

from __future__ import annotations

from collections import Counter

from evolve.events import Event
from evolve.graph import SearchGraph


class Stagnation:
    """`observe` every event after the graph has applied it."""

    def __init__(self) -> None:
        self._of_branch: Counter[str] = Counter()
        self._of_search = 0
        self._best_of_branch: dict[str, str] = {}
        self._best: str | None = None
        self.failures_in_row = 0
        """Failed nodes since the last valid one."""

    def observe(self, graph: SearchGraph, event: Event) -> None:
        if event.kind != "node_added":
            return
        node = event.node
        self.failures_in_row = 0 if node.valid else self.failures_in_row + 1
        if not node.valid:
            return
        branch_best, best = graph.branch_best[node.branch_id].id, graph.best.id if graph.best else None
        gained = self._best_of_branch.get(node.branch_id) != branch_best
        self._of_branch[node.branch_id] = 0 if gained else self._of_branch[node.branch_id] + 1
        self._best_of_branch[node.branch_id] = branch_best
        self._of_search = 0 if self._best != best else self._of_search + 1
        self._best = best

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
