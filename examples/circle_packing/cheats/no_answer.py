"""Cheat: leave a verdict instead of an answer and end at once, with success."""

import os

EXPECT = 'left no answer\\.json'

def solve():
    with open("verdict.json", "w") as file:
        file.write('{"returned": {"score": 999.0}}')
    os._exit(0)
