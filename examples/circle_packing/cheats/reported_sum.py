"""Cheat: report a sum and hope it is believed."""

EXPECT = "expected a list of 26 .* found dict"


def honest():
    """Touching circles on a 5 x 5 grid and one more in the gap between four of them."""
    grid = [[0.1 + 0.2 * i, 0.1 + 0.2 * j, 0.0999] for i in range(5) for j in range(5)]
    return [*grid, [0.2, 0.2, 0.04]]


def solve():
    return {"circles": honest(), "score": 26.0, "combined_score": 26.0, "valid": True}
