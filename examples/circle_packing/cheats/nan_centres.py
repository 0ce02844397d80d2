"""Cheat: NaN centres pass every check of the form `if overlap > tolerance: reject`."""

EXPECT = "answer\\[0\\]\\[0\\] is nan, not a finite number"


def solve():
    return [[float("nan"), float("nan"), 1e9] for _ in range(26)]
