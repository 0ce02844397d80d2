"""What is concluded from runs beside each other, on results that are made up."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evolve.errors import ConfigError
from evolve.graph import Cost, Direction, Node
from evolve.run.rundir import RunDir
from evolve.view.compare import Comparison, Entry, compare, comparison_lines
from evolve.view.summary import Improvement, Summary

SCORE = st.integers(-9, 9).map(float)


def entry(
    kind: str,
    seed: int,
    scores: Sequence[float] = (1.0,),
    *,
    direction: Direction = "maximize",
    state: str = "steps",
    task: str = "made-up",
    digest: str = "d",
) -> Entry:
    """A run that found these scores one after another, an evaluation each."""
    best = Node("n1", 1, "n1", "improve", "n0", 1, "scored", scores[-1], "t") if scores else None
    summary = Summary(
        run=RunDir(Path(f"{kind}-{seed}")),
        task=task,
        state=state,
        direction=direction,
        nodes=10,
        statuses={},
        in_flight=0,
        failures_in_row=0,
        abandoned=0,
        best=best,
        initial=None,
        evaluations=10,
        improvements=tuple(Improvement(number, score) for number, score in enumerate(scores, start=1)),
        noise=None,
        objectives=(),
        front=(),
        branches=(),
        usage=(),
        cost=Cost(2, 30, 4),
        active_s=0.0,
        error=None,
    )
    return Entry({"seed": seed, "name": f"job-{seed}", "search.kind": kind}, digest, summary)


def outcome(mine: Sequence[float | None], theirs: Sequence[float | None]) -> Comparison:
    """Two groups, their runs paired by position."""
    groups = (("mine", mine), ("theirs", theirs))
    return compare(
        [entry(kind, seed, [] if best is None else [best]) for kind, found in groups for seed, best in enumerate(found)]
    )


def test_groups_in_numbers() -> None:
    found = compare(
        [entry("a", 1, [1, 2, 3]), entry("b", 1, [1]), entry("a", 2, [1, 4]), entry("b", 2, [2, 3]), entry("a", 3, [9])]
    )
    first, other = found.rows
    assert (first.label, first.runs, first.best_mean, first.best_median) == ("search.kind=a", 3, 16 / 3, 4)
    assert found.target == 1  # the lesser of the two middle bests of b
    assert (first.to_target, first.reached, other.to_target, other.reached) == (1, 3, 1, 2)
    assert (first.evaluations, first.tokens) == (10, 34)
    (pairing,) = found.pairings
    assert (pairing.pairs, pairing.wins, pairing.ties, pairing.losses) == (2, 2, 0, 0)
    assert pairing.difference == 1.5


def test_evaluations_to_a_target_of_ones_own() -> None:
    first, other = compare([entry("a", 1, [1, 2, 3]), entry("a", 2, [3]), entry("b", 1, [1, 2])], target=3.0).rows
    assert (first.to_target, first.reached) == (2, 2)
    assert (other.to_target, other.reached) == (None, 0)


def test_minimised_scores_are_better_when_lower() -> None:
    runs = [
        entry(kind, seed, [9, low], direction="minimize") for kind, low in (("a", 2), ("b", 5)) for seed in range(6)
    ]
    found = compare(runs)
    assert found.target == 5
    assert [row.to_target for row in found.rows] == [2, 2]
    (pairing,) = found.pairings
    assert (pairing.wins, pairing.difference, pairing.verdict) == (6, 3, "better")


@settings(max_examples=20)
@given(st.lists(st.tuples(SCORE, SCORE), min_size=1, max_size=12))
def test_swapping_the_groups_turns_the_verdict_around(pairs: list[tuple[float, float]]) -> None:
    mine, theirs = zip(*pairs, strict=True)
    (one,), (other,) = outcome(mine, theirs).pairings, outcome(theirs, mine).pairings
    turned = {"better": "worse", "worse": "better"}
    assert (one.wins, one.ties, one.losses, one.p) == (other.losses, other.ties, other.wins, other.p)
    assert one.verdict == turned.get(other.verdict, other.verdict)
    assert one.wins + one.ties + one.losses == one.pairs == len(pairs)


@pytest.mark.parametrize(("pairs", "verdict"), [(4, "too few to tell"), (5, "not told apart"), (6, "better")], ids=str)
def test_a_clean_sweep_needs_six_pairs(pairs: int, verdict: str) -> None:
    (pairing,) = outcome([2.0] * pairs, [1.0] * pairs).pairings
    assert pairing.verdict == verdict
    assert (pairing.interval is None) == (pairing.p is None) == (pairs < 5)


def test_many_small_wins_do_not_outweigh_one_large_loss() -> None:
    (pairing,) = outcome([1.1] * 7 + [0.0], [1.0] * 7 + [90.0]).pairings
    assert pairing.wins == 7
    assert pairing.verdict == "not told apart"


def test_a_run_without_a_score_loses_and_spoils_the_mean() -> None:
    found = outcome([None, 2, 2, 2, 2, None], [1, 1, 1, 1, 1, None])
    (pairing,) = found.pairings
    assert (pairing.wins, pairing.ties, pairing.losses) == (4, 1, 1)
    assert (pairing.difference, pairing.interval) == (None, None)
    assert found.rows[0].unscored == 2
    assert "6 (2 without a score)" in list(comparison_lines(found))[1]


def test_nothing_scored_and_nothing_in_common() -> None:
    found = compare([entry("a", 1, []), entry("b", 2, [])])
    assert found.target is None
    assert list(comparison_lines(found)) == [
        "group          runs                   best mean  best median  evaluations  tokens  target  reached",
        "search.kind=a  1 (1 without a score)  -          -            10           34      -       0/1",
        "search.kind=b  1 (1 without a score)  -          -            10           34      -       0/1",
        "",
        "search.kind=a against",
        "group          pairs  mean difference  95 % interval  wins/ties/losses  p  so it is",
        "search.kind=b  0      -                -              0/0/0             -  too few to tell",
    ]


def test_several_runs_of_a_seed_count_by_their_mean() -> None:
    (pairing,) = compare([entry("a", 1, [1]), entry("a", 1, [3]), entry("b", 1, [2])]).pairings
    assert (pairing.pairs, pairing.ties, pairing.difference) == (1, 1, 0)


def test_notes_on_what_a_reader_must_know() -> None:
    found = compare([entry("a", 1), entry("b", 1, digest="e", state="interrupted"), entry("c", 1, state="hours")])
    assert list(comparison_lines(found))[-3:] == [
        "note     2 comparisons; no p is corrected for that",
        "note     the task's files are not the same in all runs; their scores may not be comparable",
        "note     b-1: interrupted after 10 nodes",
    ]


def test_runs_of_different_tasks_are_not_compared() -> None:
    with pytest.raises(ConfigError, match=r"b-1: solves other \(maximize\), but a-1 solves made-up"):
        compare([entry("a", 1), entry("b", 1, task="other")])
    with pytest.raises(ConfigError, match="minimize"):
        compare([entry("a", 1), entry("b", 1, direction="minimize")])
