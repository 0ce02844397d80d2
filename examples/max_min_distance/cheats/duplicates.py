"""Cheat: equal points: the smallest distance is 0."""

EXPECT = "points 0 and 1 are the same: smallest distance 0"


def solve():
    return [[0.0, 0.0] for _ in range(16)]
