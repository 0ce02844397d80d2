"""Tables and a plot of finished trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Literal

from benchmarks.search import statistics
from benchmarks.search.statistics import Estimate
from benchmarks.search.trial import Trial

PANEL_W, PANEL_H, GAP = 250, 170, 46
COLOURS = ("#c0392b", "#2471a3", "#239b56", "#9a7d0a", "#7d3c98", "#5d6d7e", "#d35400", "#117a65")


@dataclass(frozen=True, slots=True)
class Results:
    """Trials by landscape and entrant, one a seed and in the same order of seeds."""

    trials: Mapping[str, Mapping[str, Sequence[Trial]]]
    targets: Mapping[str, float]
    steps: int
    baselines: Sequence[str]

    unit: Literal["evaluations", "steps"] = "evaluations"
    """What is counted up to the target: programs run, or steps' worth of model calls."""

    def costs(self, name: str, entrant: str) -> list[float]:
        """Up to the target; the number of steps in the budget where it was not reached."""
        target = self.targets[name]
        found = (
            trial.evaluations_to(target) if self.unit == "evaluations" else trial.steps_to(target)
            for trial in self.trials[name][entrant]
        )
        return [self.steps if cost is None else min(cost, self.steps) for cost in found]

    def reached(self, name: str, entrant: str) -> float:
        trials = self.trials[name][entrant]
        return sum(trial.steps_to(self.targets[name]) is not None for trial in trials) / len(trials)

    def best_baseline(self, name: str) -> str | None:
        """The one with the lowest cost to the target; of equal ones that with the larger area."""
        there = [one for one in self.baselines if one in self.trials[name]]
        return min(there, key=lambda one: (sum(self.costs(name, one)), -sum(self.areas(name, one))), default=None)

    def areas(self, name: str, entrant: str) -> list[float]:
        return [trial.area(self.steps) for trial in self.trials[name][entrant]]

    def ratio(self, name: str, entrant: str) -> Estimate | None:
        """Cost of the target against the best baseline."""
        best = self.best_baseline(name)
        return statistics.ratio(self.costs(name, entrant), self.costs(name, best)) if best else None


def summary(results: Results) -> str:
    """Cost of the target against the best baseline of each landscape, for every entrant."""
    names = list(results.trials)
    lines = [
        f"| | {' | '.join(names)} | median | worst |",
        "|---|" + "---|" * (len(names) + 2),
    ]
    for entrant in results.trials[names[0]]:
        found = [ratio for name in names if (ratio := results.ratio(name, entrant))]
        if found:
            values = [one.value for one in found]
            cells = [f"{value:.2f}" for value in (*values, median(values), max(values))]
            lines.append(f"| {entrant} | {' | '.join(cells)} |")
    best = " | ".join(results.best_baseline(name) or "" for name in names)
    lines.append(f"| *best baseline* | {best} | | |")
    return "\n".join(lines)


def against(results: Results, reference: str) -> str:
    """Cost of the target against one entrant, and the landscapes where the interval leaves 1 out."""
    names = list(results.trials)
    base = [results.costs(name, reference) for name in names]
    lines = ["| | median | more on | fewer on |", "|---|---|---|---|"]
    for entrant in results.trials[names[0]]:
        if entrant == reference:
            continue
        costs = [results.costs(name, entrant) for name in names]
        ratios = {name: statistics.ratio(*pair) for name, *pair in zip(names, costs, base, strict=True)}
        more = ", ".join(name for name, one in ratios.items() if one.low > 1)
        fewer = ", ".join(name for name, one in ratios.items() if one.high < 1)
        lines.append(f"| {entrant} | {statistics.median_ratio(costs, base).words(2)} | {more} | {fewer} |")
    return "\n".join(lines)


def details(results: Results, name: str) -> str:
    """Everything measured on one landscape."""
    lines = [
        f"| | {results.unit} to target | reached | against the best baseline | area | final | failed | repeated | exp(H) |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for entrant, trials in results.trials[name].items():
        ratio = results.ratio(name, entrant)
        nodes = sum(sum(trial.statuses.values()) for trial in trials)
        failed = sum(trial.statuses["crashed"] + trial.statuses["no_code"] for trial in trials) / nodes
        repeated = sum(trial.statuses["duplicate"] for trial in trials) / nodes
        cells = [
            entrant,
            statistics.mean(results.costs(name, entrant)).words(0),
            f"{results.reached(name, entrant):.0%}",
            ratio.words(2) if ratio else "",
            statistics.mean(results.areas(name, entrant)).words(3),
            f"{sum(trial.at(results.steps) for trial in trials) / len(trials):.3f}",
            f"{failed:.0%}",
            f"{repeated:.0%}",
            f"{sum(trial.breadth for trial in trials) / len(trials):.1f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def document(results: Results, reference: str) -> str:
    """All tables; the second holds everybody against `reference`, where that took part."""
    calls = replace(results, unit="steps")
    parts = ["### Evaluations to the target", summary(results)]
    if all(reference in by for by in results.trials.values()):
        parts += [f"### Evaluations to the target, against {reference}", against(results, reference)]
    parts += ["### Model calls to the target", summary(calls)]
    for name in results.trials:
        parts += [f"### {name} (target {results.targets[name]:.2f})", details(results, name)]
    return "\n\n".join(parts)


def plot(results: Results, entrants: Sequence[str]) -> str:
    """Mean of the best so far over the steps, a panel a landscape, as SVG."""
    names = list(results.trials)
    columns = min(4, len(names))
    rows = -(-len(names) // columns)
    width, height = columns * (PANEL_W + GAP) + GAP, rows * (PANEL_H + GAP) + GAP + 24
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="11">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
    ]
    for at, name in enumerate(names):
        x, y = GAP + at % columns * (PANEL_W + GAP), GAP + at // columns * (PANEL_H + GAP)
        parts += _panel(results, name, entrants, x, y)
    for at, entrant in enumerate(entrants):
        x, y = GAP + at * (width - GAP) // max(len(entrants), 1), height - 14
        parts.append(f'<path d="M{x} {y - 4}h22" stroke="{COLOURS[at]}" stroke-width="2"/>')
        parts.append(f'<text x="{x + 27}" y="{y}">{entrant}</text>')
    return "\n".join([*parts, "</svg>\n"])


def _panel(results: Results, name: str, entrants: Sequence[str], x: int, y: int) -> list[str]:
    def place(step: float, score: float) -> str:
        return f"{x + step / results.steps * PANEL_W:.1f} {y + (1 - max(score, 0.0)) * PANEL_H:.1f}"

    target = results.targets[name]
    parts = [
        f'<rect x="{x}" y="{y}" width="{PANEL_W}" height="{PANEL_H}" fill="none" stroke="#999"/>',
        f'<text x="{x}" y="{y - 6}" font-weight="bold">{name}</text>',
        f'<path d="M{place(0, target)}L{place(results.steps, target)}" stroke="#bbb" stroke-dasharray="4 3"/>',
        f'<text x="{x + PANEL_W}" y="{y + PANEL_H + 13}" text-anchor="end">{results.steps} steps</text>',
        f'<text x="{x - 4}" y="{y + PANEL_H}" text-anchor="end">0</text>',
        f'<text x="{x - 4}" y="{y + 9}" text-anchor="end">1</text>',
    ]
    for colour, entrant in zip(COLOURS, entrants, strict=False):
        curves = [_curve(trial, results.steps) for trial in results.trials[name].get(entrant, ())]
        if curves:
            means = [sum(column) / len(curves) for column in zip(*curves, strict=True)]
            line = "L".join(place(step, score) for step, score in enumerate(means))
            parts.append(f'<path d="M{line}" fill="none" stroke="{colour}" stroke-width="1.6"/>')
    return parts


def _curve(trial: Trial, steps: int) -> list[float]:
    """The score after each step."""
    scores, at = [], 0
    for step in range(steps + 1):
        while at + 1 < len(trial.gains) and trial.gains[at + 1][0] <= step:
            at += 1
        scores.append(trial.gains[at][2])
    return scores
