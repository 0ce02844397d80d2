"""Cheat: points so near that squared distances underflow in floating point. Exact, so the score is that of the grid."""

EXPECT = None


def honest():
    return [[float(i), float(j)] for i in range(4) for j in range(4)]


def solve():
    return [[x * 2.0**-538, y * 2.0**-538] for x, y in honest()]
