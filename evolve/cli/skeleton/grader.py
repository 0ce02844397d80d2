"""Scores answers. It runs where no candidate can reach it and takes an answer as data: check it, then measure it."""

import math

POINTS = 1001


def grade(answer: object) -> dict[str, object]:
    """The answer is what `solve()` returned. Refuse what breaks the rules, with a reason the next author can use."""
    if not isinstance(answer, list) or len(answer) != 6:
        return {"error": "expected a list of 6 coefficients"}
    if not all(isinstance(number, int | float) and math.isfinite(number) for number in answer):
        return {"error": "every coefficient must be a finite number"}
    error, at = max((abs(value(answer, x) - math.sin(x)), x) for x in grid())
    return {"score": error, "feedback": f"the largest error is {error:.3g}, at x = {at:.3f}"}


def grid() -> list[float]:
    return [math.pi * index / (POINTS - 1) for index in range(POINTS)]


def value(coefficients: list[float], x: float) -> float:
    total = 0.0
    for coefficient in reversed(coefficients):
        total = total * x + coefficient
    return total
