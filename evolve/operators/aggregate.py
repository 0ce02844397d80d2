"""Start again from all that was learnt."""

from __future__ import annotations

import random
from typing import Literal

from pydantic import Field

from evolve.graph import ROOT_ID, Reference, SearchGraph
from evolve.operators.base import Operator, Situation, Target
from evolve.plugins import BuildContext, PluginConfig


class Config(PluginConfig):
    """Open a new branch when the whole search stands still, after reading the best solution of every branch and hearing how each was reached."""

    kind: Literal["aggregate"] = "aggregate"
    sources: int = Field(default=4, ge=2)
    """At most so many branches, the best ones, are read."""
    trajectory: int = Field(default=4, ge=0)
    """So many steps of the way to each of those solutions are described."""

    def build(self, context: BuildContext) -> Operator:  # noqa: ARG002
        return Aggregate(self)


class Aggregate:
    name = "aggregate"
    targets: frozenset[Target] = frozenset({"search"})

    def __init__(self, config: Config) -> None:
        self._config = config

    def weight(self, situation: Situation) -> float:  # noqa: ARG002
        return 1.0

    def references(self, graph: SearchGraph, parent_id: str, rng: random.Random) -> tuple[Reference, ...]:  # noqa: ARG002
        return tuple(Reference(node_id, "aggregation") for node_id in self._tops(graph))

    def shown(self, graph: SearchGraph, parent_id: str) -> tuple[str, ...]:  # noqa: ARG002
        found = []
        for top in self._tops(graph):
            for node_id, _ in zip(
                graph.lineage(graph.nodes[top].parent_id), range(self._config.trajectory), strict=False
            ):
                if node_id == ROOT_ID:
                    break
                found.append(node_id)
        return tuple(found)

    def _tops(self, graph: SearchGraph) -> list[str]:
        """The best node of each of the best branches, best first."""
        tops = [
            (-graph.utility(node.score), node.step, node.id)
            for node in graph.branch_best.values()
            if node.score is not None
        ]
        return [node_id for _, _, node_id in sorted(tops)[: self._config.sources]]
