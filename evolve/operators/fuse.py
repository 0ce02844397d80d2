"""Carry the ideas of other branches into one."""

from __future__ import annotations

import random
from typing import Literal

from pydantic import Field

from evolve.graph import Reference, SearchGraph
from evolve.operators.base import Operator, Situation, Target
from evolve.operators.complement import complementary
from evolve.operators.improve import newest
from evolve.plugins import BuildContext, PluginConfig


class Config(PluginConfig):
    """Grow a valid node of a stagnant branch, after reading the best solutions of other branches, complementary ones first."""

    kind: Literal["fuse"] = "fuse"
    sources: int = Field(default=2, ge=1)
    """How many solutions of other branches are read."""
    siblings: int = Field(default=8, ge=0)
    """How many of the parent's other children are described, newest first."""
    from_progress: float = Field(default=0.3, ge=0, le=1)
    """Progress before which nothing is fused: branches need time to become good at something."""
    weight: float = Field(default=0.3, gt=0)
    """Weight on a stagnant branch."""
    weight_elsewhere: float = Field(default=0.0, ge=0)
    """Weight on a branch that still gets better."""

    def build(self, context: BuildContext) -> Operator:  # noqa: ARG002
        return Fuse(self)


class Fuse:
    name = "fuse"
    targets: frozenset[Target] = frozenset({"valid"})

    def __init__(self, config: Config) -> None:
        self._config = config

    def weight(self, situation: Situation) -> float:
        if situation.progress < self._config.from_progress or situation.branches < 2:
            return 0.0
        return self._config.weight if situation.stagnant else self._config.weight_elsewhere

    def references(self, graph: SearchGraph, parent_id: str, rng: random.Random) -> tuple[Reference, ...]:  # noqa: ARG002
        reader = graph.nodes[parent_id]
        others = [best for branch_id, best in graph.branch_best.items() if branch_id != reader.branch_id]
        return tuple(Reference(one.id, "fusion") for one in complementary(graph, reader, others, self._config.sources))

    def shown(self, graph: SearchGraph, parent_id: str) -> tuple[str, ...]:
        return newest(graph.children(parent_id), self._config.siblings)
