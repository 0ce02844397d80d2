"""Schedules, rewards and terms by their numbers."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from search.drawn import PUBLISHED
from search.simulation import Simulation, inheriting_judge, judged

from evolve.graph import Expansion, Node, Stats, Status
from evolve.plugins import BuildContext
from evolve.search.planner import Outcome
from evolve.search.policies import mcgs
from evolve.search.reward import reward
from evolve.search.schedule import (
    balance,
    elite_size,
    exploration_constant,
    explore_chance,
    wanted_breadth,
    widening_limit,
)
from evolve.search.selection import exploration_term, mean_value


@pytest.mark.parametrize(
    ("progress", "constant"), [(0, math.sqrt(2)), (0.3, math.sqrt(2)), (0.5, 0.957), (0.7, 0.5), (1, 0.5)]
)
def test_exploration_constant(progress: float, constant: float) -> None:
    assert exploration_constant(mcgs.Config(), progress) == pytest.approx(constant, abs=1e-3)


@pytest.mark.parametrize(("progress", "chance"), [(0, 1), (0.5, 1), (0.6, 0.6), (0.7, 0.2), (1, 0.2)])
def test_explore_chance(progress: float, chance: float) -> None:
    assert explore_chance(mcgs.Config(**PUBLISHED), progress) == pytest.approx(chance)


def test_a_schedule_may_step() -> None:
    settings = mcgs.Config(exploit_from=0.5, exploit_settled=0.5, explore_min=0.2)
    assert [explore_chance(settings, p) for p in (0.49, 0.5)] == [1.0, 0.2]


def test_elite_narrows() -> None:
    assert [elite_size(mcgs.Config(**PUBLISHED), p) for p in (0.69, 0.7)] == [(5, 3), (3, 2)]


def test_breadth_is_wanted_in_full_below_the_target_and_less_the_further_above() -> None:
    """The target falls geometrically: eight branches at first, two in the end, four halfway."""
    settings = mcgs.Config(branches_late=2.0)
    assert [wanted_breadth(settings, 8, progress, 3.9) for progress in (0.0, 0.5)] == [1.0, 1.0]
    assert wanted_breadth(settings, 8, 0.5, 4 * math.exp(0.25)) == pytest.approx(0.75)
    assert wanted_breadth(settings, 8, 1.0, 2 * math.exp(0.5)) == pytest.approx(0.5)
    assert wanted_breadth(settings, 8, 1.0, 8.0) == 0.0
    assert wanted_breadth(settings, 0, 0.0, 0.0) == 1.0


@given(st.integers(0, 20), st.floats(0, 1), st.floats(0, 20), st.floats(0, 20))
def test_more_branches_than_wanted_never_make_it_explore_more(
    branches: int, progress: float, one: float, other: float
) -> None:
    fewer, more = sorted((one, other))
    breadths = [wanted_breadth(mcgs.Config(), branches, progress, effective) for effective in (fewer, more)]
    assert 1.0 >= breadths[0] >= breadths[1] >= 0.0


def test_the_entropy_schedule_turns_breadth_into_c_and_w() -> None:
    settings = mcgs.Config(schedule="entropy", exploration=2.0, exploration_min=1.0, explore_min=0.2)
    assert balance(settings, Simulation(settings).graph, 1.0) == (2.0, 1.0)
    spread = Simulation(mcgs.Config(drafts=20, drafts_first=20))
    spread.run(20, lambda _: judged(1.0))
    assert spread.graph.effective_branches == pytest.approx(20)
    assert balance(settings, spread.graph, 1.0) == (1.0, 0.2)


def test_the_effective_number_of_branches_follows_its_falling_target() -> None:
    """Means of six searches over every tenth of their budget; late ones lag, for the window and for `explore_min`."""
    settings = mcgs.Config(
        schedule="entropy", aggregations=0, patience=1000, drafts=6, **PUBLISHED | {"drafts_first": 6}
    )
    runs = []
    for seed in range(6):
        simulation = Simulation(settings, seed)
        simulation.run(300, inheriting_judge(simulation, seed))
        runs.append([one.selection.branches for one in simulation.graph.expansions.values()])
    means = [sum(sum(run[start : start + 30]) for run in runs) / 180 for start in range(0, 300, 30)]
    wanted = [
        6 ** (1 - progress) * settings.branches_late**progress
        for progress in (tenth / 10 + 0.05 for tenth in range(10))
    ]
    assert [mean for mean, target in zip(means, wanted, strict=True) if not target / 1.3 < mean < target * 1.6] == []
    assert means[2] > means[5] > means[8]


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


def noisy(*results: tuple[float, float | None]) -> Simulation:
    """One branch of nodes with these scores and standard errors, three evaluations each where there is an error."""
    simulation = Simulation(mcgs.Config(drafts=1))

    def judge(expansion: Expansion) -> Outcome:
        score, error = results[expansion.step - 1]
        return replace(judged(score), error=error, evaluations=1 if error is None else 3)

    simulation.run(len(results), judge)
    return simulation


def test_a_gain_must_exceed_twice_the_standard_error_of_the_difference() -> None:
    graph = noisy((0.5, 0.03)).graph
    just = 0.5 + 2 * math.hypot(0.03, 0.04)
    rewards = [
        reward("branch_best", graph, replace(node(just + more), error=0.04, evaluations=3)) for more in (-1e-9, 1e-9)
    ]
    assert rewards == [1, 2]


def test_a_node_evaluated_once_is_as_uncertain_as_the_noise_of_the_run_says() -> None:
    """Two nodes of three evaluations: the pooled deviation of one is their errors' root mean square times sqrt(3)."""
    graph = noisy((0.5, 0.03), (0.1, 0.04)).graph
    noise = math.sqrt((0.03**2 + 0.04**2) / 2 * 3)
    assert graph.noise == pytest.approx(noise)
    just = 0.5 + 2 * math.hypot(noise / math.sqrt(3), noise)
    assert [reward("branch_best", graph, node(just + more)) for more in (-1e-9, 1e-9)] == [1, 2]


def test_the_larger_of_noise_and_minimal_gain_counts() -> None:
    graph = noisy((0.5, 0.1)).graph
    better = replace(node(0.9), error=0.1, evaluations=3)
    assert [reward("branch_best", graph, better, min_gain) for min_gain in (0.0, 0.39, 0.41)] == [2, 2, 1]


@pytest.mark.parametrize("formula", ["rank", "branch_best"])
def test_readers_share_a_gain_with_what_they_read(formula: Literal["rank", "branch_best"]) -> None:
    settings = mcgs.Config(reward=formula, reference_credit=0.5)
    policy = settings.build(BuildContext(Path()))
    graph = graph_with(0.5).graph
    worse, better, failed = (policy.rewards(graph, node(score)) for score in (0.4, 0.6, None))
    assert (worse.reference, failed.reference) == (0.0, 0.0)
    assert better.reference == better.own / 2 == 1.0


@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=20), st.floats(-1e9, 1e9))
def test_quantile_is_the_share_it_is_as_good_as(scores: list[float], score: float) -> None:
    graph = graph_with(*scores).graph
    expected = sum(1.0 if other < score else 0.5 if other == score else 0.0 for other in scores) / len(scores)
    assert graph.quantile(score) == pytest.approx(expected)
