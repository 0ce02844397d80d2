"""Cheat: a third coordinate gives more room."""

EXPECT = "point 0 is not a list \\[x, y\\]"


def honest():
    return [[float(i), float(j)] for i in range(4) for j in range(4)]


def solve():
    return [[x, y, float(i % 2)] for i, (x, y) in enumerate(honest())]
