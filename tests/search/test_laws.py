"""The laws of the search that need no language model and no sandbox."""

from __future__ import annotations

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from search.simulation import FAILURES, Simulation, judged, random_judge

from evolve.events import COMMIT, ExpansionStarted
from evolve.graph import ROOT_ID, Expansion, SearchGraph, Selection
from evolve.search.planner import Outcome
from evolve.search.policies import mcgs

seeds = st.integers(0, 10**6)
small_settings = st.builds(
    mcgs.Config,
    drafts=st.integers(1, 4),
    improves=st.integers(1, 3),
    improves_exploiting=st.integers(1, 4),
    debug_depth=st.integers(0, 3),
    reward=st.sampled_from(["rank", "branch_best"]),
    widening_factor=st.sampled_from([0.3, 1.0, 2.5]),
)


def assert_conserved(graph: SearchGraph) -> None:
    """N(node) is the number of evaluated and in-flight nodes of its subtree, and E_T is a tree in time."""
    tree = nx.DiGraph((source, target) for source, target, kind in graph.edges.edges(data="kind") if kind == "primary")
    tree.add_node(ROOT_ID)
    assert nx.is_arborescence(tree)
    for node_id in tree:
        below = nx.descendants(tree, node_id) | {node_id}
        evaluated = len(below - {ROOT_ID})
        in_flight = sum(expansion.parent_id in below for expansion in graph.pending.values())
        stats = graph.stats(node_id)
        assert (stats.visits, stats.in_flight) == (evaluated, in_flight)
        assert graph.width(node_id) == tree.out_degree(node_id) + sum(
            expansion.parent_id == node_id for expansion in graph.pending.values()
        )
    assert all(graph.nodes[child].step > graph.nodes[parent].step for parent, child in tree.edges if parent != ROOT_ID)


@given(settings=small_settings, seed=seeds, workers=st.integers(1, 6), failing=st.sampled_from([0.0, 0.3, 1.0]))
def test_statistics_are_conserved_at_every_moment(
    settings: mcgs.Config, seed: int, workers: int, failing: float
) -> None:
    simulation = Simulation(settings, seed)
    judge = random_judge(seed, failing, abandoned=0.1)

    def checked(expansion: Expansion) -> Outcome | None:
        assert_conserved(simulation.graph)
        return judge(expansion)

    simulation.run(25, checked, workers, chaos=seed)
    assert not simulation.graph.pending
    assert_conserved(simulation.graph)


@given(settings=small_settings, seed=seeds, data=st.data())
def test_there_is_always_something_to_start(settings: mcgs.Config, seed: int, data: st.DataObject) -> None:
    """Liveness: whatever has happened, an expansion starts, and never from a node in flight."""
    simulation = Simulation(settings, seed)
    for _ in range(data.draw(st.integers(1, 30))):
        expansion = simulation.start(data.draw(st.sampled_from([0.0, 0.4, 0.6, 1.0])))
        assert expansion.parent_id == ROOT_ID or expansion.parent_id in simulation.graph.nodes
        for flying in list(simulation.graph.pending.values()):
            match data.draw(st.sampled_from(["wait", "score", "fail", "abandon"])):
                case "score":
                    simulation.finish(flying, judged(data.draw(st.floats(allow_nan=False, allow_infinity=False))))
                case "fail":
                    simulation.finish(flying, judged(None, data.draw(st.sampled_from(FAILURES))))
                case "abandon":
                    simulation.abandon(flying)


@given(seed=seeds, workers=st.integers(1, 4), settings=small_settings)
def test_minimising_is_maximising_the_negative(seed: int, workers: int, settings: mcgs.Config) -> None:
    judge = random_judge(seed)

    def negated(expansion: Expansion) -> Outcome | None:
        outcome = judge(expansion)
        assert outcome is not None
        return judged(-outcome.score) if outcome.score is not None else outcome

    up, down = Simulation(settings, seed, "maximize"), Simulation(settings, seed, "minimize")
    up.run(40, judge, workers, chaos=seed)
    down.run(40, negated, workers, chaos=seed)
    assert [(n.id, n.parent_id, n.operator) for n in up.graph.nodes.values()] == [
        (n.id, n.parent_id, n.operator) for n in down.graph.nodes.values()
    ]
    assert up.graph.rewards == down.graph.rewards
    assert (up.graph.best and up.graph.best.id) == (down.graph.best and down.graph.best.id)


@given(seed=seeds, cut=st.floats(0, 1))
def test_a_stopped_search_goes_on_as_if_it_never_had(seed: int, cut: float) -> None:
    settings = mcgs.Config()
    whole = Simulation(settings, seed)
    whole.run(40, random_judge(seed))
    kept = whole.events[: int(cut * len(whole.events))]
    while kept and kept[-1].kind in ("node_added", "reward_backpropagated"):
        kept.pop()
    resumed = Simulation(settings, seed, events=kept)
    for expansion in list(resumed.graph.pending.values()):
        outcome = random_judge(seed)(expansion)
        assert outcome is not None
        resumed.finish(expansion, outcome)
    resumed.run(40, random_judge(seed))
    assert resumed.events == whole.events


@given(seed=seeds, workers=st.integers(1, 4))
def test_events_read_back_as_written(seed: int, workers: int) -> None:
    simulation = Simulation(mcgs.Config(), seed)
    simulation.run(20, random_judge(seed, abandoned=0.1), workers, chaos=seed)
    written = COMMIT.dump_json(simulation.events)
    assert COMMIT.validate_json(written) == simulation.events
    folded = SearchGraph.fold(COMMIT.validate_json(written))
    assert folded.rewards == simulation.graph.rewards
    assert folded.best == simulation.graph.best
    assert nx.utils.edges_equal(folded.edges.edges(data=True), simulation.graph.edges.edges(data=True), directed=True)


def test_a_chain_of_five_thousand_nodes() -> None:
    """Nothing recurses over the tree."""
    settings = mcgs.Config(drafts=1, improves=1, improves_exploiting=1)
    simulation = Simulation(settings)
    simulation.finish(simulation.start(0.0), judged(0.0))
    for step in range(2, 5001):
        parent = f"n{step - 1}"
        expansion = Expansion(f"n{step}", step, "improve", parent, "n1", Selection("explore", 0.0, 1.0, 1.0))
        simulation.commit(ExpansionStarted(expansion))
        simulation.finish(expansion, judged(float(step)))
    assert simulation.start(0.2).parent_id == "n5000"
    assert simulation.graph.stats(ROOT_ID).total == 5001
    assert SearchGraph.fold(simulation.events).best == simulation.graph.best


def test_a_failed_node_is_debugged_to_the_limit_and_then_left() -> None:
    settings = mcgs.Config(drafts=1, debug_depth=2)
    simulation = Simulation(settings)
    simulation.run(4, lambda _: judged(None))
    assert [(n.operator, n.parent_id) for n in simulation.graph.nodes.values()] == [
        ("initial", ROOT_ID),
        ("debug", "n1"),
        ("debug", "n2"),
        ("draft", ROOT_ID),
    ]
    assert simulation.graph.expansions["n4"].selection.policy == "forced"


@pytest.mark.parametrize("status", ["duplicate", "no_code"])
def test_what_is_not_broken_is_not_debugged(status: str) -> None:
    simulation = Simulation(mcgs.Config(drafts=1))
    simulation.run(3, lambda expansion: judged(1.0) if expansion.step == 1 else judged(None, status))  # type: ignore[arg-type]
    assert [n.parent_id for n in simulation.graph.nodes.values()] == [ROOT_ID, "n1", "n1"]


def test_a_fixed_node_is_passed_through() -> None:
    simulation = Simulation(mcgs.Config(drafts=1))
    simulation.run(3, lambda expansion: judged(None) if expansion.step == 1 else judged(1.0))
    assert [(n.operator, n.parent_id) for n in simulation.graph.nodes.values()][2] == ("improve", "n2")


def test_workers_spread_over_the_tree() -> None:
    """Virtual loss: four workers at once do not all grow the same node."""
    simulation = Simulation(mcgs.Config(drafts=4))
    simulation.run(8, lambda expansion: judged(float(expansion.step)))
    parents = {simulation.start(0.1).parent_id for _ in range(4)}
    assert len(parents) >= 3


def test_late_expansions_go_to_the_best_nodes() -> None:
    settings = mcgs.Config(explore_min=0.0)
    simulation = Simulation(settings)
    judge = random_judge(1, failing=0.0)
    simulation.run(60, judge)
    best = sorted(simulation.graph.nodes.values(), key=lambda n: -(n.score or 0.0))[:20]
    expansion = simulation.start(1.0)
    assert expansion.selection.policy == "exploit"
    assert expansion.parent_id in {node.id for node in best}


def test_the_initial_program_is_judged_first_and_again_if_a_service_failed() -> None:
    simulation = Simulation(mcgs.Config())
    simulation.abandon(simulation.start(0.0))
    assert simulation.start(0.0).operator == "initial"


def test_the_walk_is_recorded_and_bounded() -> None:
    settings = mcgs.Config(drafts=1, improves=1, improves_exploiting=1)
    simulation = Simulation(settings)
    simulation.run(30, lambda expansion: judged(float(expansion.step)))
    selection = simulation.start(0.2).selection
    assert (selection.policy, len(selection.path)) == ("explore", 8)
    assert selection.path[-1].node_id == "n30"
