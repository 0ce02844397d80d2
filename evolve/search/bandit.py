"""Which of several models to ask first. Pure: a fold over the journal, so that a resumed run chooses as the first would.

An arm is a model of one role. What an arm earns is the gain of the nodes it worked on for what those nodes cost.
"""

from __future__ import annotations

from collections.abc import Mapping

from evolve.events import Event
from evolve.graph import SearchGraph
from evolve.search.base import Chance


class Models:
    """Chooses one model a role for every expansion."""

    def __init__(self, arms: Mapping[str, Mapping[str, float]]) -> None:
        self._arms = arms

    def observe(self, graph: SearchGraph, event: Event) -> None:
        pass

    def choose(self, chance: Chance) -> dict[str, str]:  # noqa: ARG002
        return {}
