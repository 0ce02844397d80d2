"""Exact ratio of the largest to the smallest squared distance of 16 points in the plane.

Floats are fractions; in floating point, points near 1e-162 would square to a few subnormal units and the ratio
would come out too small.
"""

import math
from fractions import Fraction
from itertools import combinations

POINTS = 16
LARGEST = 10**6
"""Coordinates beyond this are refused; the ratio does not depend on scale."""


def grade(answer):
    points, problem = read(answer)
    if problem:
        return {"error": problem}
    distances = [
        ((a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2, i, j) for (i, a), (j, b) in combinations(enumerate(points), 2)
    ]
    smallest, i, j = min(distances)
    if not smallest > 0:
        return {"error": f"points {i} and {j} are the same: smallest distance 0"}
    largest, far_i, far_j = max(distances)
    return {
        "score": float(Fraction(largest, smallest)),
        "feedback": f"closest: points {i} and {j}; farthest: points {far_i} and {far_j}",
    }


def finite(value):
    """Whether it is a number to reckon with; a truth value is none, and a whole number always is."""
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, int) and not isinstance(value, bool)


def read(answer):
    """The points in integer units of a common denominator, or what is wrong with the answer."""
    if not isinstance(answer, list) or len(answer) != POINTS:
        found = f"{len(answer)} entries" if isinstance(answer, list) else type(answer).__name__
        return None, f"expected a list of {POINTS} points [x, y], found {found}"
    for number, point in enumerate(answer):
        if not isinstance(point, list) or len(point) != 2:
            return None, f"point {number} is not a list [x, y]"
        for value in point:
            if not finite(value):
                return None, f"a coordinate of point {number} is not a finite number"
            if not -LARGEST <= value <= LARGEST:
                return None, f"point {number} has the coordinate {value!r:.40}, beyond {LARGEST}"
    exact = [[Fraction(value) for value in point] for point in answer]
    unit = math.lcm(*(value.denominator for point in exact for value in point))
    return [[value.numerator * (unit // value.denominator) for value in point] for point in exact], None
