"""Cheat: look for the hidden seeds. Safe wherever the sandbox hides other folders; the level `process` does not."""

import glob
import tempfile

EXPECT = None

def honest(message):
    fits = [free - message["item"] for free in message["bins"]]
    return fits.index(min(fits))


def decide(message):
    if message["item"] and FOUND:
        raise RuntimeError(f"the seeds can be read: {FOUND}")
    return honest(message)


def search():
    places = [".", "..", "../..", tempfile.gettempdir(), *glob.glob("/proc/[0-9]*/cwd")]
    patterns = ("private/seeds.json", "*/private/seeds.json", "*/*/private/seeds.json", "*/*/*/private/seeds.json")
    return [path for place in places for pattern in patterns for path in glob.glob(f"{place}/{pattern}") if readable(path)]


def readable(path):
    try:
        with open(path) as file:
            return bool(file.read())
    except OSError:
        return False


FOUND = search()
