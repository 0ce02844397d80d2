"""26 circles in the unit square: two rings around a centre, radii as large as they get."""

# EVOLVE-BLOCK-START
import math

# Rings of circle centres: how many, middle x, middle y, distance from the middle, first angle.
RINGS = [
    (1, 0.5, 0.5, 0.0, 0.0),
    (8, 0.5, 0.5, 0.3, 0.0),
    (16, 0.5, 0.5, 0.7, 0.0),
    (1, 0.0, 0.0, 0.0, 0.0),
]
MARGIN = 0.01


def centres():
    """26 points, none closer to the border than the margin."""
    points = []
    for count, middle_x, middle_y, distance, start in RINGS:
        for i in range(count):
            angle = start + 2 * math.pi * i / count
            x = middle_x + distance * math.cos(angle)
            y = middle_y + distance * math.sin(angle)
            points.append((min(max(x, MARGIN), 1 - MARGIN), min(max(y, MARGIN), 1 - MARGIN)))
    return points


def radii(points):
    """Start from the walls; wherever two circles overlap, shrink both in proportion."""
    sizes = [min(x, y, 1 - x, 1 - y) for x, y in points]
    for i, (x, y) in enumerate(points):
        for j in range(i):
            gap = math.hypot(x - points[j][0], y - points[j][1])
            total = sizes[i] + sizes[j]
            if total > gap:
                scale = gap / total
                sizes[i] *= scale
                sizes[j] *= scale
    return sizes


def pack():
    """A list of 26 circles [x, y, r]."""
    points = centres()
    return [[x, y, r] for (x, y), r in zip(points, radii(points), strict=True)]


# EVOLVE-BLOCK-END


def solve():
    return pack()
