"""Best-first search with repairs, the search policy of AIDE (Jiang et al. 2025, arXiv 2502.13138).

First drafts; then, by chance, the repair of a failed leaf, and otherwise an improvement of the best node there is. Every
author of a draft or an improvement is told what the valid solutions so far tried and how they scored.

What is not as in the published code: the given programs count among the drafts; `debug_depth` is the number of repairs
in a row and not one less; a reply without a program and a program judged before are not repaired, as there is nothing
wrong to mend; the memory has a length, so that no step does work that grows with the run. The published code runs one
rollout at a time; here workers share the same rule, and a failed leaf is repaired by one of them only.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from typing import Literal

from pydantic import Field

from evolve.config import SearchSettings
from evolve.events import Event
from evolve.graph import DEBUGGABLE, ROOT_ID, Node, SearchGraph, Selection
from evolve.plugins import BuildContext
from evolve.search.base import Chance, Growth, Policy, Rewards
from evolve.search.reward import reward


class Config(SearchSettings):
    """Best-first search with repairs, as AIDE does (arXiv 2502.13138): drafts, then improvements of the best node."""

    kind: Literal["greedy"] = "greedy"
    drafts: int = Field(default=5, ge=1)
    """Drafts before anything grows, the given programs included."""
    debug_chance: float = Field(default=0.5, ge=0, le=1)
    """Chance that an expansion repairs a failed leaf, where there is one."""
    debug_depth: int = Field(default=3, ge=0)
    """Repairs in a row before a failed line is given up."""
    memory: int = Field(default=100, ge=0)
    """So many of the latest valid solutions are described to the author of a draft or an improvement."""

    def build(self, context: BuildContext) -> Policy:  # noqa: ARG002
        return Greedy(self)


class Greedy:
    def __init__(self, settings: Config) -> None:
        self._settings = settings
        self._repairs: dict[str, int] = {}
        """Failed node -> repairs in a row that led to it."""
        self._broken: list[tuple[int, str]] = []
        """Step and id of the failed leaves that may be repaired, oldest first."""
        self._valid: deque[str] = deque(maxlen=settings.memory)

    def observe(self, graph: SearchGraph, event: Event) -> None:
        match event.kind:
            case "expansion_started":
                self._review(graph, event.expansion.parent_id)
            case "expansion_abandoned":
                self._review(graph, event.parent_id)
            case "node_added":
                node = event.node
                if node.valid:
                    self._valid.append(node.id)
                else:
                    self._repairs[node.id] = self._repairs.get(node.parent_id, -1) + 1
                    self._review(graph, node.id)
            case _:
                pass

    def choose(self, graph: SearchGraph, progress: float, chance: Chance) -> Growth:
        def grow(why: str, parent_id: str, operator: str, shown: tuple[str, ...]) -> Growth:
            return Growth(parent_id, operator, Selection(why, progress, branches=graph.effective_branches), shown=shown)

        memory = tuple(reversed(self._valid))
        if graph.width(ROOT_ID) < self._settings.drafts:
            return grow("draft", ROOT_ID, "draft", memory)
        if self._broken and chance("repair").random() < self._settings.debug_chance:
            _, failed = chance("failed").choice(self._broken)
            return grow("repair", failed, "debug", ())
        if graph.best is None:
            return grow("draft", ROOT_ID, "draft", memory)
        return grow("best", graph.best.id, "improve", memory)

    def rewards(self, graph: SearchGraph, node: Node) -> Rewards:
        return Rewards(reward("rank", graph, node, self._settings.min_gain))

    def _review(self, graph: SearchGraph, node_id: str) -> None:
        """Whether a failed node is still a leaf worth a repair; what is in flight below it counts."""
        if node_id not in self._repairs:
            return
        node = graph.nodes[node_id]
        key = (node.step, node_id)
        at = bisect_left(self._broken, key)
        listed = self._broken[at : at + 1] == [key]
        leaf = graph.width(node_id) == 0 and node.status in DEBUGGABLE
        if leaf and self._repairs[node_id] < self._settings.debug_depth:
            if not listed:
                insort(self._broken, key)
        elif listed:
            del self._broken[at]
