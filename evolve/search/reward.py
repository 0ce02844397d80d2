"""What a judged node is worth to the search. Safe for either direction: minimising s is maximising -s."""

from __future__ import annotations

from evolve.config import SearchConfig
from evolve.graph import SearchGraph


def reward(settings: SearchConfig, graph: SearchGraph, branch_id: str, score: float | None) -> float:
    """Reward of a node not yet in the graph; `score` is None where it failed.

    `branch_best` is the reward of arXiv 2606.06473 (-1, 1 or 2); `rank` lets quality count from the first step on.
    """
    if score is None:
        return -1.0
    gained = graph.beats(score, graph.branch_best.get(branch_id), settings.min_gain)
    quality = 1.0 if settings.reward == "branch_best" else graph.quantile(score)
    return quality + (1.0 if gained else 0.0)
