"""Cheat: NaN as a decision."""

EXPECT = "reply 1 is nan, not a finite number"


def decide(_):
    return float("nan")
