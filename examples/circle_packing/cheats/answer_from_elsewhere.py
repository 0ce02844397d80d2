"""Cheat: make the answer file a link to something else on the machine."""

import os

EXPECT = 'left no answer\\.json'

def solve():
    os.symlink("/proc/self/environ", "answer.json")
    os._exit(0)
