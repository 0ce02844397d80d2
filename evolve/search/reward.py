"""What a judged node is worth to the search. Safe for either direction: minimising s is maximising -s."""

from __future__ import annotations

from typing import Literal

from evolve.graph import Node, SearchGraph

Reward = Literal["rank", "branch_best"]


def reward(formula: Reward, graph: SearchGraph, node: Node, min_gain: float = 0.0) -> float:
    """Reward of a node not yet in the graph.

    `branch_best` is the reward of arXiv 2606.06473: -1 for a failure, 1 for a valid node, 2 for a new best of its
    branch. `rank` puts the quantile of the score among all valid ones, in [0, 1], in the place of the 1.
    """
    if node.score is None:
        return -1.0
    gained = graph.beats(node, graph.branch_best.get(node.branch_id), min_gain)
    quality = 1.0 if formula == "branch_best" else graph.quantile(node.score)
    return quality + (1.0 if gained else 0.0)
