"""Cheat: radii a millionth too large, the tolerance of many evaluators."""

EXPECT = "circles? .* by 1e-06"


def honest():
    """Touching circles on a 5 x 5 grid and one more in the gap between four of them."""
    grid = [[0.1 + 0.2 * i, 0.1 + 0.2 * j, 0.1] for i in range(5) for j in range(5)]
    return [*grid, [0.2, 0.2, 0.04]]


def solve():
    return [[x, y, r + 5e-7] for x, y, r in honest()]
