"""Cheat: brackets deep enough to overflow a recursive reader."""

EXPECT = 'nested more than 64 deep'

def solve():
    with open("answer.json", "w") as file:
        file.write("[" * 500000 + "]" * 500000)
    raise SystemExit(0)
