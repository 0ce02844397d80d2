"""Cheat: report a ratio and hope it is believed."""

EXPECT = "expected a list of 16 points .* found dict"


def honest():
    return [[float(i), float(j)] for i in range(4) for j in range(4)]


def solve():
    return {"points": honest(), "score": 1.0, "error": "", "valid": True}
