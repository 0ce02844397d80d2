"""Means, ratios and their uncertainty over seeds. Percentile bootstrap (Efron 1979), seeded, so that a table repeats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

RESAMPLES = 4000


@dataclass(frozen=True, slots=True)
class Estimate:
    value: float
    low: float
    high: float
    """Bounds of the 95 % interval."""

    def words(self, digits: int) -> str:
        return f"{self.value:.{digits}f} ({self.low:.{digits}f} to {self.high:.{digits}f})"


def mean(values: Sequence[float]) -> Estimate:
    """Over the seeds."""
    array = np.asarray(values, dtype=float)
    return _estimate(float(array.mean()), array[_draws(len(array))].mean(axis=1))


def ratio(mine: Sequence[float], theirs: Sequence[float]) -> Estimate:
    """Of the means; seeds are drawn in pairs, since both searched the same instance."""
    ours, base = np.asarray(mine, dtype=float), np.asarray(theirs, dtype=float)
    draws = _draws(len(ours))
    return _estimate(float(ours.mean() / base.mean()), ours[draws].mean(axis=1) / base[draws].mean(axis=1))


def median_ratio(mine: Sequence[Sequence[float]], theirs: Sequence[Sequence[float]]) -> Estimate:
    """Median over landscapes of the ratio of the means.

    A seed is drawn for all landscapes together, since its author believes much the same on each.
    """
    ours, base = np.asarray(mine, dtype=float), np.asarray(theirs, dtype=float)
    draws = _draws(ours.shape[1])
    resampled = ours[:, draws].mean(axis=2) / base[:, draws].mean(axis=2)
    return _estimate(float(np.median(ours.mean(axis=1) / base.mean(axis=1))), np.median(resampled, axis=0))


def _estimate(value: float, resampled: np.ndarray) -> Estimate:
    low, high = np.quantile(resampled, (0.025, 0.975))
    return Estimate(value, float(low), float(high))


@lru_cache
def _draws(seeds: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, seeds, (RESAMPLES, seeds))
