"""Open a new branch with an approach that differs from all others."""

from __future__ import annotations

import random
from typing import Literal

from pydantic import Field

from evolve.graph import Reference, SearchGraph
from evolve.operators.base import Operator, Situation, Target
from evolve.operators.improve import newest
from evolve.plugins import BuildContext, PluginConfig


class Config(PluginConfig):
    """Write a new solution from the task alone, told of the other drafts so that it differs."""

    kind: Literal["draft"] = "draft"
    others: int = Field(default=20, ge=0)
    """How many of the other drafts are described, newest first."""

    def build(self, context: BuildContext) -> Operator:  # noqa: ARG002
        return Draft(self.others)


class Draft:
    name = "draft"
    targets: frozenset[Target] = frozenset({"root"})

    def __init__(self, others: int) -> None:
        self._others = others

    def weight(self, situation: Situation) -> float:  # noqa: ARG002
        return 1.0

    def references(self, graph: SearchGraph, parent_id: str, rng: random.Random) -> tuple[Reference, ...]:  # noqa: ARG002
        return ()

    def shown(self, graph: SearchGraph, parent_id: str) -> tuple[str, ...]:
        return newest(graph.children(parent_id), self._others)
