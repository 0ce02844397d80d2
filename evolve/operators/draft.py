"""Open a new branch with an approach that differs from all others."""

from __future__ import annotations

import random
from typing import Literal

from evolve.graph import Reference, SearchGraph
from evolve.operators.base import Operator, Situation, Target
from evolve.plugins import BuildContext, PluginConfig


class Config(PluginConfig):
    """Write a new solution from the task alone, told of the other drafts so that it differs."""

    kind: Literal["draft"] = "draft"

    def build(self, context: BuildContext) -> Operator:  # noqa: ARG002
        return Draft()


class Draft:
    name = "draft"
    targets: frozenset[Target] = frozenset({"root"})

    def weight(self, situation: Situation) -> float:  # noqa: ARG002
        return 1.0

    def references(self, graph: SearchGraph, parent_id: str, rng: random.Random) -> tuple[Reference, ...]:  # noqa: ARG002
        return ()

    def shown(self, graph: SearchGraph, parent_id: str) -> tuple[str, ...]:
        return tuple(graph.children(parent_id))
