"""Cheat: an answer that is code to whoever unpickles it."""

EXPECT = "what solve.. returns is no plain data: .*, not Bomb"


class Bomb:
    def __reduce__(self):
        return print, ("this ran in the grader",)


def solve():
    return Bomb()
