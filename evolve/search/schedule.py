"""How the search turns from breadth to depth. Everything is a function of progress, 0 at the start and 1 at the end,
and, for the entropy schedule, of how the latest expansions spread over the branches.
"""

from __future__ import annotations

import math

from evolve.graph import SearchGraph
from evolve.search.settings import TreeSettings


def balance(settings: TreeSettings, graph: SearchGraph, progress: float) -> tuple[float, float]:
    """c of UCT, and w, the chance that an expansion explores rather than exploits."""
    if settings.schedule == "piecewise":
        return exploration_constant(settings, progress), explore_chance(settings, progress)
    breadth = wanted_breadth(settings, len(graph.branches), progress, graph.effective_branches)
    constant = settings.exploration_min + (settings.exploration - settings.exploration_min) * breadth
    return constant, settings.explore_min + (1.0 - settings.explore_min) * breadth


def wanted_breadth(settings: TreeSettings, branches: int, progress: float, effective: float) -> float:
    """How much to explore, 0 to 1, so that the effective number of branches exp(H) follows its target.

    The target falls geometrically from all branches to `branches_late`. Below the target the search explores fully,
    above it less the further off it is: an error of a factor e is answered with no exploration at all.
    """
    target = branches ** (1 - progress) * settings.branches_late**progress if branches else 1.0
    if effective <= target:
        return 1.0
    return max(0.0, 1.0 - math.log(effective / target))


def _falling(progress: float, start: float, end: float, high: float, low: float) -> float:
    """`high` until `start`, `low` from `end` on, a straight line between."""
    if progress < start:
        return high
    if progress >= end:
        return low
    return high + (low - high) * (progress - start) / (end - start)


def exploration_constant(settings: TreeSettings, progress: float) -> float:
    """c of UCT under the piecewise schedule."""
    return _falling(
        progress,
        settings.exploration_until,
        settings.exploration_settled,
        settings.exploration,
        settings.exploration_min,
    )


def explore_chance(settings: TreeSettings, progress: float) -> float:
    """w under the piecewise schedule."""
    return _falling(progress, settings.exploit_from, settings.exploit_settled, 1.0, settings.explore_min)


def elite_size(settings: TreeSettings, progress: float) -> tuple[int, int]:
    """(K, M): how many of the best nodes may be exploited, and at most how many of one branch."""
    if progress < settings.exploit_settled:
        return settings.elite, settings.elite_per_branch
    return settings.elite_late, settings.elite_per_branch_late


def widening_limit(settings: TreeSettings, visits: int) -> int:
    """How many children a node with so many visits, those in flight included, may have (progressive widening)."""
    return math.ceil(settings.widening_factor * math.pow(max(visits, 1), settings.widening_exponent))
