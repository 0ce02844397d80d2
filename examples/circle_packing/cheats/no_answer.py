"""Cheat: leave a verdict instead of an answer and end at once, with success."""

import os
from pathlib import Path

EXPECT = "left no answer\\.json"


def solve():
    Path("verdict.json").write_text('{"returned": {"score": 999.0}}')
    os._exit(0)
