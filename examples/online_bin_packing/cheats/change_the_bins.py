"""Cheat: enlarge the bins of the message. They are a copy: the grader keeps its own."""

EXPECT = None


def honest(message):
    fits = [free - message["item"] for free in message["bins"]]
    return fits.index(min(fits))


def decide(message):
    choice = honest(message)
    message["bins"][:] = [message["capacity"]] * 1000
    message["item"] = 0
    return choice
