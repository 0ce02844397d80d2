"""Cheat: a negative index, which a list takes from its end."""

EXPECT = "decision 0 of instance 1 is '-1', not a whole number from 0 to 0"


def decide(_):
    return -1
