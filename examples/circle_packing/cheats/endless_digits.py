"""Cheat: a number so long that reading it costs more than grading."""

from pathlib import Path

EXPECT = "a number of 400000 digits"


def solve():
    Path("answer.json").write_text("[" + "9" * 400000 + "]")
    raise SystemExit(0)
