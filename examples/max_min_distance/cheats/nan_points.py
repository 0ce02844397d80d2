"""Cheat: NaN coordinates."""

EXPECT = "answer\\[0\\]\\[0\\] is nan, not a finite number"


def solve():
    return [[float("nan"), 0.0] for _ in range(16)]
