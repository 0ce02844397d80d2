"""What a search policy is: it says what to grow next and what a judged node was worth. Pure: no I/O, no clock."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from evolve.events import Event
from evolve.graph import Node, Reference, SearchGraph, Selection

Chance = Callable[[str], random.Random]
"""A generator of its own for every purpose of a step, so that a resumed run draws what the first would have drawn."""


@dataclass(frozen=True, slots=True)
class Growth:
    """A decision of a policy: which node to grow, by which operator, and what its author gets to read."""

    parent_id: str
    operator: str
    selection: Selection
    references: tuple[Reference, ...] = ()
    """Other nodes whose code the author reads; each becomes a reference edge."""
    shown: tuple[str, ...] = ()
    """Ids of earlier attempts described to the author without code, most telling first."""
    alone: bool = False
    """Whether a new draft is to know nothing of the drafts in flight."""


class Policy(Protocol):
    """One per run, used by the engine's thread only. Rebuilt on resume by observing the journal's events again."""

    def observe(self, graph: SearchGraph, event: Event) -> None:
        """Called for every event, after the graph has applied it."""
        ...

    def choose(self, graph: SearchGraph, progress: float, chance: Chance) -> Growth:
        """What to grow next; `progress` is the share of the budget used, 0 to 1.

        Always an answer: where nothing can grow it opens a new draft at the root. A parent is never a node in flight.
        """
        ...

    def rewards(self, graph: SearchGraph, node: Node) -> Rewards:
        """What a judged node that is not yet in the graph is worth."""
        ...


@dataclass(frozen=True, slots=True)
class Rewards:
    """`own` is backed up from the node to the root; `reference` goes to every node that its author had read."""

    own: float
    reference: float = 0.0
