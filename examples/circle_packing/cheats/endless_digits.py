"""Cheat: a number so long that reading it costs more than grading."""

EXPECT = 'a number of 1500000 digits'

def solve():
    with open("answer.json", "w") as file:
        file.write("[" + "9" * 1500000 + "]")
    raise SystemExit(0)
