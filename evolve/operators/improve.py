"""Change one thing about a valid solution."""

from __future__ import annotations

import random
from itertools import islice
from typing import Literal

from pydantic import Field

from evolve.graph import Reference, SearchGraph
from evolve.operators.base import Operator, Situation, Target
from evolve.plugins import BuildContext, PluginConfig


class Config(PluginConfig):
    """Improve a valid node, told what its other children tried."""

    kind: Literal["improve"] = "improve"
    siblings: int = Field(default=40, ge=0)
    """How many of the parent's other children are described, newest first."""
    attempts: int = Field(default=100, ge=0)
    """How many other nodes of the whole search are described after them, newest first."""
    when_stagnant: float = Field(default=1.0, ge=0)
    """Weight on a branch that has stopped getting better; 1 elsewhere."""

    def build(self, context: BuildContext) -> Operator:  # noqa: ARG002
        return Improve(self)


class Improve:
    name = "improve"
    targets: frozenset[Target] = frozenset({"valid"})

    def __init__(self, config: Config) -> None:
        self._config = config

    def weight(self, situation: Situation) -> float:
        return self._config.when_stagnant if situation.stagnant else 1.0

    def references(self, graph: SearchGraph, parent_id: str, rng: random.Random) -> tuple[Reference, ...]:  # noqa: ARG002
        return ()

    def shown(self, graph: SearchGraph, parent_id: str) -> tuple[str, ...]:
        siblings = newest(graph.children(parent_id), self._config.siblings)
        known = {*siblings, *graph.lineage(parent_id)}
        others = (node_id for node_id in reversed(graph.nodes) if node_id not in known)
        return (*siblings, *islice(others, self._config.attempts))


def newest(node_ids: list[str], most: int) -> tuple[str, ...]:
    """The last ones, newest first."""
    return tuple(reversed(node_ids[-most:])) if most else ()
