"""Several objectives: the front is what nothing dominates, and the best is on it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from evolve.events import Event, ExpansionStarted, NodeAdded, RunStarted
from evolve.graph import ROOT_ID, Direction, Expansion, Node, Objective, SearchGraph, Selection
from evolve.operators.base import Target
from evolve.pareto import Fronts, Point, dominates
from evolve.search.frontier import Frontier
from evolve.search.policies import mcgs

DIRECTIONS: tuple[Direction, ...] = ("maximize", "minimize")
NAMES = ("speed", "size", "error")
Row = tuple[float | None, Point]
"""A node: its score, None for a failure, and its objectives as the grader gives them."""

values = st.integers(-3, 3).map(float)
"""Few of them, so that ties and domination are common."""
points = st.tuples(values, values, values)
rows = st.lists(st.tuples(st.none() | values, points), max_size=30)
directions = st.tuples(*[st.sampled_from(DIRECTIONS)] * 3)
targets: frozenset[Target] = frozenset({"root", "valid", "failed"})


def events(found: Sequence[Row], aims: Sequence[Direction], direction: Direction = "maximize") -> list[Event]:
    """A run whose every node opens a branch."""
    objectives = tuple(map(Objective, NAMES, aims))
    made: list[Event] = [RunStarted("toy", direction, 0, objectives)]
    for step, (score, point) in enumerate(found, start=1):
        name = f"n{step}"
        made.append(ExpansionStarted(Expansion(name, step, "draft", ROOT_ID, name, Selection("explore", 0.0))))
        metrics = dict(zip(NAMES, point, strict=True))
        status = "crashed" if score is None else "scored"
        made.append(NodeAdded(Node(name, step, name, "draft", ROOT_ID, 1, status, score, "", metrics=metrics)))
    return made


def turned(point: Point, aims: Sequence[Direction]) -> Point:
    return tuple(value if aim == "maximize" else -value for value, aim in zip(point, aims, strict=True))


def sorted_out(members: dict[str, Point]) -> list[set[str]]:
    """Non-dominated sorting as it is defined: the first front, the first front of the rest, ..."""
    fronts = []
    while members:
        front = {
            one for one, point in members.items() if not any(dominates(other, point) for other in members.values())
        }
        fronts.append(front)
        members = {one: point for one, point in members.items() if one not in front}
    return fronts


@given(points, points, points)
def test_domination_is_a_strict_order(one: Point, other: Point, third: Point) -> None:
    assert not dominates(one, one)
    assert not (dominates(one, other) and dominates(other, one))
    if dominates(one, other) and dominates(other, third):
        assert dominates(one, third)


@given(st.lists(points, max_size=40))
def test_fronts_are_those_of_their_definition(arriving: list[Point]) -> None:
    fronts = Fronts(depth=3)
    for number, point in enumerate(arriving):
        fronts.add(str(number), point)
    expected = sorted_out({str(number): point for number, point in enumerate(arriving)})
    assert [set(front) for front in fronts.ranked() if front] == expected[:3]


@given(rows, directions, st.sampled_from(DIRECTIONS))
def test_the_best_is_on_the_front_at_every_step(
    found: list[Row], aims: tuple[Direction, ...], direction: Direction
) -> None:
    graph = SearchGraph()
    for event in events(found, aims, direction):
        graph.apply(event)
        valid = {one.id: turned(tuple(one.metrics[name] for name in NAMES), aims) for one in graph.nodes.values()}
        valid = {name: point for name, point in valid.items() if graph.nodes[name].valid}
        expected = next(iter(sorted_out(valid)), set())
        assert set(graph.fronts.front()) == expected
        assert (graph.best is None) == (not expected)
        if graph.best is not None:
            assert graph.best.id in expected
            scores = [graph.utility(graph.nodes[name].score or 0.0) for name in expected]
            assert graph.utility(graph.best.score or 0.0) == max(scores)


@given(rows, directions)
def test_turning_every_number_around_turns_nothing_else(found: list[Row], aims: tuple[Direction, ...]) -> None:
    mirrored = [(None if score is None else -score, tuple(-value for value in point)) for score, point in found]
    against: list[Direction] = ["minimize" if aim == "maximize" else "maximize" for aim in aims]
    one = SearchGraph.fold(events(found, aims, "maximize"))
    other = SearchGraph.fold(events(mirrored, against, "minimize"))
    assert one.fronts.ranked() == other.fronts.ranked()
    assert (one.best and one.best.id) == (other.best and other.best.id)


@given(rows, directions)
def test_the_elite_takes_front_after_front(found: list[Row], aims: tuple[Direction, ...]) -> None:
    graph, frontier = SearchGraph(), Frontier(mcgs.Config(), targets)
    for event in events(found, aims):
        graph.apply(event)
        frontier.observe(graph, event)
    elite = frontier.elite(graph, size=len(found), per_branch=1)
    rank = {name: number for number, front in enumerate(graph.fronts.ranked()) for name in front}
    assert set(elite) == rank.keys()
    for better, worse in pairwise(elite):
        assert rank[better] <= rank[worse]
        if rank[better] == rank[worse]:
            assert (graph.nodes[better].score or 0.0) >= (graph.nodes[worse].score or 0.0)
