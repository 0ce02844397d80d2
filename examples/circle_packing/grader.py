"""Exact check of 26 circles in the unit square.

Every float is a fraction whose denominator is a power of two, so that one common denominator turns the whole
answer into integers. There is no tolerance: where circles overlap or stick out by at most REPAIRABLE, all radii are
shrunk until the exact check passes, which takes away more than the violation was worth.
"""

import math
from fractions import Fraction
from itertools import combinations

CIRCLES = 26
REPAIRABLE = Fraction(1, 10**9)
SHIFT = 80
"""Distances are rounded down to multiples of 2**-SHIFT of the common denominator's unit where one is needed."""


def grade(answer):
    circles, problem = read(answer)
    if problem:
        return {"error": problem}
    unit, circles = to_integers(circles)
    violation, where = worst(unit, circles)
    if violation > REPAIRABLE:
        return {"error": f"{where} by {float(violation):.3g}; nothing above {float(REPAIRABLE):g} is repaired"}
    if violation > 0:
        unit, circles = shrink(unit, circles, violation)
    if not fits(unit, circles):
        return {"error": f"{where} by {float(violation):.3g}, and shrinking all radii by that does not help"}
    total = Fraction(sum(r for _, _, r in circles), unit)
    repaired = f"{where} by {float(violation):.3g}: all radii were reduced by that" if violation > 0 else ""
    return {"score": float(total), "feedback": repaired}


def finite(value):
    """Whether it is a number to reckon with; a truth value is none, and a whole number always is."""
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, int) and not isinstance(value, bool)


def read(answer):
    """The circles as fractions, or what is wrong with the answer."""
    if not isinstance(answer, list) or len(answer) != CIRCLES:
        found = f"{len(answer)} entries" if isinstance(answer, list) else type(answer).__name__
        return None, f"expected a list of {CIRCLES} circles [x, y, r], found {found}"
    circles = []
    for number, circle in enumerate(answer):
        if not isinstance(circle, list) or len(circle) != 3:
            return None, f"circle {number} is not a list [x, y, r]"
        for name, value in zip("xyr", circle, strict=True):
            if not finite(value):
                return None, f"{name} of circle {number} is not a finite number"
            if not 0 <= value <= 1:
                return None, f"{name} of circle {number} is {value!r:.40}, outside [0, 1]"
        circles.append([Fraction(value) for value in circle])
    return circles, None


def to_integers(circles):
    """The same circles in units of 1 / unit."""
    unit = math.lcm(*(value.denominator for circle in circles for value in circle))
    return unit, [[value.numerator * (unit // value.denominator) for value in circle] for circle in circles]


def fits(unit, circles):
    """The exact check: inside the square, radii not negative, no two overlapping."""
    inside = all(0 <= r <= min(x, y, unit - x, unit - y) for x, y, r in circles)
    return inside and all(disjoint(a, b) for a, b in combinations(circles, 2))


def disjoint(a, b):
    return (a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2 >= (a[2] + b[2]) ** 2


def worst(unit, circles):
    """The largest violation, as a length not below the true one, and where it is; 0 where nothing is violated."""
    found = [(Fraction(0), "")]
    for number, (x, y, r) in enumerate(circles):
        excess = r - min(x, y, unit - x, unit - y)
        if excess > 0:
            found.append((Fraction(excess, unit), f"circle {number} sticks out"))
    for (i, a), (j, b) in combinations(enumerate(circles), 2):
        if not disjoint(a, b):
            square = (a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2
            distance = Fraction(math.isqrt(square << 2 * SHIFT), 1 << SHIFT)
            found.append(((a[2] + b[2] - distance) / unit, f"circles {i} and {j} overlap"))
    return max(found, key=lambda item: item[0])


def shrink(unit, circles, by):
    """All radii smaller by the same length, none below zero."""
    return to_integers(
        [[Fraction(x, unit), Fraction(y, unit), max(Fraction(r, unit) - by, Fraction(0))] for x, y, r in circles]
    )
