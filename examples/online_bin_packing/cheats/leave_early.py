"""Cheat: end with success before the expensive items come."""

import os

EXPECT = "no reply to question 11: the program ended by itself"


def honest(message):
    fits = [free - message["item"] for free in message["bins"]]
    return fits.index(min(fits))


COUNT = 0


def decide(message):
    global COUNT
    COUNT += 1
    if COUNT > 10:
        os._exit(0)
    return honest(message)
