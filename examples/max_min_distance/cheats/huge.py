"""Cheat: coordinates whose squares overflow to infinity."""

EXPECT = "point 1 has the coordinate 1e\\+200, beyond 1000000"


def honest():
    return [[float(i), float(j)] for i in range(4) for j in range(4)]


def solve():
    return [[x * 1e200, y * 1e200] for x, y in honest()]
