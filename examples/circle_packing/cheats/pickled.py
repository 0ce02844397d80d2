"""Cheat: an answer that is code to whoever unpickles it."""

EXPECT = "an answer may hold numbers, texts, lists and dicts, not Bomb"


class Bomb:
    def __reduce__(self):
        return print, ("this ran in the grader",)


def solve():
    return Bomb()
