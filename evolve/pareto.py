"""Which of several solutions are worth keeping when there is more than one objective."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

Point = tuple[float, ...]
"""One value an objective, turned so that more is better."""


def dominates(one: Point, other: Point) -> bool:
    """At least as good everywhere and better somewhere."""
    return one != other and all(a >= b for a, b in zip(one, other, strict=True))


@dataclass(frozen=True, slots=True)
class Member:
    id: str
    point: Point


class Fronts:
    """The first few Pareto fronts (Goldberg 1989: rank 0 is dominated by nothing, rank 1 by rank 0 only, ...).

    Only `depth` fronts are kept, so that adding a solution costs their size and not that of the run.
    """

    def __init__(self, depth: int = 3) -> None:
        self._fronts: list[list[Member]] = [[] for _ in range(depth)]

    def add(self, node_id: str, point: Point) -> None:
        """Equal points share a front."""
        pushed = [Member(node_id, point)]
        for front in self._fronts:
            pushed = _settle(front, pushed)
            if not pushed:
                return

    def front(self, rank: int = 0) -> list[str]:
        """Ids of one front, in the order they came to it."""
        return [member.id for member in self._fronts[rank]]

    def ranked(self) -> list[list[str]]:
        """Every front that is kept, best first."""
        return [self.front(rank) for rank in range(len(self._fronts))]


def _settle(front: list[Member], arriving: Sequence[Member]) -> list[Member]:
    """Put into the front what nothing in it dominates; what it cannot hold moves to the next one."""
    entering = [new for new in arriving if not any(dominates(old.point, new.point) for old in front)]
    beaten = [old for old in front if any(dominates(new.point, old.point) for new in entering)]
    turned_away = [new for new in arriving if new not in entering]
    front[:] = [*(old for old in front if old not in beaten), *entering]
    return [*beaten, *turned_away]
