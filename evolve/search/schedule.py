"""How the search turns from breadth to depth. Everything is a function of progress, 0 at the start and 1 at the end."""

from __future__ import annotations

import math

from evolve.config import SearchConfig


def _falling(progress: float, start: float, end: float, high: float, low: float) -> float:
    """`high` until `start`, `low` from `end` on, a straight line between."""
    if progress < start:
        return high
    if progress >= end:
        return low
    return high + (low - high) * (progress - start) / (end - start)


def exploration_constant(settings: SearchConfig, progress: float) -> float:
    """c of UCT."""
    return _falling(
        progress,
        settings.exploration_until,
        settings.exploration_settled,
        settings.exploration,
        settings.exploration_min,
    )


def explore_chance(settings: SearchConfig, progress: float) -> float:
    """w, the chance that an expansion explores rather than exploits."""
    return _falling(progress, settings.exploit_from, settings.exploit_settled, 1.0, settings.explore_min)


def elite_size(settings: SearchConfig, progress: float) -> tuple[int, int]:
    """(K, M): how many of the best nodes may be exploited, and at most how many of one branch."""
    if progress < settings.exploit_settled:
        return settings.elite, settings.elite_per_branch
    return settings.elite_late, settings.elite_per_branch_late


def widening_limit(settings: SearchConfig, visits: int) -> int:
    """How many children a node with so many visits, those in flight included, may have (progressive widening)."""
    return math.ceil(settings.widening_factor * math.pow(max(visits, 1), settings.widening_exponent))
