"""Cheat: make the answer file a link to something else on the machine."""

import os
from pathlib import Path

EXPECT = "left no answer\\.json"


def solve():
    Path("answer.json").symlink_to("/proc/self/environ")
    os._exit(0)
