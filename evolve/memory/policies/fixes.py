"""Remember how an error was met before: fixes of the same error signature, and repairs that failed."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from evolve.events import Experience
from evolve.memory.base import MemoryPolicy, Query
from evolve.plugins import BuildContext, PluginConfig


class Config(PluginConfig):
    """Tell a repair how the same error was fixed before, in any branch, and which repairs did not help."""

    kind: Literal["fixes"] = "fixes"
    most: int = Field(default=3, ge=1)
    """Experiences recalled at once; fixes that worked come first."""

    def build(self, context: BuildContext) -> MemoryPolicy:  # noqa: ARG002
        return Fixes(self.most)


class Fixes:
    def __init__(self, most: int) -> None:
        self._most = most
        self._experiences: dict[str, Experience] = {}
        self._repairs: dict[str, list[str]] = {}
        """Error signature of the repaired program -> the repairs tried, oldest first."""

    def observe(self, experience: Experience) -> None:
        if experience.node_id in self._experiences:
            return
        self._experiences[experience.node_id] = experience
        parent = self._experiences.get(experience.parent_id)
        if parent and parent.error_signature:
            self._repairs.setdefault(parent.error_signature, []).append(experience.node_id)

    def recall(self, query: Query) -> tuple[str, ...]:
        if query.error_signature is None:
            return ()
        newest_first = reversed(self._repairs.get(query.error_signature, ())[-50:])
        by_success = sorted(newest_first, key=lambda node_id: self._experiences[node_id].status != "scored")
        return tuple(by_success[: self._most])

    def experience(self, node_id: str) -> Experience:
        return self._experiences[node_id]
