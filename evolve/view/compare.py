"""Runs beside each other: grouped by what differs in their settings, paired by seed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from evolve.errors import ConfigError
from evolve.graph import Direction
from evolve.run.rundir import RunDir
from evolve.view.grouping import Settings, flatten, labels
from evolve.view.statistics import Interval, bootstrap_mean, mean, median, sign_test
from evolve.view.summary import Summary, summarise
from evolve.view.text import BUDGET_KEYS, one_line, score, table

FEWEST_PAIRS = 5
"""With fewer nothing is concluded: even five wins out of five happen by chance once in sixteen."""
SIGNIFICANT = 0.05


@dataclass(frozen=True, slots=True)
class Entry:
    """One run: its settings, and what came of it."""

    settings: Settings
    task_digest: str | None
    summary: Summary

    @property
    def seed(self) -> int:
        return int(self.settings["seed"])

    @property
    def best(self) -> float | None:
        return self.summary.best.score if self.summary.best else None


@dataclass(frozen=True, slots=True)
class Group:
    """Runs that differ in nothing but seed and name."""

    label: str
    entries: tuple[Entry, ...]

    @property
    def scores(self) -> list[float]:
        """Best score of every run that has one."""
        return [entry.best for entry in self.entries if entry.best is not None]


@dataclass(frozen=True, slots=True)
class Row:
    """A group in numbers."""

    label: str
    runs: int
    unscored: int
    """Runs without any valid program; means and medians are of the others."""
    best_mean: float | None
    best_median: float | None
    evaluations: float
    """Mean over the runs."""
    tokens: float
    """Mean over the runs."""
    reached: int
    """Runs that came to the target."""
    to_target: float | None
    """Median over all runs of the evaluations it took; None where half of them or more never came to it."""


@dataclass(frozen=True, slots=True)
class Pairing:
    """The first group against another, over the seeds that both have."""

    label: str
    against: str
    pairs: int
    difference: float | None
    """Mean of the differences of the best scores, more is better for the first; None where a run of a pair has none."""
    interval: Interval | None
    """95 % of the mean difference."""
    wins: int
    ties: int
    losses: int
    p: float | None
    """Two-sided, of the sign test."""
    verdict: str


@dataclass(frozen=True, slots=True)
class Comparison:
    direction: Direction
    target: float | None
    rows: tuple[Row, ...]
    pairings: tuple[Pairing, ...]
    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def read_entry(run: RunDir) -> Entry:
    """Raises ConfigError, RunNotFound, JournalCorrupt, SchemaTooNew."""
    digest = run.read_manifest().get("task_digest")
    return Entry(flatten(run.load().config.model_dump(mode="json")), digest, summarise(run))


def compare(entries: Sequence[Entry], target: float | None = None) -> Comparison:
    """Groups in the order of their first runs; the first one is compared with each of the others.

    `target` is the score that evaluations are counted to; unless given, the worst group's median best.
    Raises ConfigError where the runs do not solve the same task.
    """
    first = entries[0].summary
    for entry in entries:
        if (entry.summary.task, entry.summary.direction) != (first.task, first.direction):
            raise ConfigError(
                f"{entry.summary.run.name}: solves {one_line(entry.summary.task)} ({entry.summary.direction}), "
                f"but {first.run.name} solves {one_line(first.task)} ({first.direction})",
                hint="compare runs of one task",
            )
    sign = 1 if first.direction == "maximize" else -1
    groups = group(entries)
    goal = target if target is not None else _common_target(groups, sign)
    return Comparison(
        first.direction,
        goal,
        tuple(_row(one, goal, sign) for one in groups),
        tuple(_pair(groups[0], other, sign) for other in groups[1:]),
        tuple(_notes(entries)),
    )


def group(entries: Sequence[Entry]) -> list[Group]:
    named: dict[str, list[Entry]] = {}
    for entry, label in zip(entries, labels([entry.settings for entry in entries]), strict=True):
        named.setdefault(label, []).append(entry)
    return [Group(label, tuple(members)) for label, members in named.items()]


def comparison_lines(found: Comparison) -> Iterator[str]:
    """What `evolve compare` says."""
    target = "target" if found.target is None else f"to {score(found.target)}"
    yield from table(
        ("group", "runs", "best mean", "best median", "evaluations", "tokens", target, "reached"),
        [_row_cells(row) for row in found.rows],
    )
    if found.pairings:
        yield ""
        yield f"{one_line(found.pairings[0].label)} against"
        yield from table(
            ("group", "pairs", "mean difference", "95 % interval", "wins/ties/losses", "p", "so it is"),
            [_pairing_cells(pairing) for pairing in found.pairings],
        )
    if len(found.pairings) > 1:
        yield f"note     {len(found.pairings)} comparisons; no p is corrected for that"
    for note in found.notes:
        yield f"note     {one_line(note)}"


def _common_target(groups: Iterable[Group], sign: int) -> float | None:
    """The median best of the worst group; the lesser of two middle ones, so that half of its scored runs came to it."""
    medians = [sorted(sign * best for best in one.scores)[(len(one.scores) - 1) // 2] for one in groups if one.scores]
    return sign * min(medians) if medians else None


def _row(one: Group, target: float | None, sign: int) -> Row:
    scores = one.scores
    taken = [_evaluations_to(target, entry.summary, sign) for entry in one.entries]
    middle = median(taken)
    return Row(
        label=one.label,
        runs=len(one.entries),
        unscored=len(one.entries) - len(scores),
        best_mean=mean(scores) if scores else None,
        best_median=median(scores) if scores else None,
        evaluations=mean([entry.summary.evaluations for entry in one.entries]),
        tokens=mean([entry.summary.cost.tokens for entry in one.entries]),
        reached=sum(map(math.isfinite, taken)),
        to_target=middle if math.isfinite(middle) else None,
    )


def _evaluations_to(target: float | None, summary: Summary, sign: int) -> float:
    """Infinite where the run never came to it."""
    if target is None:
        return math.inf
    reached = (one.evaluations for one in summary.improvements if sign * one.score >= sign * target)
    return next(reached, math.inf)


def _pair(first: Group, other: Group, sign: int) -> Pairing:
    mine, theirs = _by_seed(first, sign), _by_seed(other, sign)
    shared = sorted(mine.keys() & theirs.keys())
    wins = sum(mine[seed] > theirs[seed] for seed in shared)
    losses = sum(mine[seed] < theirs[seed] for seed in shared)
    scored = bool(shared) and all(math.isfinite(mine[seed] + theirs[seed]) for seed in shared)
    differences = [mine[seed] - theirs[seed] for seed in shared] if scored else []
    enough = len(shared) >= FEWEST_PAIRS
    interval = bootstrap_mean(differences) if enough and differences else None
    p = sign_test(wins, losses) if enough else None
    return Pairing(
        label=first.label,
        against=other.label,
        pairs=len(shared),
        difference=mean(differences) if differences else None,
        interval=interval,
        wins=wins,
        ties=len(shared) - wins - losses,
        losses=losses,
        p=p,
        verdict=_verdict(wins, losses, p, interval),
    )


def _by_seed(one: Group, sign: int) -> dict[int, float]:
    """Best score by seed, more is better; several runs of a seed count by their mean, and none at all as the worst."""
    found: dict[int, list[float]] = {}
    for entry in one.entries:
        found.setdefault(entry.seed, []).append(-math.inf if entry.best is None else sign * entry.best)
    return {seed: mean(values) for seed, values in found.items()}


def _verdict(wins: int, losses: int, p: float | None, interval: Interval | None) -> str:
    """A difference is told only when the sign test shows it and the interval, where there is one, agrees."""
    if p is None:
        return "too few to tell"
    better = wins > losses
    agrees = interval is None or (interval.low > 0 if better else interval.high < 0)
    if p >= SIGNIFICANT or not agrees:
        return "not told apart"
    return "better" if better else "worse"


def _notes(entries: Sequence[Entry]) -> Iterator[str]:
    if len({entry.task_digest for entry in entries}) > 1:
        yield "the task's files are not the same in all runs; their scores may not be comparable"
    for entry in entries:
        if entry.summary.state not in BUDGET_KEYS:
            yield f"{entry.summary.run.name}: {entry.summary.state} after {entry.summary.nodes} nodes"


def _row_cells(row: Row) -> tuple[str, ...]:
    return (
        one_line(row.label),
        f"{row.runs}" + (f" ({row.unscored} without a score)" if row.unscored else ""),
        _number(row.best_mean),
        _number(row.best_median),
        f"{row.evaluations:.4g}",
        f"{row.tokens:,.0f}",
        "-" if row.to_target is None else f"{row.to_target:g}",
        f"{row.reached}/{row.runs}",
    )


def _pairing_cells(pairing: Pairing) -> tuple[str, ...]:
    interval = pairing.interval
    return (
        one_line(pairing.against),
        str(pairing.pairs),
        "-" if pairing.difference is None else f"{pairing.difference:+.4g}",
        f"{interval.low:+.4g} to {interval.high:+.4g}" if interval else "-",
        f"{pairing.wins}/{pairing.ties}/{pairing.losses}",
        "-" if pairing.p is None else f"{pairing.p:.3g}",
        pairing.verdict,
    )


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.6g}"
