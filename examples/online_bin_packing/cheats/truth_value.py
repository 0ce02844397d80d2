"""Cheat: False is 0 to Python, but no index."""

EXPECT = "decision 0 of instance 1 is 'False'"


def decide(_):
    return False
