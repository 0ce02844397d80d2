"""The laws of the search that need no language model and no sandbox, for every policy there is."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from types import FrameType
from typing import Any

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter
from search.drawn import DRAWN, EAGER, KINDS, PUBLISHED
from search.simulation import FAILURES, Judge, Simulation, judged, random_judge

from evolve.config import SearchSettings
from evolve.events import COMMIT, ExpansionStarted, RewardBackpropagated
from evolve.graph import DEBUGGABLE, ROOT_ID, Direction, Expansion, Objective, SearchGraph, Selection, Status
from evolve.plugins import config_class, kinds
from evolve.search.planner import INITIAL, Outcome
from evolve.search.policies import mcgs

EXPANSION = TypeAdapter(Expansion)
seeds = st.integers(0, 10**6)
AIMS = (Objective("speed", "maximize"), Objective("weight", "minimize"))
objectives = st.sampled_from([(), AIMS])
ROLES = {"evolve": "trajectory", "fuse": "fusion", "aggregate": "aggregation", "improve": "inspiration"}
every_policy = pytest.mark.parametrize("kind", KINDS)


def default(kind: str) -> SearchSettings:
    made = config_class("search", kind)()  # type: ignore[call-arg]
    assert isinstance(made, SearchSettings)
    return made


def test_no_policy_is_left_out() -> None:
    assert kinds("search") == KINDS


# What holds at every moment ------------------------------------------------------------------------------------------


def assert_conserved(simulation: Simulation) -> None:
    """N(node) counts the judged and in-flight nodes of its subtree, W adds up their rewards, and time runs downwards."""
    graph = simulation.graph
    judged_below, flying_below, worth = Counter[str](), Counter[str](), Counter[str]()
    for event in simulation.events:
        if isinstance(event, RewardBackpropagated):
            worth[event.node_id] += event.reward  # type: ignore[assignment]
            for source in {reference.node_id for reference in graph.expansions[event.node_id].references}:
                worth[source] += event.reference_reward  # type: ignore[assignment]
    for expansion in graph.pending.values():
        flying_below[expansion.parent_id] += 1
    widths = flying_below + Counter(node.parent_id for node in graph.nodes.values())
    for node in reversed(graph.nodes.values()):  # children before parents
        judged_below[node.id] += 1
        for counter in (judged_below, flying_below, worth):
            counter[node.parent_id] += counter[node.id]
        assert node.parent_id == ROOT_ID or graph.nodes[node.parent_id].step < node.step
    for node_id in (ROOT_ID, *graph.nodes):
        stats = graph.stats(node_id)
        assert (stats.visits, stats.in_flight) == (judged_below[node_id], flying_below[node_id])
        assert stats.value_sum == pytest.approx(worth[node_id])
        assert graph.width(node_id) == widths[node_id]
    assert graph.stats(ROOT_ID).total == len(graph.nodes) + len(graph.pending)


def assert_can_start(graph: SearchGraph, expansion: Expansion) -> None:
    """Nothing it builds on, reads or hears of is in flight, and its operator fits its parent."""
    parent = graph.nodes.get(expansion.parent_id)
    if parent is None:
        assert expansion.parent_id == ROOT_ID
        assert expansion.branch_id == expansion.id
    else:
        assert expansion.branch_id == parent.branch_id
    assert (expansion.operator == "debug") == (parent is not None and not parent.valid)
    assert parent is None or parent.valid or parent.status in DEBUGGABLE
    sources = [reference.node_id for reference in expansion.references]
    assert len(set(sources)) == len(sources)
    assert not {expansion.id, expansion.parent_id} & set(sources)
    assert all(graph.nodes[source].valid for source in sources)
    assert {reference.role for reference in expansion.references} <= {ROLES.get(expansion.operator)}
    assert set(expansion.shown) <= graph.nodes.keys()
    assert set(expansion.beside) <= graph.pending.keys()


@every_policy
@settings(max_examples=60)
@given(data=st.data(), seed=seeds, workers=st.integers(1, 6), aims=objectives)
def test_statistics_are_conserved_at_every_moment(
    kind: str, data: st.DataObject, seed: int, workers: int, aims: tuple[Objective, ...]
) -> None:
    simulation = Simulation(data.draw(DRAWN[kind]), seed, objectives=aims)
    judge = random_judge(seed, data.draw(st.sampled_from([0.0, 0.3, 1.0])), abandoned=0.1)

    def checked(expansion: Expansion) -> Outcome | None:
        assert_conserved(simulation)
        return judge(expansion)

    simulation.run(25, checked, workers, chaos=seed)
    assert not simulation.graph.pending
    assert_conserved(simulation)


@every_policy
@settings(max_examples=60)
@given(data=st.data(), seed=seeds, programs=st.integers(0, 3))
def test_there_is_always_something_to_start(kind: str, data: st.DataObject, seed: int, programs: int) -> None:
    """Liveness: whatever has happened, an expansion starts, and builds on nothing in flight."""
    simulation = Simulation(data.draw(DRAWN[kind]), seed, given=programs)
    for _ in range(data.draw(st.integers(1, 30))):
        expansion = simulation.planner.ask(simulation.graph, data.draw(st.sampled_from([0.0, 0.4, 0.6, 1.0])))
        assert_can_start(simulation.graph, expansion)
        simulation.commit(ExpansionStarted(expansion))
        for flying in list(simulation.graph.pending.values()):
            match data.draw(st.sampled_from(["wait", "score", "score", "fail", "abandon"])):
                case "score":
                    simulation.finish(flying, judged(data.draw(st.floats() | st.sampled_from([0.0, 1.0]))))
                case "fail":
                    simulation.finish(flying, judged(None, data.draw(st.sampled_from(FAILURES))))
                case "abandon":
                    simulation.abandon(flying)


def always(outcome: Outcome | None) -> Judge:
    return lambda _: outcome


def scores(*values: float) -> Judge:
    return lambda expansion: judged(values[expansion.step % len(values)])


ODD: dict[str, Judge] = {
    **{f"all {status}": always(judged(None, status)) for status in FAILURES},
    "all equal": always(judged(0.0)),
    "all abandoned": always(None),
    "duplicates of one": lambda expansion: judged(1.0) if expansion.step == 1 else judged(None, "duplicate"),
    "no order": scores(float("nan"), 1.0, float("inf"), -float("inf"), 2.0),
    "huge": scores(1.7e308, -1.7e308, 5e-324, 0.0),
    "always better": lambda expansion: judged(float(expansion.step)),
    "always worse": lambda expansion: judged(-float(expansion.step)),
    "odd sizes": lambda expansion: replace(judged(1.0), size=10**18 * (expansion.step % 2)),
    "odd metrics": lambda expansion: replace(
        judged(1.0), metrics={"feature": [5e-324, 1.7e308, float("inf"), -1.7e308][expansion.step % 4]}
    ),
}


@every_policy
@pytest.mark.parametrize("odd", ODD)
@settings(max_examples=5)
@given(data=st.data(), workers=st.sampled_from([1, 40]), aims=objectives)
def test_odd_graphs_do_not_stop_it(
    kind: str, odd: str, data: st.DataObject, workers: int, aims: tuple[Objective, ...]
) -> None:
    simulation = Simulation(data.draw(DRAWN[kind]), objectives=aims)
    simulation.run(60, ODD[odd], workers)
    assert simulation.graph.steps == 60
    assert_conserved(simulation)


@every_policy
@settings(max_examples=20)
@given(data=st.data(), before=st.integers(0, 8))
def test_any_number_of_workers_has_something_to_do(kind: str, data: st.DataObject, before: int) -> None:
    """All in flight: many more workers than there are places to grow."""
    simulation = Simulation(data.draw(DRAWN[kind]))
    simulation.run(before, random_judge(before))
    for _ in range(60):
        expansion = simulation.planner.ask(simulation.graph, 0.5)
        assert_can_start(simulation.graph, expansion)
        simulation.commit(ExpansionStarted(expansion))
    assert_conserved(simulation)


@every_policy
@settings(max_examples=40)
@given(data=st.data(), seed=seeds, workers=st.integers(1, 4), aims=objectives)
def test_edges_run_forward_in_time(
    kind: str, data: st.DataObject, seed: int, workers: int, aims: tuple[Objective, ...]
) -> None:
    """E_T is a tree, and with E_R it is acyclic: what was read was judged before the reader was begun."""
    simulation = Simulation(data.draw(DRAWN[kind]), seed, objectives=aims)
    simulation.run(40, random_judge(seed, abandoned=0.05), workers, chaos=seed)
    edges = simulation.graph.edges
    tree = nx.DiGraph((source, target) for source, target, name in edges.edges(data="kind") if name == "primary")
    assert nx.is_arborescence(tree)
    assert nx.is_directed_acyclic_graph(edges)
    begun, known = {}, set[str]()
    for event in simulation.events:
        if event.kind == "expansion_started":
            begun[event.expansion.id] = set(known)
        elif event.kind == "node_added":
            known.add(event.node.id)
    for source, target, name in edges.edges(data="kind"):
        assert name in ("primary", "reference")
        assert source == ROOT_ID or source in begun[target]


# Direction, determinism, resume --------------------------------------------------------------------------------------


def mirrored(outcome: Outcome | None) -> Outcome | None:
    """The same for a task that wants less of everything it wanted more of; a feature is not an aim and stays."""
    if outcome is None or outcome.score is None:
        return outcome
    aims = {aim.name for aim in AIMS}
    metrics = {name: -value if name in aims else value for name, value in outcome.metrics.items()}
    return replace(outcome, score=-outcome.score, metrics=metrics)


def opposite(direction: Direction) -> Direction:
    return "minimize" if direction == "maximize" else "maximize"


@every_policy
@settings(max_examples=40)
@given(data=st.data(), seed=seeds, workers=st.integers(1, 4), aims=objectives)
def test_minimising_is_maximising_the_negative(
    kind: str, data: st.DataObject, seed: int, workers: int, aims: tuple[Objective, ...]
) -> None:
    policy, judge = data.draw(DRAWN[kind]), random_judge(seed)
    turned = tuple(Objective(aim.name, opposite(aim.direction)) for aim in aims)
    up = Simulation(policy, seed, "maximize", objectives=aims)
    down = Simulation(policy, seed, "minimize", objectives=turned)
    up.run(40, judge, workers, chaos=seed)
    down.run(40, lambda expansion: mirrored(judge(expansion)), workers, chaos=seed)
    assert up.graph.expansions == down.graph.expansions
    assert up.graph.rewards == down.graph.rewards
    assert (up.graph.best and up.graph.best.id) == (down.graph.best and down.graph.best.id)


@every_policy
@settings(max_examples=30)
@given(data=st.data(), seed=seeds, cut=st.floats(0, 1), aims=objectives)
def test_a_stopped_search_goes_on_as_if_it_never_had(
    kind: str, data: st.DataObject, seed: int, cut: float, aims: tuple[Objective, ...]
) -> None:
    """One worker: stopped after any commit and resumed, it writes the same events."""
    policy, judge = data.draw(DRAWN[kind]), random_judge(seed)
    whole = Simulation(policy, seed, objectives=aims)
    whole.run(40, judge)
    kept = whole.events[: int(cut * len(whole.events))]
    while kept and kept[-1].kind in ("node_added", "reward_backpropagated"):
        kept.pop()
    resumed = Simulation(policy, seed, events=kept, objectives=aims)
    for expansion in list(resumed.graph.pending.values()):
        outcome = judge(expansion)
        assert outcome is not None
        resumed.finish(expansion, outcome)
    resumed.run(40, judge)
    assert resumed.events == whole.events


@every_policy
@settings(max_examples=30)
@given(data=st.data(), seed=seeds, workers=st.integers(1, 6), moments=st.sets(st.integers(1, 40), max_size=4))
def test_a_policy_is_a_fold_of_the_journal(
    kind: str, data: st.DataObject, seed: int, workers: int, moments: set[int]
) -> None:
    """Any workers: at any moment, one that only read the journal decides as the one that was there."""
    policy = data.draw(DRAWN[kind])
    simulation = Simulation(policy, seed)
    judge = random_judge(seed, abandoned=0.1)

    def checked(expansion: Expansion) -> Outcome | None:
        if expansion.step in moments:
            read = COMMIT.validate_json(COMMIT.dump_json(simulation.events))
            folded = Simulation(policy, seed, events=read)
            for progress in (0.2, 0.9):
                asked = [one.planner.ask(one.graph, progress) for one in (simulation, folded)]
                assert asked[0] == asked[1]
        return judge(expansion)

    simulation.run(40, checked, workers, chaos=seed)


@every_policy
@settings(max_examples=20)
@given(data=st.data(), seed=seeds, workers=st.integers(1, 4), aims=objectives)
def test_events_read_back_as_written(
    kind: str, data: st.DataObject, seed: int, workers: int, aims: tuple[Objective, ...]
) -> None:
    simulation = Simulation(data.draw(DRAWN[kind]), seed, objectives=aims)
    simulation.run(20, random_judge(seed, abandoned=0.1), workers, chaos=seed)
    written = COMMIT.dump_json(simulation.events)
    assert COMMIT.validate_json(written) == simulation.events
    folded, live = SearchGraph.fold(COMMIT.validate_json(written)), simulation.graph
    for fact in ("nodes", "expansions", "rewards", "best", "branch_best", "branches", "noise", "spread", "steps"):
        assert getattr(folded, fact) == getattr(live, fact)
    assert folded.effective_branches == live.effective_branches
    assert folded.fronts.ranked() == live.fronts.ranked()
    assert [folded.stats(one) for one in (ROOT_ID, *folded.nodes)] == [
        live.stats(one) for one in (ROOT_ID, *live.nodes)
    ]
    assert nx.utils.edges_equal(folded.edges.edges(data=True), live.edges.edges(data=True), directed=True)


# Depth and cost ------------------------------------------------------------------------------------------------------


def chain(simulation: Simulation, length: int) -> None:
    """n1 <- n2 <- ..., each a little better."""
    simulation.finish(simulation.start(0.0), judged(0.0))
    for step in range(2, length + 1):
        parent = f"n{step - 1}"
        expansion = Expansion(f"n{step}", step, "improve", parent, "n1", Selection("explore", 0.0, 1.0, 1.0))
        simulation.commit(ExpansionStarted(expansion))
        simulation.finish(expansion, judged(float(step)))


@every_policy
def test_a_chain_longer_than_any_recursion_could_be(kind: str) -> None:
    simulation = Simulation(default(kind))
    chain(simulation, 1200)
    for progress in (0.2, 0.9):
        assert_can_start(simulation.graph, simulation.planner.ask(simulation.graph, progress))
    simulation.finish(simulation.start(0.2), judged(-1.0))
    assert simulation.graph.stats(ROOT_ID).total == 1201
    assert SearchGraph.fold(simulation.events).best == simulation.graph.best


def test_a_chain_of_five_thousand_nodes() -> None:
    """Nothing recurses over the tree, and the walk finds the end."""
    simulation = Simulation(mcgs.Config(drafts=1, improves=1, **PUBLISHED | {"improves_exploiting": 1}))
    chain(simulation, 5000)
    assert simulation.start(0.2).parent_id == "n5000"
    assert simulation.graph.stats(ROOT_ID).total == 5001


def opcodes(work: Callable[[], Any]) -> int:
    """How many instructions of Python it takes: a measure of work that no load on the machine changes."""
    count = 0

    def trace(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal count
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        count += event == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


def work_of_a_step(simulation: Simulation, judge: Judge, steps: int) -> float:
    """Instructions a step, over twenty steps from `steps` on: ask, start, tell, observe, judged nothing."""
    outcomes = {
        f"n{step}": judge(Expansion(f"n{step}", step, "", "", "", Selection("", 0))) for step in range(steps + 21)
    }
    simulation.run(steps, judge)

    def more() -> None:
        for _ in range(20):
            expansion = simulation.start(0.6)
            outcome = outcomes[expansion.id]
            assert outcome is not None
            simulation.finish(expansion, outcome)

    return opcodes(more) / 20


@every_policy
@pytest.mark.parametrize("odd", ["mixed", "all crashed", "duplicates of one"])
def test_a_step_late_in_a_run_costs_no_more_than_twice_one_early_on(kind: str, odd: str) -> None:
    """It costs the depth of the tree, and trees stay shallow; it never looks at all there is."""
    judge = ODD.get(odd) or random_judge(3)
    simulation = Simulation(default(kind))
    early = work_of_a_step(simulation, judge, 100)
    late = work_of_a_step(simulation, judge, 10_000 if (kind, odd) == ("mcgs", "mixed") else 2_000)
    assert late <= 2 * early
    decided = [len(EXPANSION.dump_json(one)) for one in simulation.graph.expansions.values()]
    assert max(decided[-20:]) <= 2 * max(decided[:120])  # nor does it write more into the journal


# What it does in plain cases -----------------------------------------------------------------------------------------


def test_every_operator_and_every_role_occurs() -> None:
    """Otherwise the laws above would hold for less than they say."""
    simulation = Simulation(mcgs.Config(operators=EAGER, patience=1, **PUBLISHED))
    simulation.run(80, random_judge(1, failing=0.5), workers=3, chaos=1)
    expansions = simulation.graph.expansions.values()
    names = {operator.kind for operator in EAGER}
    assert {one.operator for one in expansions} == {INITIAL, *names}
    assert {reference.role for one in expansions for reference in one.references} == set(ROLES.values()) - {
        "inspiration"
    }


def test_a_failed_node_is_debugged_to_the_limit_and_then_left() -> None:
    simulation = Simulation(mcgs.Config(drafts=1, debug_depth=2, **PUBLISHED))
    simulation.run(4, lambda _: judged(None))
    assert [(n.operator, n.parent_id) for n in simulation.graph.nodes.values()] == [
        (INITIAL, ROOT_ID),
        ("debug", "n1"),
        ("debug", "n2"),
        ("draft", ROOT_ID),
    ]
    assert simulation.graph.expansions["n4"].selection.policy == "forced"


@pytest.mark.parametrize("status", ["duplicate", "no_code"])
def test_what_is_not_broken_is_not_debugged(status: Status) -> None:
    simulation = Simulation(mcgs.Config(drafts=1, **PUBLISHED))
    simulation.run(3, lambda expansion: judged(1.0) if expansion.step == 1 else judged(None, status))
    assert [n.parent_id for n in simulation.graph.nodes.values()] == [ROOT_ID, "n1", "n1"]


def test_a_fixed_node_is_passed_through() -> None:
    simulation = Simulation(mcgs.Config(drafts=1, **PUBLISHED))
    simulation.run(3, lambda expansion: judged(None) if expansion.step == 1 else judged(1.0))
    assert [(n.operator, n.parent_id) for n in simulation.graph.nodes.values()][2] == ("improve", "n2")


def test_workers_spread_over_the_tree() -> None:
    """Virtual loss: four workers at once do not all grow the same node."""
    simulation = Simulation(mcgs.Config(drafts=4, **PUBLISHED))
    simulation.run(8, lambda expansion: judged(float(expansion.step)))
    parents = {simulation.start(0.1).parent_id for _ in range(4)}
    assert len(parents) >= 3


def test_late_expansions_go_to_the_best_nodes() -> None:
    simulation = Simulation(mcgs.Config(patience=1000, **PUBLISHED | {"explore_min": 0.0}))
    simulation.run(60, random_judge(1, failing=0.0))
    best = sorted(simulation.graph.nodes.values(), key=lambda n: -(n.score or 0.0))[:20]
    expansion = simulation.start(1.0)
    assert expansion.selection.policy == "exploit"
    assert expansion.parent_id in {node.id for node in best}


@every_policy
def test_given_programs_are_judged_first_and_again_if_a_service_failed(kind: str) -> None:
    simulation = Simulation(default(kind), given=2)
    simulation.abandon(simulation.start(0.0))
    again = [simulation.start(0.0) for _ in range(3)]
    assert [(one.operator, one.given) for one in again[:2]] == [(INITIAL, 0), (INITIAL, 1)]
    assert again[2].given is None


def test_a_score_that_nothing_can_order_is_a_failure() -> None:
    simulation = Simulation(mcgs.Config())
    simulation.finish(simulation.start(0.0), replace(judged(float("nan")), metrics={"a": float("inf"), "b": 1.0}))
    node = simulation.graph.nodes["n1"]
    assert (node.status, node.score, node.metrics) == ("invalid", None, {"b": 1.0})


def test_the_walk_is_recorded_and_bounded() -> None:
    simulation = Simulation(mcgs.Config(drafts=1, improves=1, **PUBLISHED | {"improves_exploiting": 1}))
    simulation.run(30, lambda expansion: judged(float(expansion.step)))
    selection = simulation.start(0.2).selection
    assert (selection.policy, len(selection.path)) == ("explore", 8)
    assert selection.path[-1].node_id == "n30"
