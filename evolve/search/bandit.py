"""Which of several models to ask first. Pure: a fold over the journal, so that a resumed run chooses as the first would.

An arm is a model of one role. It is credited with the nodes of the expansions in which it was to be asked first, also
where another answered in its stead: that is what choosing it leads to.

The bandit is Thompson sampling (Thompson 1933; Chapelle & Li 2011, who find that it bears late feedback well, and here
other workers' rollouts are always under way) on gain per cost, as in Xia et al. 2015 (arXiv 1505.00146):

- The gain of a node is the share of the latest rewards that its own exceeds. The scale of the rewards does not matter
  then, nor that new bests get rarer for every model, and whatever is worth no more than a failure gains nothing.
- An arm's mean gain is drawn from Beta(1 + gains, 1 + nodes - gains), the rule of Agrawal & Goyal 2012 for rewards in
  [0, 1] without its coin toss.
- The draw is divided by 1 + the arm's mean cost relative to all arms'. Costs vary too little to be drawn as well. The
  1 is the share of a step that costs the same whoever writes, its evaluation and its place in the budget of steps:
  without it a model that is nearly free would be asked on and on although nothing comes of it.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from evolve.events import Event
from evolve.graph import Cost, Expansion, SearchGraph
from evolve.search.base import Chance

WINDOW = 50
"""A reward is compared with so many before it."""


@dataclass(slots=True)
class Arm:
    """What is known of one model in one role."""

    weight: float
    """Relative chance to be drawn where nothing is learnt."""
    started: int = 0
    """Expansions in which it was to be asked first."""
    nodes: int = 0
    """How many of them have ended with a node."""
    gains: float = 0.0
    money_usd: float = 0.0
    tokens: int = 0
    """Sums over those nodes."""

    def note(self, gain: float, cost: Cost) -> None:
        self.nodes += 1
        self.gains += gain
        self.money_usd += cost.money_usd
        self.tokens += cost.tokens

    def mean_cost(self, in_money: bool) -> float | None:
        """None before its first node."""
        return (self.money_usd if in_money else self.tokens) / self.nodes if self.nodes else None


class Models:
    """Chooses one model a role for every expansion: drawn by weight, or by what the bandit has learnt."""

    def __init__(self, arms: Mapping[str, Mapping[str, float]], *, learning: bool = False) -> None:
        """`arms`: weight by model by role, the weights not all 0. `learning` makes it a bandit, which ignores them."""
        self._roles = {role: {name: Arm(weight) for name, weight in some.items()} for role, some in arms.items()}
        self._learning = learning
        self._rewards: deque[float] = deque(maxlen=WINDOW)

    def observe(self, graph: SearchGraph, event: Event) -> None:
        """Called for every event, after the graph has applied it."""
        match event.kind:
            case "expansion_started":
                for arm in self._chosen(event.expansion):
                    arm.started += 1
            case "reward_backpropagated":
                gain = self._gain(event.reward)
                for arm in self._chosen(graph.expansions[event.node_id]):
                    arm.note(gain, graph.nodes[event.node_id].cost)
            case _:
                pass

    def choose(self, chance: Chance) -> dict[str, str]:
        """Model to ask first, by role."""
        choice = _best if self._learning else _weighted
        return {role: choice(arms, chance(f"model of {role}")) for role, arms in self._roles.items()}

    def _chosen(self, expansion: Expansion) -> Iterable[Arm]:
        """Without those that the job no longer has."""
        chosen = (self._roles.get(role, {}).get(name) for role, name in expansion.models.items())
        return [arm for arm in chosen if arm is not None]

    def _gain(self, reward: float) -> float:
        """Share of the latest rewards that this one exceeds; one half before there is any."""
        exceeded = [other < reward for other in self._rewards]
        self._rewards.append(reward)
        return sum(exceeded) / len(exceeded) if exceeded else 0.5


def _weighted(arms: Mapping[str, Arm], rng: random.Random) -> str:
    return rng.choices(list(arms), [arm.weight for arm in arms.values()])[0]


def _best(arms: Mapping[str, Arm], rng: random.Random) -> str:
    """The first that was never started, otherwise the one whose drawn gain per cost is the highest."""
    untried = next((name for name, arm in arms.items() if not arm.started), None)
    if untried is not None:
        return untried
    in_money = any(arm.money_usd for arm in arms.values())
    costs = {name: arm.mean_cost(in_money) for name, arm in arms.items()}
    known = [cost for cost in costs.values() if cost is not None]
    typical = sum(known) / len(known) if any(known) else 1.0

    def drawn(name: str) -> float:
        arm, cost = arms[name], costs[name]
        gain = rng.betavariate(1 + arm.gains, 1 + arm.nodes - arm.gains)
        return gain / (1 + (typical if cost is None else cost) / typical)

    return max(arms, key=drawn)
