"""When a branch or the whole search counts as standing still, and what is then done about it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from search.simulation import Simulation, judged

from evolve.events import ExpansionStarted
from evolve.graph import ROOT_ID, Expansion, Selection
from evolve.operators import draft, fuse, improve
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
    """Of a branch among its own, of the search among all; failures are as if they had not been."""
    simulation = Watched(min_gain)
    for branch, score in results:
        simulation.put(branch, score)
    valid = [(branch, score) for branch, score in results if score is not None]
    assert simulation.watch.search == since_last_best([score for _, score in valid], min_gain)
    for branch in range(3):
        own = [score for of, score in valid if of == branch]
        assert simulation.watch.branch(f"b{branch}") == since_last_best(own, min_gain)


def test_a_search_that_gets_better_every_time_never_stands_still() -> None:
    """Comparing recent nodes with a best that includes them would find that it always does."""
    simulation = Watched()
    for score in range(20):
        simulation.put(0, float(score))
        assert simulation.watch.search == 0


def test_small_gains_add_up_to_one() -> None:
    simulation = Watched(min_gain=1.0)
    counts = []
    for score in (0.0, 0.75, 1.5, 2.0):
        simulation.put(0, score)
        counts.append(simulation.watch.search)
    assert counts == [0, 1, 0, 1]


def test_a_gain_within_the_noise_is_none() -> None:
    simulation = Watched()
    counts = []
    for score in (0.0, 0.2, 0.5):  # twice the standard error of a difference is 0.28
        simulation.put(0, score, error=0.1)
        counts.append((simulation.watch.search, simulation.watch.branch("b0")))
    assert counts == [(0, 0), (1, 1), (0, 0)]


def test_failures_in_a_row_are_counted_apart() -> None:
    simulation = Watched()
    counts = []
    for score in (None, None, 1.0, None):
        simulation.put(0, score)
        counts.append(simulation.watch.failures_in_row)
    assert counts == [1, 2, 0, 1]


# What mcgs does about it ---------------------------------------------------------------------------------------------


def aggregating(**more: object) -> Simulation:
    """Two branches from the start, and patience for three nodes."""
    return Simulation(mcgs.Config(drafts=2, drafts_first=2, patience=3, **more))  # type: ignore[arg-type]


def operators(expansions: list[Expansion]) -> list[str]:
    return [one.operator for one in expansions]


def test_aggregation_comes_after_exactly_so_many_valid_nodes_without_a_new_best() -> None:
    simulation = aggregating()
    done = simulation.play(5.0, 4.0, 3.0, "duplicate", "no_code", 3.5)
    assert "aggregate" not in operators(done)  # n2, n3 and n6 only: a failure does not count
    [last] = simulation.play(1.0)
    assert (last.operator, last.parent_id, last.branch_id) == ("aggregate", ROOT_ID, last.id)
    assert last.selection.policy == "stagnant"
    assert [(one.node_id, one.role) for one in last.references] == [("n1", "aggregation"), ("n2", "aggregation")]


def test_a_new_best_starts_the_count_anew() -> None:
    assert "aggregate" not in operators(aggregating().play(5.0, 4.0, 3.0, 6.0, 2.0, 2.0, 7.0, 1.0, 1.0))


def test_aggregation_needs_two_branches_with_a_valid_node() -> None:
    assert "aggregate" not in operators(aggregating().play(5.0, "no_code", *[1.0] * 8))


def test_aggregation_starts_the_count_anew_and_has_an_end() -> None:
    simulation = aggregating(aggregations=2)
    done = simulation.play(5.0, 4.0, *[1.0] * 20)
    at = [one.step for one in done if one.operator == "aggregate"]
    assert len(at) == 2
    assert at[1] - at[0] == 3  # the aggregated node itself is one of the next three


@pytest.mark.parametrize("more", [{"aggregations": 0}, {"operators": ["draft", "improve", "debug"]}])
def test_aggregation_can_be_left_out(more: dict[str, object]) -> None:
    assert "aggregate" not in operators(aggregating(**more).play(5.0, *[1.0] * 12))


def test_an_aggregation_lost_to_a_service_is_not_counted() -> None:
    simulation = aggregating(aggregations=1)
    simulation.play(5.0, 4.0, 1.0, 1.0)
    lost = simulation.start(0.0)
    simulation.abandon(lost)
    assert lost.operator == "aggregate"
    assert operators(simulation.play(1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0)).count("aggregate") == 1


def test_workers_do_not_aggregate_at_once() -> None:
    simulation = aggregating()
    simulation.play(5.0, 4.0, 1.0, 1.0)
    assert operators([simulation.start(0.0) for _ in range(4)]).count("aggregate") == 1


def test_a_branch_is_rethought_after_three_nodes_without_a_gain() -> None:
    simulation = Simulation(mcgs.Config(drafts=1))
    assert operators(simulation.play(5.0, 1.0, "no_code", 1.0, 1.0, 1.0)) == ["initial", *["improve"] * 4, "evolve"]


def test_a_node_chosen_for_its_score_is_given_more_patience() -> None:
    simulation = Simulation(mcgs.Config(drafts=1, branch_patience=3, branch_patience_exploiting=5, explore_min=0.0))
    simulation.play(5.0, *[1.0] * 4)
    assert (simulation.start(1.0).operator, simulation.start(0.0).operator) == ("improve", "evolve")


def test_branches_are_fused_from_some_progress_on() -> None:
    def seen(progress: float) -> set[str]:
        found = set()
        for seed in range(20):
            simulation = Simulation(mcgs.Config(drafts=2, drafts_first=2, aggregations=0), seed)
            simulation.play(5.0, 5.0, *[1.0] * 12)
            assert min(len(nodes) for nodes in simulation.graph.branches.values()) > 3
            found.add(simulation.start(progress).operator)
        return found

    assert seen(0.2) == {"evolve"}
    assert seen(0.4) == {"evolve", "fuse"}


def test_without_any_weight_operators_are_drawn_alike() -> None:
    """A stagnant branch, where improve weighs 0, and too early for fuse."""
    settings = mcgs.Config(drafts=1, operators=[draft.Config(), improve.Config(), fuse.Config()])
    drawn = set()
    for seed in range(20):
        simulation = Simulation(settings, seed)
        simulation.play(5.0, 1.0, 1.0, 1.0)
        drawn.add(simulation.start(0.1).operator)
    assert drawn == {"improve", "fuse"}
