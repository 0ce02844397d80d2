"""Independent drafts, nothing else: what the same model reaches by asking again, without any search."""

from __future__ import annotations

from typing import Literal

from evolve.config import SearchSettings
from evolve.events import Event
from evolve.graph import ROOT_ID, Node, SearchGraph, Selection
from evolve.plugins import BuildContext
from evolve.search.base import Chance, Growth, Policy, Rewards
from evolve.search.reward import reward


class Config(SearchSettings):
    """Independent drafts: each is written from the task alone, told of no other, and none is ever grown."""

    kind: Literal["best_of_n"] = "best_of_n"

    def build(self, context: BuildContext) -> Policy:  # noqa: ARG002
        return BestOfN(self)


class BestOfN:
    def __init__(self, settings: Config) -> None:
        self._settings = settings

    def observe(self, graph: SearchGraph, event: Event) -> None:
        """Nothing that happened has a say in what comes next."""

    def choose(self, graph: SearchGraph, progress: float, chance: Chance) -> Growth:  # noqa: ARG002
        selection = Selection("independent", progress, branches=graph.effective_branches)
        return Growth(ROOT_ID, "draft", selection, alone=True)

    def rewards(self, graph: SearchGraph, node: Node) -> Rewards:
        return Rewards(reward("rank", graph, node, self._settings.min_gain))
