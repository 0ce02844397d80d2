"""Choose where to grow. Knows nothing of prompts, programs or files; chance comes in as an argument.

Explore: a UCT walk from the root (Kocsis & Szepesvari 2006) with virtual loss (Chaslot et al. 2008) and progressive
widening (Coulom 2007). Exploit: one of the best nodes, drawn with weight 1/rank (arXiv 2606.06473).
"""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Callable

from evolve.graph import ROOT_ID, Choice, SearchGraph, Selection, Stats
from evolve.search.frontier import Frontier
from evolve.search.schedule import elite_size, widening_limit
from evolve.search.settings import TreeSettings

KEPT_CHOICES = 8
"""How many choices of a walk are kept for the record; a longer walk keeps its end."""


def exploration_term(child: Stats, parent: Stats, constant: float) -> float:
    """c * sqrt(ln(N_parent + 1) / N); a started rollout counts as a visit worth nothing."""
    return constant * math.sqrt(math.log(parent.total + 1) / max(child.total, 1))


def mean_value(child: Stats) -> float:
    """Mean reward, the visits in flight counted as worth nothing."""
    return child.value_sum / max(child.total, 1)


def select(
    graph: SearchGraph,
    frontier: Frontier,
    settings: TreeSettings,
    progress: float,
    constant: float,
    explore: float,
    rng: random.Random,
    live: Callable[[str], bool],
) -> tuple[str, Selection]:
    """The node to grow and why; `constant` is c of UCT, `explore` the chance of a walk.

    `live` tells of a branch whether it still gets better; others are exploited only where there is no such branch.

    Always an answer: where nothing can grow, a new draft is opened at the root.
    """
    spread = graph.effective_branches
    if graph.width(ROOT_ID) >= min(settings.drafts_first, settings.drafts) and rng.random() >= explore:
        elite = _exploitable(graph, frontier, settings, progress, live)
        if elite:
            weights = [1 / rank for rank in range(1, len(elite) + 1)]
            chosen = rng.choices(elite, weights)[0]
            stats = graph.stats(chosen)
            choice = Choice(chosen, stats.visits, stats.mean, 0.0, len(elite) - 1)
            failed = _failed_below(graph, frontier, chosen) if rng.random() < settings.repair_chance else None
            policy = "repair" if failed else "exploit"
            return failed or chosen, Selection(policy, progress, constant, explore, (choice,), spread)
    chosen, walked = _walk(graph, frontier, settings, constant)
    forced = chosen == ROOT_ID and not _may_widen(graph, frontier, settings, ROOT_ID)
    return chosen, Selection("forced" if forced else "explore", progress, constant, explore, walked, spread)


def _failed_below(graph: SearchGraph, frontier: Frontier, node_id: str) -> str | None:
    """The end of the newest line of failures under a node that may be repaired."""
    while failed := [child for child in frontier.ways(node_id) if not graph.nodes[child].valid]:
        node_id = failed[-1]
        if frontier.is_open(node_id):
            return node_id
    return None


def _exploitable(
    graph: SearchGraph, frontier: Frontier, settings: TreeSettings, progress: float, live: Callable[[str], bool]
) -> list[str]:
    size, per_branch = elite_size(settings, progress)
    elite = frontier.elite(graph, size, per_branch, live) or frontier.elite(graph, size, per_branch)
    narrow = [
        node_id for node_id in elite if graph.width(node_id) < widening_limit(settings, graph.stats(node_id).total)
    ]
    return narrow or elite


def _walk(
    graph: SearchGraph, frontier: Frontier, settings: TreeSettings, constant: float
) -> tuple[str, tuple[Choice, ...]]:
    at = ROOT_ID
    path: deque[tuple[str, int]] = deque(maxlen=KEPT_CHOICES)
    while not _may_widen(graph, frontier, settings, at):
        parent = graph.stats(at)
        ways = frontier.ways(at)
        if not ways:
            break
        at = _most_promising(graph, ways, parent, constant) if len(ways) > 1 else ways[0]
        path.append((at, len(ways) - 1))
    return at, tuple(_choice(graph, node_id, rivals, constant) for node_id, rivals in path)


def _most_promising(graph: SearchGraph, ways: list[str], parent: Stats, constant: float) -> str:
    """By UCT; the oldest of equal ones."""
    return max(ways, key=lambda child: (_uct(graph.stats(child), parent, constant), -graph.nodes[child].step))


def _uct(child: Stats, parent: Stats, constant: float) -> float:
    return mean_value(child) + exploration_term(child, parent, constant)


def _choice(graph: SearchGraph, node_id: str, rivals: int, constant: float) -> Choice:
    stats = graph.stats(node_id)
    parent = graph.stats(graph.nodes[node_id].parent_id)
    return Choice(node_id, stats.visits, mean_value(stats), exploration_term(stats, parent, constant), rivals)


def _may_widen(graph: SearchGraph, frontier: Frontier, settings: TreeSettings, node_id: str) -> bool:
    limit = widening_limit(settings, graph.stats(node_id).total)
    if node_id == ROOT_ID:
        return graph.width(ROOT_ID) < min(max(limit, settings.drafts_first), settings.drafts)
    if not frontier.is_open(node_id):
        return False
    if not graph.nodes[node_id].valid:
        return True
    return graph.width(node_id) < min(limit, settings.improves)
