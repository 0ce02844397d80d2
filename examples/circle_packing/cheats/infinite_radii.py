"""Cheat: infinite radii."""

EXPECT = "answer\\[0\\]\\[2\\] is inf, not a finite number"


def solve():
    return [[0.5, 0.5, float("inf")] for _ in range(26)]
