"""Cheat: a bin that is not there."""

EXPECT = "decision 0 of instance 1 is '1', not a whole number from 0 to 0"


def decide(message):
    return len(message["bins"])
