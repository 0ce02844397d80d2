"""Put a run together: open its files, fold its journal, build what it works with, and take it down again."""

from __future__ import annotations

import gc
import json
import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any

from evolve.agent import markers
from evolve.agent.replies import Refusal
from evolve.config import JobConfig
from evolve.errors import ConfigError
from evolve.events import RunStarted
from evolve.graph import SearchGraph
from evolve.jobfile import Job
from evolve.llm.base import LLM
from evolve.llm.stack import build_role, unpriced_models
from evolve.plugins import BuildContext
from evolve.prompts import Prompts
from evolve.run.artifacts import Artifacts
from evolve.run.budget import Budget
from evolve.run.calls import CallLog
from evolve.run.engine import Engine, Observer, State, publish
from evolve.run.journal import Journal, read_journal
from evolve.run.rollout import Services, Twins, load_candidate
from evolve.run.rundir import RunDir, digest_of
from evolve.run.timeline import Timeline
from evolve.sandbox.base import SandboxProvider
from evolve.search.bandit import Models
from evolve.search.planner import Planner
from evolve.tasks.base import SCORE_CARD, Task, TaskSheet


@dataclass(frozen=True, slots=True)
class Parts:
    """What a job needs from outside, built and checked before a run directory exists."""

    task: Task
    provider: SandboxProvider
    prompts: Prompts


def build_parts(job: Job) -> Parts:
    """Build task, sandbox and prompts of a job, and check what can be checked without running anything.

    Raises ConfigError.
    """
    config = job.config
    context = BuildContext(job.base_dir, config.seed)
    providers = (*config.llm.strategist, *config.llm.coder, *config.llm.reviewer, *config.llm.analyst)
    unpriced = unpriced_models(providers, config.llm.prices)
    if config.budget.money_usd is not None and unpriced:
        raise ConfigError(
            f"budget.money_usd: no price is known for {', '.join(unpriced)}",
            hint="add llm.prices: {MODEL: {prompt_usd: ..., completion_usd: ...}}, in USD per million tokens",
        )
    for provider in providers:  # building touches nothing; `manual` wants some run directory to name
        provider.build(replace(context, run_dir=job.base_dir))
    config.search.build(context)
    task: Task = config.task.build(context)
    markers.check(task.sheet.initial)
    _check_given(task.sheet)
    override = job.base_dir / config.agent.prompts if config.agent.prompts else None
    return Parts(task, config.sandbox.build(context), Prompts(override))


def _check_given(sheet: TaskSheet) -> None:
    """Hold the further programs to what every candidate is held to."""
    for number, files in enumerate(sheet.given, start=2):
        kept = markers.enforce(sheet.initial, files, sheet.protected, splice=True)
        problem = kept.reason if isinstance(kept, Refusal) else ", ".join(kept.notes)
        if problem:
            raise ConfigError(
                f"{sheet.name}: program {number} of `initial` changes what the task lets no program change: {problem}",
                hint="copy the first program and change only what may change",
            )


def manifest_facts(parts: Parts) -> dict[str, Any]:
    """What a run's manifest says of its inputs."""
    sheet = parts.task.sheet
    return {
        "task": sheet.name,
        "task_digest": digest_of({**sheet.initial, "": f"{sheet.grader_digest}\n{sheet.description}"}),
        "prompts": parts.prompts.digests(),
        "sandbox": parts.provider.level,
    }


@contextmanager
def open_engine(
    run: RunDir, job: Job, parts: Parts, observer: Observer, interrupt: threading.Event
) -> Iterator[Engine]:
    """The engine of a new or an interrupted run. `interrupt` ends pauses between tries of a model call.

    Raises RunLocked, JournalCorrupt, SchemaTooNew.
    """
    config = job.config
    with ExitStack() as opened:
        journal = Journal(run.journal)
        opened.callback(journal.close)
        sheet = parts.task.sheet
        if kept := run.read_given():  # as they were when the run began, whatever has become of the originals
            sheet = parts.task.sheet = replace(sheet, given=kept)
        state = fold_state(run, job)
        graph = state.graph
        if not graph.started:
            event = RunStarted(sheet.name, sheet.direction, config.seed, sheet.objectives, 1 + len(sheet.given))
            journal.commit([event])
            state.absorb(event)
        artifacts = opened.enter_context(Artifacts(run.artifacts))
        calls = CallLog(run.calls, artifacts, graph.cost, graph.pending.keys())
        opened.callback(calls.close)
        timeline = Timeline(run.timeline)
        opened.callback(timeline.close)
        budget = Budget(config.budget, lambda: calls.total, lambda: timeline.active_s)
        roles = _roles(run, job, calls, budget, interrupt)
        services = Services(
            task=parts.task,
            agent=config.agent,
            prompts=parts.prompts,
            strategist=roles["strategist"],
            coder=roles["coder"],
            reviewer=roles.get("reviewer"),
            analyst=roles.get("analyst"),
            provider=parts.provider,
            artifacts=artifacts,
            calls=calls,
            twins=Twins(graph.by_fingerprint),
            interrupt=interrupt,
        )
        parts.provider.sweep()
        opened.callback(parts.provider.close)
        if graph.best is not None and not _published(run, graph):
            publish(run, graph, load_candidate(graph.best, artifacts)["files"])
        run.stop.unlink(missing_ok=True)
        timeline.note("started", workers=config.search.workers, pid=os.getpid())
        engine = Engine(run, state, services, budget, journal, timeline, observer, config.search.workers)
        try:
            yield engine
        except BaseException as error:
            timeline.note("stopped", reason="error", error=str(error) or type(error).__name__)
            raise
        timeline.note("stopped", reason=engine.stop_reason)


def _roles(run: RunDir, job: Job, calls: CallLog, budget: Budget, interrupt: threading.Event) -> dict[str, LLM]:
    """The wrapped provider of every role that has one."""
    llm = job.config.llm
    context = BuildContext(job.base_dir, job.config.seed, run.path)
    return {
        role: build_role(providers, llm.retry, llm.prices, context, calls, budget, interrupt)
        for role, providers in llm.by_role.items()
    }


def _models(config: JobConfig) -> Models:
    """Chooses for every role with several providers, unless the first is always to be asked first."""
    llm = config.llm
    silent = "" if config.agent.strategist else "strategist"
    several = {
        role: llm.weighted(providers)
        for role, providers in llm.by_role.items()
        if llm.choice != "first" and len(providers) > 1 and role != silent
    }
    return Models(several, learning=llm.choice == "bandit")


def fold_state(run: RunDir, job: Job) -> State:
    """What a run knows, from its journal alone."""
    config: JobConfig = job.config
    context = BuildContext(job.base_dir, config.seed, run.path)
    planner = Planner(config.search.build(context), config.seed, _models(config))
    state = State(SearchGraph(), planner, config.memory.build(context))
    with _collector_paused():
        for event in read_journal(run.journal):
            state.absorb(event)
    return state


@contextmanager
def _collector_paused() -> Iterator[None]:
    """A fold makes many objects that all live on: looking through them for garbage doubles its time."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _published(run: RunDir, graph: SearchGraph) -> bool:
    try:
        card = json.loads((run.best / SCORE_CARD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return graph.best is not None and card.get("id") == graph.best.id
