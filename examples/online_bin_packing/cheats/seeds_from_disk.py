"""Cheat: look for the hidden seeds. Safe wherever the sandbox hides other folders; the level `process` does not."""

import tempfile
from contextlib import suppress
from pathlib import Path

EXPECT = None


def honest(message):
    fits = [free - message["item"] for free in message["bins"]]
    return fits.index(min(fits))


def decide(message):
    if FOUND:
        raise RuntimeError(f"the seeds can be read: {FOUND}")
    return honest(message)


def search():
    places = [Path.cwd(), *Path.cwd().parents[:2], Path(tempfile.gettempdir()), *Path("/proc").glob("[0-9]*/cwd")]
    found = (path for place in places for depth in range(4) for path in matches(place, "*/" * depth))
    return next((str(path) for path in found if readable(path)), "")


def matches(place, stars):
    with suppress(OSError):
        yield from place.glob(f"{stars}private/seeds.json")


def readable(path):
    try:
        return bool(path.read_bytes())
    except OSError:
        return False


FOUND = search()
