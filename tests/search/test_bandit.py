"""Which model is asked first: the laws of the bandit, over a search that does nothing but draft."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evolve.events import Event, ExpansionAbandoned, ExpansionStarted, RunStarted
from evolve.graph import ROOT_ID, Cost, Expansion, Node, SearchGraph, Selection
from evolve.search.bandit import Models
from evolve.search.base import Chance, Growth, Rewards
from evolve.search.planner import Outcome, Planner

SEEDS = range(12)


class Drafts:
    """A policy for which a reward is the score."""

    def observe(self, graph: SearchGraph, event: Event) -> None: ...

    def choose(self, graph: SearchGraph, progress: float, chance: Chance) -> Growth:
        return Growth(ROOT_ID, "draft", Selection("explore", progress))

    def rewards(self, graph: SearchGraph, node: Node) -> Rewards:
        return Rewards(-1.0 if node.score is None else node.score)


@dataclass(frozen=True)
class Talent:
    """What a made-up model is worth."""

    mean: float = 0.0
    failing: float = 0.2
    money_usd: float = 0.01
    tokens: int = 1000

    def outcome(self, rng: random.Random) -> Outcome:
        cost = Cost(2, self.tokens // 2, self.tokens // 2, self.money_usd * rng.uniform(0.5, 1.5))
        if rng.random() < self.failing:
            return Outcome("crashed", "fails", cost=cost)
        return Outcome("scored", "works", score=max(0.0, rng.gauss(self.mean, 0.3)), cost=cost)


@dataclass
class Play:
    """Drives a planner as the engine does."""

    models: Models
    seed: int = 0
    graph: SearchGraph = field(default_factory=SearchGraph)
    events: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.planner = Planner(Drafts(), self.seed, self.models)
        for event in self.events:
            self._absorb(event)
        if not self.graph.started:
            self.commit(RunStarted("toy", "maximize", self.seed, given=0))

    def commit(self, *events: Event) -> None:
        for event in events:
            self.events.append(event)
            self._absorb(event)

    def _absorb(self, event: Event) -> None:
        self.graph.apply(event)
        self.planner.observe(self.graph, event)

    def start(self) -> Expansion:
        expansion = self.planner.ask(self.graph, 0.0)
        self.commit(ExpansionStarted(expansion))
        return expansion

    def finish(self, expansion: Expansion, outcome: Outcome) -> None:
        self.commit(*self.planner.tell(self.graph, expansion, outcome))

    def run(self, steps: int, judge: Callable[[Expansion], Outcome], workers: int = 1) -> Counter[str]:
        """How often each model was to be asked first for the code. Workers finish oldest first."""
        for _ in range(steps):
            while len(self.graph.pending) >= workers:
                oldest = next(iter(self.graph.pending.values()))
                self.finish(oldest, judge(oldest))
            self.start()
        for expansion in list(self.graph.pending.values()):
            self.finish(expansion, judge(expansion))
        return Counter(expansion.models["coder"] for expansion in self.graph.expansions.values())


def bandit(*names: str) -> Models:
    return Models({"coder": dict.fromkeys(names, 1.0)}, learning=True)


def judged_by(talents: Mapping[str, Talent], seed: int = 0) -> Callable[[Expansion], Outcome]:
    return lambda expansion: talents[expansion.models["coder"]].outcome(random.Random(f"{seed}/{expansion.id}"))


@pytest.mark.parametrize("workers", [1, 8])
@pytest.mark.parametrize("seed", SEEDS)
def test_the_best_of_three_is_asked_most(seed: int, workers: int) -> None:
    talents = {"poor": Talent(0.4, 0.5), "good": Talent(0.9, 0.1), "fair": Talent(0.6, 0.3)}
    asked = Play(bandit(*talents), seed).run(200, judged_by(talents, seed), workers)
    assert asked.most_common(1)[0][0] == "good"
    assert asked["good"] > 100


@pytest.mark.parametrize("priced", [True, False])
def test_of_equals_the_cheap_one_is_asked_more(priced: bool) -> None:
    talents = {
        "dear": Talent(money_usd=0.05 if priced else 0.0, tokens=10 if priced else 9000),
        "cheap": Talent(money_usd=0.01 if priced else 0.0, tokens=9000 if priced else 1000),
    }
    asked = sum((Play(bandit(*talents), seed).run(200, judged_by(talents, seed)) for seed in SEEDS), Counter())
    assert asked["cheap"] > 2 * asked["dear"]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_dear_model_that_is_worth_it_is_asked_most(seed: int) -> None:
    talents = {"weak": Talent(0.0, 0.8, money_usd=0.001), "strong": Talent(1.0, 0.1, money_usd=0.1)}
    asked = Play(bandit(*talents), seed).run(200, judged_by(talents, seed))
    assert asked["strong"] > asked["weak"]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_model_that_only_fails_is_dropped_though_it_costs_nothing(seed: int) -> None:
    talents = {"useless": Talent(failing=1.0, money_usd=0.0), "useful": Talent(0.5, 0.3, money_usd=0.2)}
    assert Play(bandit(*talents), seed).run(200, judged_by(talents, seed))["useless"] < 30


@given(arms=st.integers(1, 5), seed=st.integers(0, 999), data=st.data())
def test_every_model_is_tried_before_any_is_tried_again(arms: int, seed: int, data: st.DataObject) -> None:
    """Whatever is in flight, has failed or was lost by then."""
    names = [f"m{number}" for number in range(arms)]
    play = Play(bandit(*names), seed)
    started = []
    for _ in names:
        expansion = play.start()
        started.append(expansion.models["coder"])
        match data.draw(st.sampled_from(["wait", "score", "fail", "abandon"])):
            case "score":
                play.finish(expansion, Talent(failing=0.0).outcome(random.Random(seed)))
            case "fail":
                play.finish(expansion, Talent(failing=1.0).outcome(random.Random(seed)))
            case "abandon":
                play.commit(ExpansionAbandoned(expansion.id, expansion.parent_id, "down", Cost(1, 2, 3)))
    assert started == names


def test_every_role_learns_for_itself() -> None:
    roles = {role: {"a": 1.0, "b": 1.0} for role in ("strategist", "coder")}

    def judge(expansion: Expansion) -> Outcome:
        right = expansion.models == {"strategist": "a", "coder": "b"}
        return Talent(1.0 if right else 0.2, 0.1).outcome(random.Random(expansion.id))

    play = Play(Models(roles, learning=True))
    play.run(200, judge)
    pairs = Counter(tuple(expansion.models.values()) for expansion in play.graph.expansions.values())
    assert pairs.most_common(1)[0][0] == ("a", "b")
    assert pairs["a", "b"] > 100


scores = st.lists(st.none() | st.integers(0, 5), min_size=30, max_size=30)


@given(seed=st.integers(0, 999), scores=scores, learning=st.booleans(), cut=st.floats(0, 1))
def test_a_search_that_goes_on_chooses_as_if_it_never_had_stopped(
    seed: int, scores: list[int | None], learning: bool, cut: float
) -> None:
    roles = {"strategist": {"a": 1.0, "b": 2.0}, "coder": {"a": 1.0, "c": 0.5, "d": 3.0}}

    def judge(expansion: Expansion) -> Outcome:
        score = scores[expansion.step - 1]
        cost = Cost(2, 10, 10, len(expansion.models["coder"]) / expansion.step)
        return Outcome("crashed", "fails", cost=cost) if score is None else Outcome("scored", "x", score, cost=cost)

    whole = Play(Models(roles, learning=learning), seed)
    whole.run(30, judge)
    kept = whole.events[: max(1, int(cut * len(whole.events)))]
    while kept[-1].kind in ("node_added", "reward_backpropagated"):
        kept.pop()
    resumed = Play(Models(roles, learning=learning), seed, events=kept)
    resumed.run(30 - len(resumed.graph.nodes) - len(resumed.graph.pending), judge)
    assert resumed.events == whole.events


@given(seed=st.integers(0, 999), scores=scores)
def test_only_the_order_of_the_rewards_matters(seed: int, scores: list[int | None]) -> None:
    def chosen(scale: Callable[[int], float]) -> list[str]:
        def judge(expansion: Expansion) -> Outcome:
            score = scores[expansion.step - 1]
            return Outcome("crashed", "fails") if score is None else Outcome("scored", "works", scale(score))

        play = Play(bandit("a", "b", "c"), seed)
        play.run(30, judge)
        return [expansion.models["coder"] for expansion in play.graph.expansions.values()]

    assert chosen(float) == chosen(lambda score: 1e6 * score**3 + 1)


def test_models_that_the_job_no_longer_has_are_forgotten() -> None:
    before = Play(bandit("old", "kept"))
    before.run(20, judged_by({"old": Talent(), "kept": Talent()}))
    after = Play(bandit("kept", "new"), events=before.events)
    assert after.start().models == {"coder": "new"}


def test_models_are_drawn_by_their_weights() -> None:
    models = Models({"strategist": {"x": 0.0, "y": 1.0}, "coder": {"a": 6.0, "b": 3.0, "c": 1.0, "never": 0.0}})
    play = Play(models, seed=7)
    asked = play.run(1000, lambda expansion: Talent(failing=1.0).outcome(random.Random(expansion.id)))
    assert asked["never"] == 0
    for name, share in {"a": 0.6, "b": 0.3, "c": 0.1}.items():
        assert asked[name] / 1000 == pytest.approx(share, abs=0.05), "over three standard deviations"
    assert {expansion.models["strategist"] for expansion in play.graph.expansions.values()} == {"y"}


def test_roles_are_drawn_apart() -> None:
    models = Models({role: {"a": 1.0, "b": 1.0} for role in ("strategist", "coder")})

    def chance(step: int) -> Chance:
        return lambda purpose: random.Random(f"{step}/{purpose}")

    assert len({tuple(models.choose(chance(step)).values()) for step in range(40)}) == 4


def test_without_models_there_is_nothing_to_choose() -> None:
    assert Models({}).choose(random.Random) == {}
