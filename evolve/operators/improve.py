"""Change one thing about a valid solution."""

from __future__ import annotations

import random
from typing import Literal

from pydantic import Field

from evolve.graph import Reference, SearchGraph
from evolve.operators.base import Operator, Situation, Target
from evolve.plugins import BuildContext, PluginConfig


class Config(PluginConfig):
    """Improve a valid node, told what its other children tried."""

    kind: Literal["improve"] = "improve"
    siblings: int = Field(default=8, ge=0)
    """How many of the parent's other children are described, newest first."""

    def build(self, context: BuildContext) -> Operator:  # noqa: ARG002
        return Improve(self.siblings)


class Improve:
    name = "improve"
    targets: frozenset[Target] = frozenset({"valid"})

    def __init__(self, siblings: int) -> None:
        self._siblings = siblings

    def weight(self, situation: Situation) -> float:  # noqa: ARG002
        return 1.0

    def references(self, graph: SearchGraph, parent_id: str, rng: random.Random) -> tuple[Reference, ...]:  # noqa: ARG002
        return ()

    def shown(self, graph: SearchGraph, parent_id: str) -> tuple[str, ...]:
        newest_first = reversed(graph.children(parent_id))
        return tuple(child for child, _ in zip(newest_first, range(self._siblings), strict=False))
