"""Cheat: brackets deep enough to overflow a recursive reader."""

from pathlib import Path

EXPECT = "nested more than 64 deep"


def solve():
    Path("answer.json").write_text("[" * 400000 + "]" * 400000)
    raise SystemExit(0)
