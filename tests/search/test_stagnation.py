"""When a branch counts as standing still and when the whole search does, and what is then done about it."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from search.simulation import Simulation, judged

from evolve.events import ExpansionStarted
from evolve.graph import ROOT_ID, Expansion, Selection
from evolve.search.policies import mcgs
from evolve.search.stagnation import Stagnation


class Watched(Simulation):
    """A simulation in which a test says where the next node goes."""

    def __init__(self, min_gain: float = 0.0) -> None:
        self.watch = Stagnation(min_gain)
        super().__init__(mcgs.Config())

    def put(self, branch: int, score: float | None, error: float | None = None) -> None:
        """A child of the branch's draft, or that draft itself if there is none yet."""
        step, top = self.graph.steps + 1, f"b{branch}"
        parent, node_id = (top, f"n{step}") if top in self.graph.nodes else (ROOT_ID, top)
        expansion = Expansion(node_id, step, "improve", parent, top, Selection("explore", 0.0))
        self.graph.apply(ExpansionStarted(expansion))
        outcome = replace(judged(score), error=error, evaluations=1 if error is None else 3)
        for event in self.planner.tell(self.graph, expansion, outcome):
            self.graph.apply(event)
            self.watch.observe(self.graph, event)


def since_last_best(scores: list[float], min_gain: float = 0.0) -> int:
    """The definition, read off a list: each is compared with the best of those BEFORE it."""
    best, count = None, 0
    for score in scores:
        if best is None or score > best + min_gain:
            best, count = score, 0
        else:
            count += 1
    return count


results = st.lists(st.tuples(st.integers(0, 2), st.none() | st.integers(-4, 4).map(float)), max_size=40)


@given(results, st.sampled_from([0.0, 1.0]))
def test_it_counts_valid_nodes_since_the_last_gain(results: list[tuple[int, float | None]], min_gain: float) -> None:
    """Of a branch among its own; failures are as if they had not been."""
    simulation = Watched(min_gain)
    for branch, score in results:
        simulation.put(branch, score)
    valid = [(branch, score) for branch, score in results if score is not None]
    for branch in range(3):
        own = [score for of, score in valid if of == branch]
        assert simulation.watch.branch(f"b{branch}") == since_last_best(own, min_gain)


def test_a_branch_that_gets_better_every_time_never_stands_still() -> None:
    """Comparing recent nodes with a best that includes them would find that it always does."""
    simulation = Watched()
    for score in range(20):
        simulation.put(0, float(score))
        assert simulation.watch.branch("b0") == 0


def test_small_gains_add_up_to_one() -> None:
    simulation = Watched(min_gain=1.0)
    counts = []
    for score in (0.0, 0.75, 1.5, 2.0):
        simulation.put(0, score)
        counts.append(simulation.watch.branch("b0"))
    assert counts == [0, 1, 0, 1]


def test_a_gain_within_the_noise_is_none() -> None:
    simulation = Watched()
    counts = []
    for score in (0.0, 0.2, 0.5):  # twice the standard error of a difference is 0.28
        simulation.put(0, score, error=0.1)
        counts.append(simulation.watch.branch("b0"))
    assert counts == [0, 1, 0]


# What mcgs does about it ---------------------------------------------------------------------------------------------


def searching(seed: int = 0, **more: Any) -> Simulation:
    """Exploring all the time, two branches from the start, and patience for three nodes."""
    settings = {"drafts": 2, "drafts_first": 2, "patience": 3, "explore_min": 1.0} | more
    return Simulation(mcgs.Config(**settings), seed)


def operators(expansions: list[Expansion]) -> list[str]:
    return [one.operator for one in expansions]


def stagnant(simulation: Simulation, patience: int) -> bool:
    """The definition: every branch with a valid node has had so many since its last gain."""
    graph = simulation.graph
    scores = {
        branch: [node.score for node in map(graph.nodes.__getitem__, ids) if node.score is not None]
        for branch, ids in graph.branches.items()
    }
    return all(since_last_best(own) >= patience for own in scores.values() if own)


@pytest.mark.parametrize("seed", range(8))
def test_aggregation_comes_as_soon_as_every_branch_stands_still(seed: int) -> None:
    simulation = searching(seed, aggregations=1)
    simulation.play(5.0, 4.0)
    draw = random.Random(seed)
    while not stagnant(simulation, 3):
        assert operators(simulation.play(draw.choice([1.0, 2.0, "duplicate", "no_code"]))) != ["aggregate"]
    [last] = simulation.play(1.0)
    assert (last.operator, last.parent_id, last.branch_id) == ("aggregate", ROOT_ID, last.id)
    assert last.selection.policy == "stagnant"
    assert [(one.node_id, one.role) for one in last.references] == [("n1", "aggregation"), ("n2", "aggregation")]


def test_a_search_in_which_some_branch_still_gets_better_is_not_stagnant() -> None:
    assert "aggregate" not in operators(searching().play(5.0, 4.0, *[float(score) for score in range(6, 60)]))


def test_aggregation_needs_two_branches_with_a_valid_node() -> None:
    assert "aggregate" not in operators(searching().play(5.0, "no_code", *[1.0] * 12))


def test_aggregations_are_apart_and_have_an_end() -> None:
    done = searching(aggregations=2).play(5.0, 4.0, *[1.0] * 60)
    at = [one.step for one in done if one.operator == "aggregate"]
    assert len(at) == 2
    assert at[1] - at[0] > 3  # the new branch is given its own chance


@pytest.mark.parametrize("more", [{"aggregations": 0}, {"operators": ["draft", "improve", "debug"]}])
def test_aggregation_can_be_left_out(more: dict[str, Any]) -> None:
    assert "aggregate" not in operators(searching(**more).play(5.0, *[1.0] * 20))


def standing_still(**more: Any) -> Simulation:
    simulation = searching(**more)
    simulation.play(5.0, 4.0)
    while not stagnant(simulation, 3):
        simulation.play(1.0)
    return simulation


def test_an_aggregation_lost_to_a_service_is_not_counted() -> None:
    simulation = standing_still(aggregations=1)
    lost = simulation.start(0.0)
    simulation.abandon(lost)
    assert lost.operator == "aggregate"
    assert operators(simulation.play(*[1.0] * 20)).count("aggregate") == 1


def test_workers_do_not_aggregate_at_once() -> None:
    simulation = standing_still()
    assert operators([simulation.start(0.0) for _ in range(4)]).count("aggregate") == 1


def test_a_stagnant_branch_is_rethought() -> None:
    """What improve weighs there is a setting; here nothing."""
    only = ["draft", {"kind": "improve", "when_stagnant": 0.0}, "debug", "evolve", "fuse"]
    simulation = searching(drafts=1, drafts_first=1, operators=only)
    assert operators(simulation.play(5.0, 1.0, "no_code", 1.0, 1.0, 1.0)) == ["initial", *["improve"] * 4, "evolve"]


def test_branches_are_fused_from_some_progress_on() -> None:
    only = [
        "draft",
        {"kind": "improve", "when_stagnant": 0.0},
        "debug",
        "evolve",
        {"kind": "fuse", "from_progress": 0.3},
    ]

    def seen(progress: float) -> set[str]:
        found = set()
        for seed in range(20):
            simulation = searching(seed, operators=only)
            simulation.play(5.0, 5.0, *[1.0] * 12)
            assert stagnant(simulation, 3)
            found.add(simulation.start(progress).operator)
        return found

    assert seen(0.2) == {"evolve"}
    assert seen(0.4) == {"evolve", "fuse"}


def test_a_branch_that_stands_still_is_not_exploited_while_another_gets_better() -> None:
    """n1 is the best of all, but its branch is stagnant; n2's is not, until it is, too."""

    def exploited(*scores: float) -> str:
        simulation = searching(explore_min=0.0, patience=2, aggregations=0, repair_chance=0.0, elite=1, elite_late=1)
        simulation.play(9.0, 1.0)
        for score in scores:
            expansion = simulation.start(1.0)
            simulation.finish(expansion, judged(score))
        return simulation.graph.expansions[expansion.id].branch_id

    assert exploited(0.0) == exploited(0.0, 0.0) == "n1"
    assert exploited(0.0, 0.0, 2.0) == exploited(0.0, 0.0, 2.0, 3.0) == "n2"
    assert exploited(0.0, 0.0, 0.0, 0.0, 0.0) == "n1"


def test_without_any_weight_operators_are_drawn_alike() -> None:
    """A stagnant branch, where improve weighs 0, and too early for fuse."""
    only = ["draft", {"kind": "improve", "when_stagnant": 0.0}, {"kind": "fuse", "from_progress": 0.3}]
    drawn = set()
    for seed in range(20):
        simulation = searching(seed, drafts=1, drafts_first=1, operators=only)
        simulation.play(5.0, 1.0, 1.0, 1.0)
        drawn.add(simulation.start(0.1).operator)
    assert drawn == {"improve", "fuse"}
