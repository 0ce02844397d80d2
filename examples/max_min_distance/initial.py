"""16 points in the plane, the largest distance small against the smallest one: rings around a centre."""

# EVOLVE-BLOCK-START
import math

# Rings of points: how many, distance from the middle, first angle.
RINGS = [
    (1, 0.0, 0.0),
    (5, 1.0, 0.0),
    (10, 2.0, 0.3),
]


def points():
    found = []
    for count, distance, start in RINGS:
        for i in range(count):
            angle = start + 2 * math.pi * i / count
            found.append([distance * math.cos(angle), distance * math.sin(angle)])
    return found


# EVOLVE-BLOCK-END


def solve():
    return points()
