"""When a run has had enough. One clock: progress is the largest share used of any limit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from evolve.config import BudgetConfig
from evolve.errors import BudgetSpent
from evolve.graph import Cost, SearchGraph


@dataclass(frozen=True, slots=True)
class Budget:
    """Thread-safe: it only reads. `spent` and `active_s` look the current totals up."""

    limits: BudgetConfig
    spent: Callable[[], Cost]
    active_s: Callable[[], float]

    def progress(self, graph: SearchGraph) -> float:
        """0 at the start, 1 when the first limit is reached."""
        return min(1.0, max(share for _, share in self._shares(len(graph.nodes) + len(graph.pending))))

    def stop_reason(self, graph: SearchGraph) -> str | None:
        """Why no further expansion may start, or None."""
        target = self.limits.target_score
        best = graph.best.score if graph.best else None
        if target is not None and best is not None and graph.utility(best) >= graph.utility(target):
            return "target_score"
        return self._spent_limit(len(graph.nodes) + len(graph.pending))

    def check(self) -> None:
        """Raise BudgetSpent when no further model call may be made."""
        reason = self._spent_limit(0)
        if reason:
            raise BudgetSpent(reason)

    def _spent_limit(self, steps: int) -> str | None:
        return next((name for name, share in self._shares(steps) if share >= 1.0), None)

    def _shares(self, steps: int) -> list[tuple[str, float]]:
        spent = self.spent()
        used = {
            "steps": (steps, self.limits.steps),
            "hours": (self.active_s() / 3600, self.limits.hours),
            "tokens": (spent.tokens, self.limits.tokens),
            "money_usd": (spent.money_usd, self.limits.money_usd),
        }
        return [(name, amount / limit) for name, (amount, limit) in used.items() if limit is not None]
