"""Progressive Monte Carlo Graph Search (arXiv 2606.06473): a UCT walk over the primary edges that turns from breadth
to depth, and operators that carry ideas across branches along the reference edges when a branch, or the whole search,
stands still.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Field

from evolve.errors import ConfigError
from evolve.events import Event
from evolve.graph import ROOT_ID, Node, SearchGraph, Selection
from evolve.operators.base import Operator, Situation, Target
from evolve.plugins import BuildContext, PluginConfig, PluginOf
from evolve.search.base import Chance, Growth, Policy, Rewards
from evolve.search.frontier import Frontier
from evolve.search.reward import reward
from evolve.search.schedule import balance
from evolve.search.selection import select
from evolve.search.settings import TreeSettings
from evolve.search.stagnation import Stagnation

OperatorConfig = Annotated[PluginConfig, PluginOf("operator")]


def _operators() -> list[Any]:
    """By name; the field's validator makes settings of them."""
    return ["draft", "improve", "debug", "evolve", "fuse", "aggregate"]


class Config(TreeSettings):
    """Progressive Monte Carlo Graph Search: the search of arXiv 2606.06473, and this project's own."""

    kind: Literal["mcgs"] = "mcgs"
    operators: list[OperatorConfig] = Field(default_factory=_operators, min_length=1)
    """Ways of growing a node that the search may draw from, by name or with settings."""
    reference_credit: float = Field(default=0.0, ge=0, le=1)
    """Share of a gain's reward that every node read for it receives, too."""
    patience: int = Field(default=25, ge=1)
    """A branch is stagnant after so many valid nodes in it without a new best of the branch. It is then not exploited while another still gets better; the search is stagnant when all branches are, and what has come of them is aggregated into a new one."""
    aggregations: int = Field(default=3, ge=0)
    """Most aggregations of a run."""

    def build(self, context: BuildContext) -> Policy:
        """Raises ConfigError when no operator can open a branch."""
        operators: list[Operator] = [operator.build(context) for operator in self.operators]
        if not any("root" in operator.targets for operator in operators):
            raise ConfigError(
                "search.operators: none of them can open a branch at the root", hint="add `draft` to the list"
            )
        return GraphSearch(self, operators)


class GraphSearch:
    def __init__(self, settings: Config, operators: Sequence[Operator]) -> None:
        self._settings = settings
        self._operators = operators
        self._frontier = Frontier(settings, frozenset(target for op in operators for target in op.targets))
        self._stagnation = Stagnation(settings.min_gain)
        self._aggregations: set[str] = set()
        self._summits = {operator.name for operator in operators if "search" in operator.targets}

    def observe(self, graph: SearchGraph, event: Event) -> None:
        self._frontier.observe(graph, event)
        self._stagnation.observe(graph, event)
        match event.kind:
            case "expansion_started" if event.expansion.operator in self._summits:
                self._aggregations.add(event.expansion.id)
                self._stagnation.acknowledge()
            case "expansion_abandoned":
                self._aggregations.discard(event.expansion_id)
            case _:
                pass

    def choose(self, graph: SearchGraph, progress: float, chance: Chance) -> Growth:
        constant, explore = balance(self._settings, graph, progress)
        if self._stands_still(graph):
            selection = Selection("stagnant", progress, constant, explore, branches=graph.effective_branches)
            return self._grow(graph, ROOT_ID, "search", selection, chance)
        parent_id, selection = select(
            graph, self._frontier, self._settings, progress, constant, explore, chance("select"), self._live
        )
        return self._grow(graph, parent_id, _target(graph, parent_id), selection, chance)

    def rewards(self, graph: SearchGraph, node: Node) -> Rewards:
        own = reward(self._settings.reward, graph, node, self._settings.min_gain)
        before = graph.nodes.get(node.parent_id, graph.best)
        improved = node.valid and graph.beats(node, before, self._settings.min_gain)
        return Rewards(own, self._settings.reference_credit * own if improved else 0.0)

    def _stands_still(self, graph: SearchGraph) -> bool:
        return (
            bool(self._summits)
            and len(self._aggregations) < self._settings.aggregations
            and len(graph.branch_best) >= 2
            and not any(map(self._live, graph.branch_best))
            and self._aggregations.isdisjoint(graph.pending)
        )

    def _live(self, branch_id: str) -> bool:
        """Whether a branch still gets better, or is too young to tell."""
        return self._stagnation.branch(branch_id) < self._settings.patience

    def _grow(self, graph: SearchGraph, parent_id: str, target: Target, selection: Selection, chance: Chance) -> Growth:
        situation = self._situation(graph, parent_id, target, selection)
        able = [operator for operator in self._operators if target in operator.targets]
        weights = [operator.weight(situation) for operator in able]
        operator = chance("operator").choices(able, weights if sum(weights) > 0 else None)[0]
        return Growth(
            parent_id=parent_id,
            operator=operator.name,
            selection=selection,
            references=operator.references(graph, parent_id, chance("references")),
            shown=operator.shown(graph, parent_id),
        )

    def _situation(self, graph: SearchGraph, parent_id: str, target: Target, selection: Selection) -> Situation:
        exploiting = selection.policy == "exploit"
        stagnant = parent_id != ROOT_ID and not self._live(graph.nodes[parent_id].branch_id)
        return Situation(target, selection.progress, exploiting, stagnant, len(graph.branch_best))


def _target(graph: SearchGraph, parent_id: str) -> Target:
    if parent_id == ROOT_ID:
        return "root"
    return "valid" if graph.nodes[parent_id].valid else "failed"
