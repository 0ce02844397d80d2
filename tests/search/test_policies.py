"""What each of the baselines does, in cases small enough to know the answer."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from search.simulation import Simulation, inheriting_judge, judged, random_judge

from evolve.errors import ConfigError
from evolve.graph import ROOT_ID, Expansion, Status
from evolve.operators import improve
from evolve.search.planner import INITIAL
from evolve.search.policies import best_of_n, greedy, islands, mcgs, mcts

# best_of_n -----------------------------------------------------------------------------------------------------------


def test_best_of_n_is_independent_drafts() -> None:
    simulation = Simulation(best_of_n.Config())
    simulation.run(20, random_judge(1), workers=4)
    drafts = [one for one in simulation.graph.expansions.values() if one.operator != INITIAL]
    assert {(one.operator, one.parent_id, one.shown, one.beside, one.references) for one in drafts} == {
        ("draft", ROOT_ID, (), (), ())
    }


# mcts ----------------------------------------------------------------------------------------------------------------


def test_mcts_is_mcgs_without_all_that_makes_it_a_graph_search() -> None:
    simulation = Simulation(mcts.Config(exploration=0.9))
    simulation.run(200, inheriting_judge(simulation, 1))
    expansions = list(simulation.graph.expansions.values())[1:]
    assert {one.operator for one in expansions} == {"draft", "improve", "debug"}
    assert not any(one.references for one in expansions)
    assert {one.selection.policy for one in expansions} <= {"explore", "forced"}
    assert {(one.selection.exploration_constant, one.selection.explore_chance) for one in expansions} == {(0.9, 1.0)}


def test_mcts_keeps_to_its_limits() -> None:
    simulation = Simulation(mcts.Config(drafts=2, improves=2, debug_depth=1))
    simulation.run(100, random_judge(2, failing=0.5))
    graph = simulation.graph
    assert max(graph.width(node.id) for node in graph.nodes.values()) == 2
    assert graph.width(ROOT_ID) == 2
    repaired = [graph.nodes[one.parent_id] for one in graph.nodes.values() if one.operator == "debug"]
    assert repaired
    assert all(one.operator != "debug" for one in repaired)


@pytest.mark.parametrize(("formula", "rewards"), [("rank", [1.5, 0.0]), ("branch_best", [2.0, 1.0])])
def test_mcts_rewards_as_told(formula: str, rewards: list[float]) -> None:
    simulation = Simulation(mcts.Config(reward=formula, drafts=1))  # type: ignore[arg-type]
    simulation.play(5.0, 4.0)
    assert list(simulation.graph.rewards.values()) == rewards


# greedy --------------------------------------------------------------------------------------------------------------


def operators(expansions: list[Expansion]) -> list[tuple[str, str]]:
    return [(one.operator, one.parent_id) for one in expansions]


def test_greedy_drafts_first_and_then_improves_the_best() -> None:
    simulation = Simulation(greedy.Config(drafts=3, debug_chance=0.0))
    done = simulation.play(1.0, 3.0, 2.0, 2.5, 4.0, 0.0)
    assert operators(done) == [
        (INITIAL, ROOT_ID),
        ("draft", ROOT_ID),
        ("draft", ROOT_ID),
        ("improve", "n2"),
        ("improve", "n2"),
        ("improve", "n5"),
    ]


def test_greedy_repairs_leaves_that_failed_to_the_limit() -> None:
    simulation = Simulation(greedy.Config(drafts=1, debug_chance=1.0, debug_depth=2))
    done = simulation.play(1.0, "crashed", "timed_out", "invalid", 0.5, "out_of_memory", 0.6, 0.7)
    assert operators(done)[1:] == [
        ("improve", "n1"),
        ("debug", "n2"),
        ("debug", "n3"),
        ("improve", "n1"),  # two repairs in a row are the limit
        ("improve", "n1"),
        ("debug", "n6"),
        ("improve", "n1"),
    ]


def test_greedy_repairs_by_chance() -> None:
    simulation = Simulation(greedy.Config(drafts=1, debug_chance=0.5, debug_depth=1))
    simulation.run(1, lambda _: judged(1.0))
    repairs = 0
    for _ in range(400):  # after the first, there is always a failed improvement to repair
        expansion = simulation.start(0.5)
        repairs += expansion.operator == "debug"
        simulation.finish(expansion, judged(None))
    assert 170 <= repairs <= 230


@pytest.mark.parametrize("status", ["duplicate", "no_code"])
def test_greedy_does_not_repair_what_is_not_broken(status: Status) -> None:
    simulation = Simulation(greedy.Config(drafts=1, debug_chance=1.0))
    assert operators(simulation.play(1.0, status, 2.0))[2] == ("improve", "n1")


def test_greedy_repairs_a_leaf_once_at_a_time_and_again_if_a_service_failed() -> None:
    simulation = Simulation(greedy.Config(drafts=1, debug_chance=1.0))
    simulation.play(1.0, "crashed")
    first, second = simulation.start(0.5), simulation.start(0.5)
    assert operators([first, second]) == [("debug", "n2"), ("improve", "n1")]
    simulation.abandon(first)
    assert operators([simulation.start(0.5)]) == [("debug", "n2")]


def test_greedy_drafts_on_while_nothing_works() -> None:
    simulation = Simulation(greedy.Config(drafts=2, debug_chance=0.0))
    assert {one.operator for one in simulation.play(*["crashed"] * 6)} == {INITIAL, "draft"}


def test_greedy_tells_drafts_and_improvements_what_worked() -> None:
    simulation = Simulation(greedy.Config(drafts=3, memory=2, debug_chance=1.0, debug_depth=1))
    done = simulation.play(1.0, 2.0, "crashed", 3.0, 4.0)
    assert [one.shown for one in done] == [(), ("n1",), ("n2", "n1"), (), ("n4", "n2")]
    assert operators(done)[3:] == [("debug", "n3"), ("improve", "n4")]


# islands -------------------------------------------------------------------------------------------------------------


def test_every_island_starts_from_the_initial_program_and_they_take_turns() -> None:
    simulation = Simulation(islands.Config(islands=3, migration_interval=100))
    simulation.play(0.0, *[float(10 * (step % 3) + step) for step in range(2, 31)])
    parents = {one.id: one.parent_id for one in simulation.graph.expansions.values()}
    for node_id, parent_id in parents.items():
        if parent_id not in (ROOT_ID, "n1"):
            assert int(node_id[1:]) % 3 == int(parent_id[1:]) % 3
    assert Counter(int(node_id[1:]) % 3 for node_id, parent_id in parents.items() if parent_id == "n1").keys() == {
        0,
        1,
        2,
    }


def test_islands_read_their_best_and_some_others() -> None:
    simulation = Simulation(islands.Config(islands=1, top=2, others=1, bins=50))
    for score, size in enumerate([0, 1200, *range(100, 1100, 100)]):
        simulation.finish(simulation.start(0.5), replace(judged(float(score)), size=size))
    for _ in range(10):
        expansion = simulation.start(0.5)
        read = [reference.node_id for reference in expansion.references]
        best = [one for one in ("n12", "n11", "n10") if one != expansion.parent_id][:2]
        assert read[:2] == best == list(expansion.shown)
        assert len(read) == 3
        assert {reference.role for reference in expansion.references} == {"inspiration"}


def test_failures_are_neither_parents_nor_read() -> None:
    simulation = Simulation(islands.Config(islands=2))
    simulation.run(80, random_judge(4, failing=0.6), workers=3)
    for one in simulation.graph.expansions.values():
        assert one.parent_id == ROOT_ID or simulation.graph.nodes[one.parent_id].valid
        told = {*one.shown, *(reference.node_id for reference in one.references)}
        assert all(simulation.graph.nodes[node_id].valid for node_id in told)


def test_islands_draft_until_something_works() -> None:
    simulation = Simulation(islands.Config(islands=3))
    done = simulation.play("crashed", "invalid", 1.0, 2.0, 3.0)
    assert operators(done) == [
        (INITIAL, ROOT_ID),
        ("draft", ROOT_ID),
        ("draft", ROOT_ID),
        ("improve", "n3"),
        ("improve", "n3"),
    ]


def test_how_parents_are_drawn() -> None:
    simulation = Simulation(islands.Config(islands=2, archive=2))
    simulation.run(600, inheriting_judge(simulation, 5))
    drawn = Counter(one.selection.policy for one in simulation.graph.expansions.values() if one.operator == "improve")
    total = sum(drawn.values())
    assert {why: round(count / total, 1) for why, count in drawn.items()} == {
        "island": 0.2,
        "archive": 0.7,
        "ranked": 0.1,
    }


def test_shares_must_leave_room() -> None:
    with pytest.raises(ValidationError, match="must not add up to more than 1"):
        islands.Config(exploration=0.5, exploitation=0.6)


def entry(score: float, step: int) -> islands.Ranked:
    return -score, step, f"n{step}"


def test_the_better_program_keeps_the_cell() -> None:
    island = islands.Island()
    for one, cell in (
        (entry(1, 1), (0,)),
        (entry(2, 2), (1,)),
        (entry(3, 3), (0,)),
        (entry(0, 4), (0,)),
        (entry(3, 5), (0,)),
    ):
        island.add(one, cell, most=10)
    assert island.cells == {(0,): entry(3, 3), (1,): entry(2, 2)}
    assert [step for _, step, _ in island.ranked] == [3, 5, 2, 4]  # n1 lost its cell and left


def test_a_full_island_loses_its_worst_that_owns_no_cell_first() -> None:
    island = islands.Island()
    for one, cell in ((entry(1, 1), (0,)), (entry(9, 2), (1,)), (entry(5, 3), (1,)), (entry(4, 4), (1,))):
        island.add(one, cell, most=3)
    assert [step for _, step, _ in island.ranked] == [2, 4, 1]
    island.add(entry(3, 5), (2,), most=3)
    island.add(entry(2, 6), (3,), most=3)
    assert [step for _, step, _ in island.ranked] == [2, 5, 6]


@given(st.lists(st.tuples(st.integers(-3, 3), st.integers(0, 3)), max_size=40), st.integers(2, 6))
def test_islands_stay_in_order(programs: list[tuple[int, int]], most: int) -> None:
    island = islands.Island()
    for step, (score, cell) in enumerate(programs):
        island.add(entry(score, step), (cell,), most)
        assert island.ranked == sorted(set(island.ranked))
        assert len(island.ranked) <= most
        assert set(island.cells.values()) <= set(island.ranked)
        assert island.ranked[0][0] == -max(seen for seen, _ in programs[: step + 1])


def test_migration_goes_to_both_neighbours_once() -> None:
    settings = islands.Config(islands=4, migration_interval=4, migration_rate=0.1, top=9, others=0)
    simulation = Simulation(settings)
    # Steps 1 to 12 give every island the initial program and three more; n5, on island 1, is the best of all.
    simulation.play(*[100.0 if step == 5 else float(step) for step in range(1, 14)])

    def seen_by(island: int) -> set[str]:
        while (simulation.graph.steps + 1) % 4 != island:
            simulation.abandon(simulation.start(0.5))
        expansion = simulation.start(0.5)
        simulation.abandon(expansion)
        return {reference.node_id for reference in expansion.references} | {expansion.parent_id}

    assert [island for island in range(4) if "n5" in seen_by(island)] == [0, 1, 2]
    simulation.play(*[0.5] * 16)  # another migration: visitors do not travel on
    assert "n5" not in seen_by(3)


def test_two_islands_are_neighbours_and_one_is_alone() -> None:
    for count in (1, 2):
        simulation = Simulation(islands.Config(islands=count, migration_interval=1, migration_rate=1.0))
        simulation.run(30, random_judge(2, failing=0.0))
        assert len(simulation.graph.nodes) == 30


def test_the_grid_spans_what_was_seen() -> None:
    policy = islands.Islands(islands.Config(features=["size", "touched", "speed"], bins=4))
    simulation = Simulation(mcgs.Config())
    made = []
    for size, touched, speed in ((10, "ab", 0.5), (20, "", 0.5), (15, "a", None), (12, "ab", 2.0)):
        metrics = {} if speed is None else {"speed": speed}
        outcome = replace(judged(1.0), size=size, touched=tuple(touched), metrics=metrics)
        expansion = simulation.start(0.0)
        simulation.finish(expansion, outcome)
        made.append(policy._cell(simulation.graph.nodes[expansion.id]))
    assert made == [(2, 2, 2), (3, 0, 2), (2, 2, 0), (0, 3, 3)]


# mcgs ----------------------------------------------------------------------------------------------------------------


def test_a_failed_child_of_the_best_may_be_repaired_before_another_is_grown() -> None:
    def after_a_crash(chance: float) -> tuple[str, str, str]:
        simulation = Simulation(mcgs.Config(drafts=1, explore_min=0.0, repair_chance=chance))
        simulation.play(5.0, "crashed")
        expansion = simulation.start(1.0)
        return expansion.operator, expansion.parent_id, expansion.selection.policy

    assert after_a_crash(1.0) == ("debug", "n2", "repair")
    assert after_a_crash(0.0) == ("improve", "n1", "exploit")


def test_some_operator_must_open_a_branch() -> None:
    with pytest.raises(ConfigError, match="none of them can open a branch"):
        Simulation(mcgs.Config(operators=[improve.Config()]))


@pytest.mark.parametrize("wrong", [{"exploration_until": 0.8}, {"exploit_from": 0.8}])
def test_a_schedule_runs_forward(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError, match="must not be below"):
        mcgs.Config(**wrong)  # type: ignore[arg-type]
