"""The mathematics of the shipped graders, called directly: exact, positive checks, named violations."""

from __future__ import annotations

import importlib.util
import math
import time
from fractions import Fraction
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

EXAMPLES = Path(__file__).parents[2] / "examples"
unit_floats = st.floats(0, 1)


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"{name}_grader", EXAMPLES / name / "grader.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


CIRCLES = load("circle_packing")
POINTS = load("max_min_distance")
BINS = load("online_bin_packing")


def grid(radius: float, last: float = 0.02) -> list[list[float]]:
    cells = [[(2 * i + 1) / 10, (2 * j + 1) / 10, radius] for i in range(5) for j in range(5)]
    return [*cells, [0.2, 0.2, last]]


@given(st.lists(st.tuples(unit_floats, unit_floats, st.floats(0, 0.02)), min_size=26, max_size=26))
def test_what_scores_really_is_a_packing_and_never_scores_more_than_its_radii(circles: list[tuple[float, ...]]) -> None:
    verdict = CIRCLES.grade([list(circle) for circle in circles])
    exact = [tuple(map(Fraction, circle)) for circle in circles]
    violated = max(
        *(r - min(x, y, 1 - x, 1 - y) for x, y, r in exact),
        *(
            float(a[2] + b[2]) - math.hypot(float(a[0] - b[0]), float(a[1] - b[1]))
            for i, a in enumerate(exact)
            for b in exact[:i]
        ),
    )
    if "score" in verdict:
        assert violated <= 1.1e-9
        assert verdict["score"] <= math.fsum(r for *_, r in circles)
    else:
        assert violated > 0.9e-9
        assert " by " in verdict["error"]


@pytest.mark.parametrize("excess", [1e-17, 1e-13, 4.9e-10])
def test_a_tiny_overlap_is_repaired_at_a_loss(excess: float) -> None:
    """Ten circles of radius 0.1 + excess in a row overlap; the repaired row must be worth less than the honest one."""
    honest = CIRCLES.grade(grid(0.0999999))["score"]
    verdict = CIRCLES.grade(grid(0.1 + excess))
    assert honest < verdict["score"] <= 2.52
    assert "all radii were reduced" in verdict["feedback"]


def test_a_violation_is_named_with_its_size() -> None:
    assert CIRCLES.grade(grid(0.1 + 1e-6))["error"].endswith("by 2e-06; nothing above 1e-09 is repaired")
    assert CIRCLES.grade(grid(0.09, 0.06))["error"].startswith("circles 6 and 25 overlap by 0.00858")
    wall = [[0.5, 0.5, 0.1], [0.05, 0.05, 0.06], *([[0.9, 0.9, 0.0]] * 24)]
    assert CIRCLES.grade(wall)["error"].startswith("circle 1 sticks out by 0.01")


def test_subnormal_numbers_do_no_harm() -> None:
    circles = [[5e-324, 5e-324, 5e-324], *grid(0.0999)[1:]]
    assert CIRCLES.grade(circles)["score"] == pytest.approx(24 * 0.0999 + 0.02)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (None, "found NoneType"),
        ("26 circles", "found str"),
        ([[0, 0, 0]] * 25, "found 25 entries"),
        ([[0, 0]] * 26, "circle 0 is not a list"),
        ([{"x": 0}] * 26, "circle 0 is not a list"),
        ([[0, 0, "0"]] * 26, "r of circle 0 is not a finite number"),
        ([[0, 0, None]] * 26, "r of circle 0 is not a finite number"),
        ([[math.nan, 0, 0]] * 26, "x of circle 0 is not a finite number"),
        ([[0, math.inf, 0]] * 26, "y of circle 0 is not a finite number"),
        ([[0, 10**400, 0]] * 26, "y of circle 0"),
        ([[0, 0, -5e-324]] * 26, "outside [0, 1]"),
        ([[0, True, 0]] * 26, "y of circle 0 is not a finite number"),
    ],
)
def test_only_26_circles_of_finite_numbers_are_an_answer(answer: object, reason: str) -> None:
    verdict = CIRCLES.grade(answer)
    assert reason in verdict["error"]
    assert "score" not in verdict


def test_a_packing_is_graded_within_ten_milliseconds() -> None:
    circles = grid(0.0999999999)
    CIRCLES.grade(circles)
    began = time.process_time()
    for _ in range(5):
        CIRCLES.grade(circles)
    assert (time.process_time() - began) / 5 < 0.010


coordinates = st.integers(-1000, 1000)


@given(
    st.lists(st.tuples(coordinates, coordinates), min_size=16, max_size=16, unique=True),
    st.integers(-900, 9),
)
def test_the_ratio_does_not_depend_on_scale(points: list[tuple[int, int]], exponent: int) -> None:
    """In floating point it does, near 1e-162 and below."""
    scaled = [[math.ldexp(x, exponent), math.ldexp(y, exponent)] for x, y in points]
    squares = [(a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2 for i, a in enumerate(points) for b in points[:i]]
    assert POINTS.grade(scaled)["score"] == float(Fraction(max(squares), min(squares)))


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ({}, "found dict"),
        ([[0, 0]] * 17, "found 17 entries"),
        ([[0, 0, 0]] * 16, "point 0 is not a list [x, y]"),
        ([[0, False]] * 16, "point 0 is not a finite number"),
        ([[math.nan, 0]] * 16, "point 0 is not a finite number"),
        ([[10**400, 0]] * 16, "point 0"),
        ([[0, 1e300]] * 16, "beyond 1000000"),
        ([[0, 0]] * 16, "points 0 and 1 are the same"),
    ],
)
def test_only_16_distinct_points_are_an_answer(answer: object, reason: str) -> None:
    verdict = POINTS.grade(answer)
    assert reason in verdict["error"]
    assert "score" not in verdict


def test_instances_depend_on_nothing_but_their_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(EXAMPLES / "online_bin_packing")
    seen: list[list[object]] = []
    for _ in range(2):
        messages: list[object] = []
        seen.append(messages)

        def first_fit(message: dict[str, object], messages: list[object] = messages) -> int:
            messages.append(message)
            return 0

        verdict = BINS.interact(SimpleNamespace(ask=first_fit))
        assert 5.19 < verdict["score"] < 5.21
    assert seen[0] == seen[1]
    assert len(seen[0]) == 5000


@given(
    st.lists(st.integers(1, 100), min_size=1, max_size=60),
    st.randoms(use_true_random=False),
)
def test_no_bin_ever_holds_more_than_it_can(items: list[int], rng) -> None:
    def anyhow(message: dict[str, list[int]]) -> int:
        assert all(free >= message["item"] for free in message["bins"])
        return rng.randrange(len(message["bins"]))

    bins, problem = BINS.pack(items, 100, 1, SimpleNamespace(ask=anyhow))
    assert problem is None
    assert all(0 <= free < 100 for free in bins)
    assert sum(100 - free for free in bins) == sum(items)
