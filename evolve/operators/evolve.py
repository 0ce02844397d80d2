"""Rethink a branch that stands still, from the way it came."""

from __future__ import annotations

import random
from typing import Literal

from pydantic import Field

from evolve.graph import ROOT_ID, Reference, SearchGraph
from evolve.operators.base import Operator, Situation, Target
from evolve.operators.improve import newest
from evolve.plugins import BuildContext, PluginConfig


class Config(PluginConfig):
    """Grow a valid node of a stagnant branch, after reading the solutions it descends from and hearing what else the branch tried."""

    kind: Literal["evolve"] = "evolve"
    steps: int = Field(default=3, ge=1)
    """How many of the node's valid ancestors are read, newest first."""
    attempts: int = Field(default=10, ge=0)
    """How many of the branch's latest nodes, won and lost, are described."""
    weight: float = Field(default=0.7, gt=0)
    """Weight on a stagnant branch; 0 elsewhere."""

    def build(self, context: BuildContext) -> Operator:  # noqa: ARG002
        return Evolve(self)


class Evolve:
    name = "evolve"
    targets: frozenset[Target] = frozenset({"valid"})

    def __init__(self, config: Config) -> None:
        self._config = config

    def weight(self, situation: Situation) -> float:
        return self._config.weight if situation.stagnant else 0.0

    def references(self, graph: SearchGraph, parent_id: str, rng: random.Random) -> tuple[Reference, ...]:  # noqa: ARG002
        found: list[Reference] = []
        for ancestor in graph.lineage(graph.nodes[parent_id].parent_id):
            if ancestor == ROOT_ID or len(found) == self._config.steps:
                break
            # A failed ancestor was fixed since: it has nothing to teach that its fix has not.
            if graph.nodes[ancestor].valid:
                found.append(Reference(ancestor, "trajectory"))
        return tuple(found)

    def shown(self, graph: SearchGraph, parent_id: str) -> tuple[str, ...]:
        latest = graph.branches[graph.nodes[parent_id].branch_id][-self._config.attempts - 1 :]
        return newest([node_id for node_id in latest if node_id != parent_id], self._config.attempts)
