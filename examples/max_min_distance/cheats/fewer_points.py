"""Cheat: three points on a triangle: ratio 1."""

EXPECT = "expected a list of 16 points .* found 3 entries"


def solve():
    return [[0.0, 0.0], [1.0, 0.0], [0.5, 0.75**0.5]]
