"""Cheat: numbers as texts, for a reader that converts."""

EXPECT = "a coordinate of point 0 is not a finite number"


def honest():
    return [[float(i), float(j)] for i in range(4) for j in range(4)]


def solve():
    return [[str(x), str(y)] for x, y in honest()]
