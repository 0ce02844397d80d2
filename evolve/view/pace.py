"""How fast a run gets on, and how long it may still take."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from evolve.config import BudgetConfig
from evolve.graph import SearchGraph
from evolve.run.budget import Budget


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a run is."""

    share: float
    """0 to 1: the largest share used of any limit."""
    per_minute: float
    """Nodes judged a minute in this session."""
    remaining_s: float | None
    """None until there is something to go by."""


class Pace:
    """Measures one session; begins with the first look."""

    def __init__(self, limits: BudgetConfig, before_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        """`before_s`: active seconds of earlier sessions."""
        self._limits = limits
        self._before_s = before_s
        self._clock = clock
        self._start: tuple[float, int, float] | None = None

    def look(self, graph: SearchGraph) -> Standing:
        now = self._clock()
        nodes = len(graph.nodes)
        elapsed_s = now - self._start[0] if self._start else 0.0
        budget = Budget(self._limits, lambda: graph.cost, lambda: self._before_s + elapsed_s)
        share = budget.progress(graph)
        if self._start is None:
            self._start = (now, nodes, share)
        _, first_nodes, first_share = self._start
        gained = share - first_share
        return Standing(
            share,
            60 * (nodes - first_nodes) / elapsed_s if elapsed_s > 0 else 0.0,
            elapsed_s * (1 - share) / gained if gained > 0 and elapsed_s > 0 else None,
        )
