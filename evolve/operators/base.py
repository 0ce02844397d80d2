"""What an operator is: one way of growing a node. Knows no prompts and no programs."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Literal, Protocol

from evolve.graph import Reference, SearchGraph

Target = Literal["root", "valid", "failed", "search"]


@dataclass(frozen=True, slots=True)
class Situation:
    """What the policy has chosen to grow, and when."""

    target: Target
    progress: float
    exploiting: bool = False
    stagnant: bool = False
    """Whether the branch of the chosen node has stopped getting better."""
    branches: int = 0
    """Branches with a valid node."""


class Operator(Protocol):
    """Says when it applies and what its author gets to read. Pure; called by the engine's thread only.

    Its prompt is the template `strategist/<name>.j2`.
    """

    name: str
    targets: frozenset[Target]
    """What it can grow: the root (a new branch), a valid node, a failed one, or the whole search when that stands
    still (a new branch that reads all others)."""

    def weight(self, situation: Situation) -> float:
        """Relative chance of being drawn for one of its targets; where all weigh 0 they are drawn alike."""
        ...

    def references(self, graph: SearchGraph, parent_id: str, rng: random.Random) -> tuple[Reference, ...]:
        """Other nodes whose code the author reads, most useful first; each becomes a reference edge."""
        ...

    def shown(self, graph: SearchGraph, parent_id: str) -> tuple[str, ...]:
        """Ids of earlier attempts described to the author without code, most telling first."""
        ...
