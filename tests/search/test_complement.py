"""Which other solutions an author gets to read."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from search.simulation import Simulation, judged

from evolve.events import ExpansionStarted
from evolve.graph import ROOT_ID, Expansion, Node, Reference, Selection
from evolve.operators import aggregate, evolve, fuse, improve
from evolve.operators.base import Operator, Situation
from evolve.operators.complement import complementary
from evolve.plugins import BuildContext
from evolve.search.policies import mcgs


class Drawn(Simulation):
    """A graph as a test describes it, node by node."""

    def __init__(self) -> None:
        super().__init__(mcgs.Config())

    def put(self, parent_id: str, score: float | None, touched: Iterable[str] = (), reads: Iterable[str] = ()) -> Node:
        step = self.graph.steps + 1
        node_id = f"n{step}"
        branch_id = node_id if parent_id == ROOT_ID else self.graph.nodes[parent_id].branch_id
        references = tuple(Reference(source, "fusion") for source in reads)
        chosen = Selection("explore", 0.0)
        expansion = Expansion(node_id, step, "improve", parent_id, branch_id, chosen, references)
        self.commit(ExpansionStarted(expansion))
        self.finish(expansion, replace(judged(score), touched=tuple(sorted(touched))))
        return self.graph.nodes[node_id]


def ids(nodes: Iterable[Node]) -> list[str]:
    return [node.id for node in nodes]


def test_the_better_source_comes_first_where_both_touch_the_same() -> None:
    drawn = Drawn()
    reader, worse, better = (drawn.put(ROOT_ID, score, "ab") for score in (0.0, 1.0, 2.0))
    assert ids(complementary(drawn.graph, reader, [worse, better], 2)) == [better.id, worse.id]
    assert ids(complementary(drawn.graph, reader, [worse, better], 1)) == [better.id]


def test_what_the_reader_has_left_alone_counts() -> None:
    drawn = Drawn()
    reader = drawn.put(ROOT_ID, 0.0, "ab")
    other = drawn.put(ROOT_ID, 1.0, "cd")
    alike = drawn.put(ROOT_ID, 2.0, "ab")
    assert ids(complementary(drawn.graph, reader, [alike, other], 2)) == [other.id, alike.id]


def test_what_a_child_has_read_comes_later() -> None:
    drawn = Drawn()
    reader, first, second = (drawn.put(ROOT_ID, score) for score in (0.0, 2.0, 1.0))
    drawn.put(reader.id, None, reads=[first.id])
    assert ids(complementary(drawn.graph, reader, [first, second], 2)) == [second.id, first.id]
    drawn.put(reader.id, 0.5, reads=[second.id])
    assert ids(complementary(drawn.graph, reader, [first, second], 2)) == [first.id, second.id]


def test_neither_the_reader_nor_a_failure_is_a_source() -> None:
    drawn = Drawn()
    reader, failed, good = (drawn.put(ROOT_ID, score) for score in (0.0, None, -5.0))
    assert ids(complementary(drawn.graph, reader, [reader, failed, good], 5)) == [good.id]


parts = st.sets(st.sampled_from("abcde"), max_size=4)


@given(
    st.lists(st.tuples(st.none() | st.integers(-2, 2).map(float), parts), min_size=2, max_size=8),
    st.integers(0, 5),
    st.randoms(use_true_random=False),
)
def test_the_order_of_the_sources_does_not_matter(
    programs: list[tuple[float | None, set[str]]], most: int, shuffling: random.Random
) -> None:
    drawn = Drawn()
    nodes = [drawn.put(ROOT_ID, score, touched) for score, touched in programs]
    shuffled = shuffling.sample(nodes, len(nodes))
    chosen = complementary(drawn.graph, nodes[0], nodes, most)
    assert complementary(drawn.graph, nodes[0], shuffled, most) == chosen
    assert len(chosen) == min(most, sum(node.valid for node in nodes[1:]))
    assert all(node.valid and node is not nodes[0] for node in chosen)


# The operators that read ---------------------------------------------------------------------------------------------


def build(config: evolve.Config | fuse.Config | aggregate.Config | improve.Config) -> Operator:
    made: Operator = config.build(BuildContext(Path()))
    return made


def read(operator: Operator, simulation: Simulation, parent_id: str) -> list[tuple[str, str]]:
    found = operator.references(simulation.graph, parent_id, random.Random(0))
    return [(one.node_id, one.role) for one in found]


def test_evolve_reads_the_way_a_branch_came_and_hears_what_else_it_tried() -> None:
    drawn = Drawn()
    drawn.put(ROOT_ID, 1.0)  # n1, and from it
    drawn.put("n1", None)  # n2, which is repaired by
    drawn.put("n2", 2.0)  # n3
    drawn.put("n3", 3.0)  # n4
    drawn.put("n3", 1.5)  # n5
    drawn.put(ROOT_ID, 9.0)  # n6, another branch
    drawn.put("n4", 2.5)  # n7
    rethink = build(evolve.Config(steps=2, attempts=3))
    assert read(rethink, drawn, "n7") == [("n4", "trajectory"), ("n3", "trajectory")]
    assert read(rethink, drawn, "n4") == [("n3", "trajectory"), ("n1", "trajectory")]  # a failure is no example
    assert read(rethink, drawn, "n1") == []
    assert rethink.shown(drawn.graph, "n4") == ("n7", "n5", "n3")
    assert rethink.shown(drawn.graph, "n7") == ("n5", "n4", "n3")


def test_fuse_reads_the_best_of_other_branches() -> None:
    drawn = Drawn()
    for score in (1.0, 2.0, 3.0, None):
        drawn.put(ROOT_ID, score)
    drawn.put("n2", 5.0)  # n5
    drawn.put("n3", 0.0)  # n6
    fusing = build(fuse.Config(sources=2))
    assert read(fusing, drawn, "n1") == [("n5", "fusion"), ("n3", "fusion")]
    assert read(fusing, drawn, "n5") == [("n3", "fusion"), ("n1", "fusion")]
    assert fusing.shown(drawn.graph, "n2") == ("n5",)


def test_aggregate_reads_the_best_of_every_branch_and_hears_how_each_was_reached() -> None:
    drawn = Drawn()
    for score in (1.0, 2.0, 3.0, None):
        drawn.put(ROOT_ID, score)
    drawn.put("n1", 4.0)  # n5
    drawn.put("n5", 5.0)  # n6
    uniting = build(aggregate.Config(sources=2, trajectory=1))
    assert read(uniting, drawn, ROOT_ID) == [("n6", "aggregation"), ("n3", "aggregation")]
    assert uniting.shown(drawn.graph, ROOT_ID) == ("n5",)
    longer = build(aggregate.Config(sources=2, trajectory=9))
    assert longer.shown(drawn.graph, ROOT_ID) == ("n5", "n1")


EVOLVE = evolve.Config(weight=0.7)
FUSE = fuse.Config(weight=0.3, weight_elsewhere=0.0, from_progress=0.3)


def test_when_operators_apply() -> None:
    def weights(**situation: object) -> list[float]:
        situations = Situation("valid", **{"progress": 0.5, "branches": 2, **situation})  # type: ignore[arg-type]
        return [build(config).weight(situations) for config in (improve.Config(when_stagnant=0.0), EVOLVE, FUSE)]

    assert weights() == [1.0, 0.0, 0.0]
    assert weights(stagnant=True) == [0.0, 0.7, 0.3]
    assert weights(stagnant=True, progress=0.2) == [0.0, 0.7, 0.0]
    assert weights(stagnant=True, branches=1) == [0.0, 0.7, 0.0]
    assert build(fuse.Config(weight_elsewhere=0.1)).weight(Situation("valid", 0.5, branches=2)) == 0.1
    assert build(improve.Config(when_stagnant=0.2)).weight(Situation("valid", 0.5, stagnant=True)) == 0.2
