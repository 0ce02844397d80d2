"""Commands that work on a run: run and resume."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import click

from evolve.cli.common import NOW, emit, find_run, json_option, run_argument, runs_option, say, set_option, show
from evolve.cli.main import INTERRUPTED
from evolve.cli.progress import Progress, make_progress
from evolve.errors import EvolveError, JournalCorrupt, RunLocked, SchemaTooNew
from evolve.jobfile import Job, load_job
from evolve.run.rundir import RunDir, create
from evolve.run.session import Parts, build_parts, manifest_facts, open_engine
from evolve.run.warmstart import Found, best_programs, give
from evolve.view.header import header_lines
from evolve.view.pace import Pace
from evolve.view.state import last_entry
from evolve.view.summary import outcome, summarise
from evolve.view.text import closing_lines, one_line, score

if TYPE_CHECKING:
    from evolve.run.engine import Engine
    from evolve.sandbox.base import SandboxProvider

FROM_BEST = 3
"""Programs that a new run takes over from an earlier one."""


@click.command()
@click.argument("job", type=click.Path(path_type=Path))
@runs_option
@click.option("--name", help="Name of the run directory, instead of time and job name.")
@set_option
@click.option("--from", "earlier", metavar="RUN", help="Start from the best programs of an earlier run of this task.")
@click.option(
    "--from-best",
    "count",
    type=click.IntRange(min=1),
    metavar="K",
    help=f"How many programs --from takes.  [default: {FROM_BEST}]",
)
@click.option("--dry-run", is_flag=True, help="Check everything, judge the initial program, forecast the cost.")
@json_option
def run(
    job: Path,
    runs: Path,
    name: str | None,
    overrides: tuple[str, ...],
    earlier: str | None,
    count: int | None,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Start a run from the job file JOB."""
    if name is not None and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", name):
        raise click.UsageError(f"--name {name!r}: letters, digits, '.', '_' and '-' only, at most 64")
    if count is not None and earlier is None:
        raise click.UsageError("--from-best says how many programs --from takes, and there is no --from")
    loaded = load_job(job, overrides)
    parts = build_parts(loaded)
    facts = manifest_facts(parts)
    found = best_programs(find_run(runs, earlier), parts, count or FROM_BEST) if earlier else []
    facts |= give(parts, found)
    with ready(parts.provider):
        if dry_run:
            rehearse(loaded, parts, found, as_json)
            return 0
        made = create(runs, name, loaded, facts, parts.task.sheet.given)
        for line in given_lines(found):
            say(line)
        return work(made, loaded, parts, as_json)


@click.command()
@run_argument
@set_option
@json_option
def resume(run: str, runs: Path, overrides: tuple[str, ...], as_json: bool) -> int:
    """Go on with RUN: a run directory, or a part of its name that no other run has."""
    found = find_run(runs, run)
    job = found.load(overrides)
    parts = build_parts(job)
    with ready(parts.provider):
        if found.read_manifest().get("task_digest") != manifest_facts(parts)["task_digest"]:
            say("warning: the task's files have changed since this run began; scores may not be comparable")
        return work(found, job, parts, as_json)


@contextlib.contextmanager
def ready(provider: SandboxProvider) -> Iterator[None]:
    try:
        provider.prepare()
        yield
    finally:
        provider.close()


def given_lines(found: Sequence[Found]) -> Iterator[str]:
    for one in found:
        yield f"given       {one.node.id} of {one.run}, score {score(one.node.score)}: {one_line(one.node.title)}"


def rehearse(job: Job, parts: Parts, given: Sequence[Found], as_json: bool) -> None:
    from evolve.run.forecast import forecast
    from evolve.view.header import forecast_dict, forecast_lines

    found = forecast(job, parts)
    if as_json:
        named = [{"run": one.run, "node": one.node.id, "score": one.node.score} for one in given]
        emit({**forecast_dict(found), "given": named})
    else:
        show(header_lines(None, job, parts))
        show(given_lines(given))
        show(forecast_lines(found))


def work(run: RunDir, job: Job, parts: Parts, as_json: bool) -> int:
    """Search until there is a reason to stop; the exit code."""
    before = last_entry(run) or {}
    pace = Pace(job.config.budget, float(before.get("active_s", 0.0)))
    interrupt = threading.Event()
    show_progress = make_progress(pace, job.config.budget.steps)
    for line in header_lines(run, job, parts):
        say(line)
    stop = Stop(run, interrupt, parts.provider)
    try:
        with show_progress as progress, logged(progress), open_engine(run, job, parts, progress, interrupt) as engine:
            run.save_config(job)
            with stop.listening(engine):
                reason = engine.run()
    except (RunLocked, JournalCorrupt, SchemaTooNew):
        raise  # nothing was begun, so there is nothing to conclude
    except EvolveError:
        _conclude(run, "error", as_json, resumable=True)
        raise
    _conclude(run, reason, as_json, resumable=reason in ("interrupted", "stop_file"))
    if stop.now:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(INTERRUPTED)  # a rollout may still be blocked in a call that nothing can end
    return INTERRUPTED if stop.asked else 0


def _conclude(run: RunDir, reason: str, as_json: bool, *, resumable: bool) -> None:
    summary = summarise(run)
    for line in closing_lines(summary, reason, resumable=resumable):
        say(line)
    if as_json:
        emit(outcome(run, reason, summary.nodes, summary.best, summary.cost))


class Stop:
    """What a signal does: the first one lets rollouts finish, the second one ends them. Both leave a run to resume."""

    def __init__(self, run: RunDir, interrupt: threading.Event, provider: SandboxProvider) -> None:
        self._run = run
        self._interrupt = interrupt
        self._provider = provider
        self.asked = False
        self.now = False

    @contextlib.contextmanager
    def listening(self, engine: Engine) -> Iterator[None]:
        def handle(signum: int, frame: FrameType | None) -> None:  # noqa: ARG001
            self._take(engine)

        before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _take(self, engine: Engine) -> None:
        if self.now:
            os._exit(INTERRUPTED)
        if self.asked or self._wants_now():
            self.asked = self.now = True
            _write("stopping now; what was in flight is taken up again by a resume")
            self._interrupt.set()
            engine.stop_now()
            self._provider.close()
        else:
            self.asked = True
            _write("finishing what is in flight; once more to stop now")
            engine.stop_gently()

    def _wants_now(self) -> bool:
        with contextlib.suppress(OSError):
            return self._run.stop.read_text(encoding="utf-8").strip() == NOW
        return False


def _write(line: str) -> None:
    """From a signal handler, where the stream itself may be in the middle of a write."""
    with contextlib.suppress(OSError):
        os.write(2, f"\n{line}\n".encode())


@contextlib.contextmanager
def logged(progress: Progress) -> Iterator[None]:
    """Show what the framework logs (tries of a call, prompts that wait) beside the progress."""

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            progress.say(self.format(record))

    logger, handler = logging.getLogger("evolve"), Handler()
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)
