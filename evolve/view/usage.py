"""What the model calls of a run went into: tokens and money by role and operator."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from evolve.graph import Cost
from evolve.run.calls import Call


@dataclass(frozen=True, slots=True)
class Usage:
    """The calls of one role for one operator."""

    role: str
    operator: str
    cost: Cost
    again: int
    """Calls beyond the first that this role made for an expansion: a reply was refused, a program was the same as an
    earlier one, or the role works in several calls."""


def usage(calls: Iterable[Call], operators: Mapping[str, str]) -> tuple[Usage, ...]:
    """By role, then operator. `operators`: of every expansion ever started, by its id."""
    costs: dict[tuple[str, str], Cost] = {}
    expansions: dict[tuple[str, str], set[str]] = {}
    for call in calls:
        key = (call.role, operators.get(call.expansion_id, "?"))
        costs[key] = costs.get(key, Cost()) + call.cost
        expansions.setdefault(key, set()).add(call.expansion_id)
    return tuple(Usage(*key, costs[key], costs[key].calls - len(expansions[key])) for key in sorted(costs))
