"""What a memory policy is: it learns from every node and says what to remember for the next one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from evolve.events import Experience


@dataclass(frozen=True, slots=True)
class Query:
    """The expansion that wants advice."""

    operator: str
    parent_id: str
    error_signature: str | None
    """What the parent failed with, if it failed."""


class MemoryPolicy(Protocol):
    """Used by the engine's thread only. Rebuilt on resume by observing the journal's experiences again, in order."""

    def observe(self, experience: Experience) -> None: ...

    def recall(self, query: Query) -> tuple[str, ...]:
        """Ids of the experiences worth telling, best first. Same observations and query, same answer."""
        ...

    def experience(self, node_id: str) -> Experience:
        """One that was observed."""
        ...
