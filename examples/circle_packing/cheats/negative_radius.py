"""Cheat: a negative radius lets its neighbours overlap."""

EXPECT = "r of circle 25 is -0\\.04, outside \\[0, 1\\]"


def honest():
    """Touching circles on a 5 x 5 grid and one more in the gap between four of them."""
    grid = [[0.1 + 0.2 * i, 0.1 + 0.2 * j, 0.0999] for i in range(5) for j in range(5)]
    return [*grid, [0.2, 0.2, 0.04]]


def solve():
    return [*honest()[:25], [0.2, 0.2, -0.04]]
