"""The compare command: runs beside each other, and the runs that a comparison needs."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from evolve.cli.common import emit, find_run, json_option, runs_option, say, set_option, show
from evolve.errors import ConfigError

if TYPE_CHECKING:
    from evolve.run.rundir import RunDir

SEEDS = 5
_LONGEST_NAME = 64


@dataclass(frozen=True, slots=True)
class Variant:
    """One run of a comparison, by name and settings."""

    name: str
    overrides: tuple[str, ...]


@click.command()
@click.argument("sources", metavar="RUN...|JOB", nargs=-1, required=True)
@runs_option
@click.option(
    "--vary", multiple=True, metavar="KEY=V1,V2", help="Run JOB with each of these values; several are combined."
)
@click.option("--seeds", type=click.IntRange(min=1), help=f"Run each with seeds 1 to N.  [default: {SEEDS}]")
@click.option("--target", type=float, help="Score to count evaluations to, instead of the worst group's median best.")
@set_option
@json_option
@click.pass_context
def compare(
    context: click.Context,
    sources: tuple[str, ...],
    runs: Path,
    vary: tuple[str, ...],
    seeds: int | None,
    target: float | None,
    overrides: tuple[str, ...],
    as_json: bool,
) -> int:
    """Compare runs, grouped by what differs in their settings and paired by seed.

    With --vary, JOB is a job file: whatever is missing is run first, so that the same command again goes on where it
    was stopped.
    """
    from evolve.view.compare import compare as compare_entries
    from evolve.view.compare import comparison_lines, read_entry

    if vary:
        if len(sources) > 1:
            raise click.UsageError("--vary takes one job file")
        job = Path(sources[0])
        code, found = _run_all(context, job, runs, variants(job, vary, seeds or SEEDS, overrides))
        if code:
            return code
    else:
        _need_no_job(sources, seeds, overrides)
        found = [find_run(runs, source) for source in sources]
    comparison = compare_entries([read_entry(run) for run in found], target)
    if as_json:
        emit(comparison.as_dict())
    else:
        show(comparison_lines(comparison))
    return 0


def variants(job: Path, vary: Sequence[str], seeds: int, overrides: tuple[str, ...]) -> list[Variant]:
    """Every combination, seed by seed, so that an early end leaves whole pairs. Raises ConfigError."""
    from evolve.jobfile import load_job

    name = load_job(job, overrides).config.name
    axes = [_values(text) for text in vary]
    found = [
        Variant(
            "-".join((name, *(_slug(value) for _, value in combination), f"s{seed}")),
            (*overrides, *(f"{key}={value}" for key, value in combination), f"seed={seed}"),
        )
        for seed in range(1, seeds + 1)
        for combination in itertools.product(*([(key, value) for value in values] for key, values in axes))
    ]
    names = [variant.name for variant in found]
    if len(set(names)) < len(names) or max(map(len, names)) > _LONGEST_NAME:
        raise ConfigError(
            f"--vary {' --vary '.join(vary)}: no short and different names come of these values",
            hint="vary fewer or shorter values, or give the job a shorter name with --set name=...",
        )
    return found


def _need_no_job(sources: Sequence[str], seeds: int | None, overrides: Sequence[str]) -> None:
    """Raises UsageError for what makes sense only with --vary."""
    jobs = [source for source in sources if Path(source).is_file()]
    if jobs:
        raise click.UsageError(f"{jobs[0]} is no run; to run it with several settings, name them with --vary")
    if seeds or overrides:
        raise click.UsageError("--seeds and --set are for --vary: runs that are there already stay as they are")


def _run_all(context: click.Context, job: Path, runs: Path, wanted: Sequence[Variant]) -> tuple[int, list[RunDir]]:
    """Run or resume whatever has not finished, one after another; the first exit code that is not 0 ends it."""
    from evolve.cli.run import resume
    from evolve.cli.run import run as start
    from evolve.run.rundir import RunDir
    from evolve.view.state import state_of
    from evolve.view.text import BUDGET_KEYS

    found = [RunDir(runs / variant.name) for variant in wanted]
    for variant, run in zip(wanted, found, strict=True):
        _check(run, job, variant)
    for number, (variant, run) in enumerate(zip(wanted, found, strict=True), start=1):
        if run.config.is_file() and state_of(run) in BUDGET_KEYS:
            continue
        say(f"--- {number} of {len(wanted)}: {variant.name} ---")
        if run.config.is_file():
            code = context.invoke(resume, run=str(run.path), runs=runs)
        else:
            code = context.invoke(start, job=job, runs=runs, name=variant.name, overrides=variant.overrides)
        if code:
            return code, found
    return 0, found


def _check(run: RunDir, job: Path, variant: Variant) -> None:
    """Raises ConfigError for wrong settings, and when a run of that name is there with others."""
    from evolve.jobfile import load_job
    from evolve.view.grouping import differing, flatten

    wanted = flatten(load_job(job, variant.overrides).config.model_dump(mode="json"))
    if not run.config.is_file():
        return
    there = flatten(run.load().config.model_dump(mode="json"))
    keys = differing([there, wanted])
    if keys or there["seed"] != wanted["seed"]:
        raise ConfigError(
            f"{run.path}: was run with other settings: {', '.join(keys) or 'seed'}",
            hint="keep the job as it was, or compare in another folder with --runs DIR",
        )


def _values(text: str) -> tuple[str, list[str]]:
    """`search.kind=mcgs,greedy` as the key and its values; commas within brackets or quotes part nothing."""
    key, equals, listed = text.partition("=")
    values = [value.strip() for value in _parts(listed)]
    if not equals or not key.strip() or not all(values):
        raise click.UsageError(f"--vary {text}: not of the form KEY=VALUE,VALUE")
    return key.strip(), values


def _parts(text: str) -> Iterator[str]:
    depth, quote, start = 0, "", 0
    for position, char in enumerate(text):
        if quote:
            quote = "" if char == quote else quote
        elif char in "\"'":
            quote = char
        elif char in "[{":
            depth += 1
        elif char in "]}":
            depth -= 1
        elif char == "," and depth == 0:
            yield text[start:position]
            start = position + 1
    yield text[start:]


def _slug(value: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", value).strip("-") or "x"
