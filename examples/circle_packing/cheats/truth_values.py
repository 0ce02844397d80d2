"""Cheat: truth values are integers to Python: 26 circles of radius True."""

EXPECT = "x of circle 0 is not a finite number"


def solve():
    return [[True, True, True] for _ in range(26)]
