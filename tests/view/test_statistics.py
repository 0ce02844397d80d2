from __future__ import annotations

import math
import statistics as reference

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evolve.graph import WINDOW
from evolve.view.branches import effective_branches
from evolve.view.statistics import bootstrap_mean, buckets, effective_number, mean, median, sign_test

NUMBERS = st.floats(-1e6, 1e6)
SOME = st.lists(NUMBERS, min_size=1, max_size=20)
COUNT = st.integers(0, 40)


@given(SOME)
def test_mean_and_median_are_the_usual_ones(values: list[float]) -> None:
    assert mean(values) == pytest.approx(reference.fmean(values), abs=1e-6)
    assert median(values) == pytest.approx(reference.median(values))


def test_a_median_is_infinite_when_half_were_never_reached() -> None:
    assert median([3, math.inf, 5]) == 5
    assert median([3, math.inf]) == median([math.inf, 3, math.inf]) == math.inf


@given(COUNT, COUNT)
def test_the_sign_test_is_a_probability_and_knows_no_sides(wins: int, losses: int) -> None:
    p = sign_test(wins, losses)
    assert 0 < p <= 1
    assert p == sign_test(losses, wins)
    assert sign_test(max(wins, losses) + 1, min(wins, losses)) <= p


@pytest.mark.parametrize(
    ("wins", "losses", "p"), [(0, 0, 1.0), (5, 0, 1 / 16), (0, 6, 1 / 32), (3, 3, 1.0), (8, 1, 20 / 512)]
)
def test_the_sign_test_is_exact(wins: int, losses: int, p: float) -> None:
    assert sign_test(wins, losses) == pytest.approx(p)


@given(SOME, st.integers(0, 3), st.floats(0.1, 10), NUMBERS)
def test_the_bootstrap_stays_in_the_data_repeats_and_moves_with_them(
    values: list[float], seed: int, scale: float, shift: float
) -> None:
    found = bootstrap_mean(values, seed=seed, resamples=200)
    slack = 1e-9 * max(map(abs, values)) + 1e-9
    assert min(values) - slack <= found.low <= found.high <= max(values) + slack
    assert found == bootstrap_mean(values, seed=seed, resamples=200)
    moved = bootstrap_mean([scale * value + shift for value in values], seed=seed, resamples=200)
    assert moved.low == pytest.approx(scale * found.low + shift, rel=1e-6, abs=1e-3)
    assert moved.high == pytest.approx(scale * found.high + shift, rel=1e-6, abs=1e-3)


def test_the_bootstrap_interval_is_about_two_standard_errors_each_way() -> None:
    values = [float(number) for number in range(100)]
    error = reference.stdev(values) / 10
    found = bootstrap_mean(values)
    assert found.low == pytest.approx(49.5 - 1.96 * error, abs=0.3)
    assert found.high == pytest.approx(49.5 + 1.96 * error, abs=0.3)


def test_a_narrower_level_gives_a_narrower_interval() -> None:
    wide, narrow = bootstrap_mean([1.0, 2.0, 4.0, 8.0]), bootstrap_mean([1.0, 2.0, 4.0, 8.0], level=0.5)
    assert wide.low < narrow.low < narrow.high < wide.high


@given(st.lists(st.integers(0, 9), max_size=8))
def test_an_effective_number_is_between_one_and_the_number_of_classes(counts: list[int]) -> None:
    classes = sum(count > 0 for count in counts)
    assert min(1, classes) - 1e-9 <= effective_number(counts) <= classes + 1e-9


def test_classes_that_share_evenly_count_whole() -> None:
    assert effective_number([7, 7, 7, 0]) == pytest.approx(3)


@given(st.lists(NUMBERS, max_size=60), st.integers(1, 20))
def test_buckets_keep_the_order_and_the_mean(values: list[float], count: int) -> None:
    found = buckets(values, count)
    assert len(found) == min(count, len(values))
    if len(values) <= count:
        assert found == values
    elif len(values) % count == 0:
        assert mean(found) == pytest.approx(mean(values), abs=1e-6)


@given(st.lists(st.sampled_from("abcde"), max_size=9) | st.lists(st.sampled_from("abcde"), min_size=30, max_size=60))
def test_branches_are_counted_over_a_window(branch_ids: list[str]) -> None:
    found = list(effective_branches(branch_ids))
    assert len(found) == len(branch_ids)
    for end, value in enumerate(found, start=1):
        latest = branch_ids[max(0, end - WINDOW) : end]
        assert value == pytest.approx(effective_number(latest.count(one) for one in set(latest)))
