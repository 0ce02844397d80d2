"""Tell whether a plan is one that was tried: nearly the same words, and exactly the same numbers."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from evolve.agent.brief import Plan
from evolve.graph import Status

LIKENESS = 0.8
"""Share of common words (Jaccard 1912) from which two plans count as nearly the same."""

_WORD = re.compile(r"[^\W\d]\w*")
_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")
_FILLERS = frozenset(
    _WORD.findall(
        "a all an and as at be by can each every for from has have in into is it its more of on or our so than that the"
        " their them then there these this to up use using we when where which will with would"
    )
)


@dataclass(frozen=True, slots=True)
class Tried:
    """A plan that was tried, or is being tried."""

    plan: Plan
    node_id: str | None = None
    """None for a draft that is being written at the same time."""
    status: Status | None = None
    score: float | None = None

    @property
    def title(self) -> str:
        return self.plan.title


@dataclass(frozen=True, slots=True)
class PlanFingerprint:
    """What a plan says it does: its words, and the numbers apart, since another number is another plan."""

    words: frozenset[str]
    numbers: frozenset[float]

    @classmethod
    def of(cls, plan: Plan) -> PlanFingerprint:
        said = [plan.hypothesis, *(text for change in plan.changes for text in (change.where, change.what))]
        text = " ".join(said)
        words = frozenset(word.lower() for word in _WORD.findall(text)) - _FILLERS
        return cls(words, frozenset(map(float, _NUMBER.findall(text))))

    def likeness(self, other: PlanFingerprint) -> float:
        """0 to 1; 0 wherever the numbers differ, or where either has no words."""
        if self.numbers != other.numbers or not (self.words and other.words):
            return 0.0
        return len(self.words & other.words) / len(self.words | other.words)


def twin_of(plan: Plan, tried: Iterable[Tried]) -> Tried | None:
    """The plan most like this one, if it is nearly the same; the first of several."""
    own = PlanFingerprint.of(plan)
    likest = max(tried, key=lambda one: own.likeness(PlanFingerprint.of(one.plan)), default=None)
    if likest is None or own.likeness(PlanFingerprint.of(likest.plan)) < LIKENESS:
        return None
    return likest
