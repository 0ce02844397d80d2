"""Schedules, rewards and terms by their numbers."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from search.simulation import Simulation, judged

from evolve.graph import Node, Stats, Status
from evolve.search.policies import mcgs
from evolve.search.reward import reward
from evolve.search.schedule import elite_size, exploration_constant, explore_chance, widening_limit
from evolve.search.selection import exploration_term, mean_value


@pytest.mark.parametrize(
    ("progress", "constant"), [(0, math.sqrt(2)), (0.3, math.sqrt(2)), (0.5, 0.957), (0.7, 0.5), (1, 0.5)]
)
def test_exploration_constant(progress: float, constant: float) -> None:
    assert exploration_constant(mcgs.Config(), progress) == pytest.approx(constant, abs=1e-3)


@pytest.mark.parametrize(("progress", "chance"), [(0, 1), (0.5, 1), (0.6, 0.6), (0.7, 0.2), (1, 0.2)])
def test_explore_chance(progress: float, chance: float) -> None:
    assert explore_chance(mcgs.Config(), progress) == pytest.approx(chance)


def test_a_schedule_may_step() -> None:
    settings = mcgs.Config(exploit_from=0.5, exploit_settled=0.5)
    assert [explore_chance(settings, p) for p in (0.49, 0.5)] == [1.0, 0.2]


def test_elite_narrows() -> None:
    assert [elite_size(mcgs.Config(), p) for p in (0.69, 0.7)] == [(5, 3), (3, 2)]


def test_widening_by_its_square_root() -> None:
    assert [widening_limit(mcgs.Config(), visits) for visits in (0, 1, 2, 4, 5, 9, 10)] == [1, 1, 2, 2, 3, 3, 4]


def test_a_started_rollout_counts_as_a_visit_worth_nothing() -> None:
    resting, busy = Stats(visits=2, value_sum=2.0), Stats(visits=2, value_sum=2.0, in_flight=2)
    parent = Stats(visits=10)
    assert mean_value(resting) == 1.0
    assert mean_value(busy) == 0.5
    assert exploration_term(busy, parent, 1.0) < exploration_term(resting, parent, 1.0)


def node(score: float | None, branch_id: str = "n1") -> Node:
    """A node of that branch, judged but not yet in the graph."""
    status: Status = "crashed" if score is None else "scored"
    return Node("n9", 9, branch_id, "improve", branch_id, 2, status, score, "a try")


def graph_with(*scores: float) -> Simulation:
    simulation = Simulation(mcgs.Config(drafts=1))
    simulation.run(len(scores), lambda expansion: judged(scores[expansion.step - 1]))
    return simulation


def test_a_better_score_earns_more_whatever_happened_before() -> None:
    """Quality counts: 0.99 and 0.01 are not worth the same, and no repaired failure outranks a clean gain."""
    graph = graph_with(0.5, 0.4, 0.6).graph
    assert reward("rank", graph, node(0.99)) == 2.0
    assert reward("rank", graph, node(0.55)) == pytest.approx(2 / 3)
    assert reward("rank", graph, node(0.01)) == 0.0
    assert reward("rank", graph, node(None)) == -1.0


def test_the_published_reward() -> None:
    graph = graph_with(0.5).graph
    assert [reward("branch_best", graph, node(score)) for score in (None, 0.4, 0.5, 0.6)] == [-1, 1, 1, 2]
    assert reward("branch_best", graph, node(0.1, "another")) == 2


def test_a_gain_below_the_minimum_is_none() -> None:
    graph = graph_with(0.5).graph
    assert reward("branch_best", graph, node(0.6), min_gain=0.2) == 1


@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=20), st.floats(-1e9, 1e9))
def test_quantile_is_the_share_it_is_as_good_as(scores: list[float], score: float) -> None:
    graph = graph_with(*scores).graph
    expected = sum(1.0 if other < score else 0.5 if other == score else 0.0 for other in scores) / len(scores)
    assert graph.quantile(score) == pytest.approx(expected)
