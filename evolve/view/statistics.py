"""Statistics of paired comparisons, in plain Python. Knows nothing of runs."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True, slots=True)
class Interval:
    low: float
    high: float


def mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def median(values: Sequence[float]) -> float:
    """Infinite values are allowed: they stand for what was never reached."""
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def effective_number(counts: Iterable[int]) -> float:
    """exp(H): how many equally large classes would be as spread out as these (Hill number of order 1; Hill 1973).

    1 when all is in one class, k when k share it evenly, 0 when there is nothing.
    """
    present = [count for count in counts if count]
    total = sum(present)
    return math.exp(-sum(count / total * math.log(count / total) for count in present)) if total else 0.0


def sign_test(wins: int, losses: int) -> float:
    """Exact two-sided p of the sign test: how likely so lopsided a split is, were both outcomes equally likely.

    Ties are left out by the caller (Dixon & Mood 1946). 1 where nothing was won or lost.
    """
    n = wins + losses
    tail = sum(math.comb(n, k) for k in range(max(wins, losses), n + 1))
    return min(1.0, 2 * tail / (1 << n))


def bootstrap_mean(values: Sequence[float], *, level: float = 0.95, resamples: int = 10_000, seed: int = 0) -> Interval:
    """Percentile bootstrap interval of the mean (Efron & Tibshirani 1993, chapter 13); the same for the same seed.

    `values` are the differences of pairs, at least one. With few of them the interval is too narrow: say so.
    """
    rng = random.Random(seed)
    means = sorted(mean(rng.choices(values, k=len(values))) for _ in range(resamples))
    cut = (1 - level) / 2
    return Interval(_quantile(means, cut), _quantile(means, 1 - cut))


def buckets(values: Sequence[float], count: int) -> list[float]:
    """The series in at most `count` parts of nearly equal length, each as its mean."""
    parts = min(count, len(values))
    edges = [len(values) * part // parts for part in range(parts + 1)] if parts else [0]
    return [mean(values[start:end]) for start, end in pairwise(edges)]


def _quantile(ordered: Sequence[float], share: float) -> float:
    """By linear interpolation between the neighbours."""
    position = share * (len(ordered) - 1)
    below = math.floor(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (position - below) * (ordered[above] - ordered[below])
