"""Cheat: radii too large by less than what is repaired."""

EXPECT = None


def honest():
    """Touching circles on a 5 x 5 grid and one more in the gap between four of them."""
    grid = [[0.1 + 0.2 * i, 0.1 + 0.2 * j, 0.09999999999999999] for i in range(5) for j in range(5)]
    return [*grid, [0.2, 0.2, 0.04]]


def solve():
    return [[x, y, r + 4e-10] for x, y, r in honest()]
