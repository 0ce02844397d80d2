"""Repair a solution that failed."""

from __future__ import annotations

import random
from typing import Literal

from evolve.graph import Reference, SearchGraph
from evolve.operators.base import Operator, Situation, Target
from evolve.plugins import BuildContext, PluginConfig


class Config(PluginConfig):
    """Repair a failed node, told its error and, by memory, how the same error was fixed before."""

    kind: Literal["debug"] = "debug"

    def build(self, context: BuildContext) -> Operator:  # noqa: ARG002
        return Debug()


class Debug:
    name = "debug"
    targets: frozenset[Target] = frozenset({"failed"})

    def weight(self, situation: Situation) -> float:  # noqa: ARG002
        return 1.0

    def references(self, graph: SearchGraph, parent_id: str, rng: random.Random) -> tuple[Reference, ...]:  # noqa: ARG002
        return ()

    def shown(self, graph: SearchGraph, parent_id: str) -> tuple[str, ...]:  # noqa: ARG002
        return ()  # a failed node gets one child; repairs of the same error elsewhere are what memory recalls
