"""Search policies side by side on landscapes with a known optimum, with the same number of model calls.

    python -m benchmarks.search                          everything: 30 seeds, 200 steps, 21 entrants, 8 landscapes
    python -m benchmarks.search --quick                  6 seeds
    python -m benchmarks.search --landscapes additive,long --policies "ours,greedy (AIDE)"
    python -m benchmarks.search --entrant "wide: {kind: mcgs, improves: 10}"   other settings beside them
    python -m benchmarks.search --write                  and put tables and plot into docs/
    python -m benchmarks.search --calibrate              how the targets were chosen

A step is two model calls, as an expansion makes; one more is spent where a program judged before is asked for anew. The
target of a landscape is the highest score, in hundredths of the range from the initial program to the optimum, that the
best baseline reaches within half the budget on the median of 30 seeds that the comparison does not use.
"""

from __future__ import annotations

import argparse
import json
import re
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from statistics import median

import yaml

from benchmarks.search import report, trial
from benchmarks.search.landscape import SPECS
from benchmarks.search.policies import ENTRANTS, OURS, Entrant
from benchmarks.search.trial import Trial

TARGETS = {
    "easy": 1.0,
    "additive": 1.0,
    "interacting": 0.89,
    "deceptive": 0.78,
    "crashy": 0.89,
    "noisy": 0.87,
    "needle": 0.8,
    "long": 0.85,
}
"""Printed by --calibrate for 200 steps."""
OTHER_SEEDS = 1000
"""First of the seeds that the targets were chosen with."""

DOCS = Path(__file__).parents[2] / "docs"
PAGE, PLOT = DOCS / "search-benchmark.md", DOCS / "search-benchmark.svg"
_RESULTS = re.compile(r"(<!-- results -->\n).*(<!-- end of results -->)", re.DOTALL)


def compare(
    entrants: Mapping[str, Entrant], names: Sequence[str], seeds: Sequence[int], steps: int, processes: int
) -> dict[str, dict[str, list[Trial]]]:
    """Every entrant on every instance."""
    jobs = [(name, seed) for name in names for seed in seeds]
    found: dict[str, dict[str, list[Trial]]] = {name: {entrant: [] for entrant in entrants} for name in names}
    with ProcessPoolExecutor(processes) as pool:
        for (name, _), trials in zip(jobs, pool.map(partial(_instance, entrants, steps), jobs), strict=True):
            for entrant, one in trials.items():
                found[name][entrant].append(one)
    return found


def _instance(entrants: Mapping[str, Entrant], steps: int, job: tuple[str, int]) -> dict[str, Trial]:
    name, seed = job
    return {label: trial.run(entrant, name, seed, steps) for label, entrant in entrants.items()}


def calibrated(trials: Mapping[str, Mapping[str, Sequence[Trial]]], steps: int) -> dict[str, float]:
    """The highest score that some entrant reaches within half the budget on the median seed, for every landscape."""

    def reach(name: str, target: float) -> float:
        return min(
            median(steps if (cost := one.steps_to(target)) is None else cost for one in group)
            for group in trials[name].values()
        )

    grid = [hundredths / 100 for hundredths in range(100, -1, -1)]
    return {name: next(target for target in grid if reach(name, target) <= steps / 2) for name in trials}


def raw(trials: Mapping[str, Mapping[str, Sequence[Trial]]]) -> str:
    """Every trial by landscape and entrant, in the order of the seeds, as JSON."""

    def facts(one: Trial) -> dict[str, object]:
        return {"gains": one.gains, "statuses": one.statuses, "operators": one.operators, "breadth": one.breadth}

    found = {name: {entrant: list(map(facts, group)) for entrant, group in by.items()} for name, by in trials.items()}
    return json.dumps(found)


def main() -> None:
    options = _options()
    began = time.perf_counter()
    names = options.landscapes.split(",") if options.landscapes else list(SPECS)
    entrants = _entrants(options)
    first = OTHER_SEEDS if options.calibrate else options.first_seed
    seeds = range(first, first + (6 if options.quick else options.seeds))
    if options.calibrate:
        entrants = {label: one for label, one in entrants.items() if one.baseline}
    trials = compare(entrants, names, seeds, options.steps, options.processes)
    if options.calibrate:
        print(json.dumps(calibrated(trials, options.steps)))
        return
    baselines = [label for label, one in entrants.items() if one.baseline]
    results = report.Results(trials, TARGETS, options.steps, baselines)
    print(report.document(results, OURS) if options.details else report.summary(results))
    print(f"\nseeds {seeds[0]} to {seeds[-1]}, {options.steps} steps, {time.perf_counter() - began:.0f} s")
    if options.json:
        options.json.write_text(raw(trials))
    if options.write:
        PAGE.write_text(
            _RESULTS.sub(lambda page: f"{page[1]}\n{report.document(results, OURS)}\n\n{page[2]}", PAGE.read_text())
        )
        PLOT.write_text(report.plot(results, [OURS, *baselines]))


def _entrants(options: argparse.Namespace) -> dict[str, Entrant]:
    """Those asked for; one whose policy is not there is refused with its name."""
    labels = options.policies.split(",") if options.policies else list(ENTRANTS)
    chosen = {label: ENTRANTS[label] for label in labels}
    for text in options.entrant:
        chosen |= {label: Entrant(search) for label, search in yaml.safe_load(text).items()}
    for label, entrant in chosen.items():
        try:
            entrant.settings()
        except ValueError as error:
            raise SystemExit(f"{label}: {error}") from None
    return chosen


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.search", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=30)
    parser.add_argument("--first-seed", type=int, default=0, help="settings tuned on some seeds are judged on others")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--landscapes", help=f"of {','.join(SPECS)}")
    parser.add_argument("--policies", help="by name, with commas between")
    parser.add_argument("--entrant", action="append", default=[], help="another one: NAME: {kind: ..., ...}")
    parser.add_argument("--quick", action="store_true", help="6 seeds")
    parser.add_argument("--details", action="store_true", help="print every table")
    parser.add_argument("--write", action="store_true", help="put tables and plot into docs/")
    parser.add_argument("--json", type=Path, help="file for the raw trials")
    parser.add_argument("--calibrate", action="store_true", help="print targets chosen with other seeds")
    parser.add_argument("--processes", type=int, default=2)
    return parser.parse_args()
