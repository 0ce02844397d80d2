"""What a job is about to do, in a few lines, and what it would cost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from evolve.config import JobConfig, configured_model
from evolve.jobfile import Job
from evolve.plugins import PluginConfig
from evolve.run.forecast import Forecast
from evolve.run.rundir import RunDir
from evolve.run.session import Parts
from evolve.sandbox.base import Level
from evolve.view.text import one_line, score


def header_lines(run: RunDir | None, job: Job, parts: Parts) -> Iterator[str]:
    """The facts that every score of a run depends on. Needs a prepared sandbox."""
    sheet, config = parts.task.sheet, job.config
    if run is not None:
        yield f"run         {run.path}"
    yield f"task        {one_line(sheet.name)} ({sheet.direction})" + (
        f", best known {score(sheet.reference)}" if sheet.reference is not None else ""
    )
    yield f"sandbox     {one_line(parts.provider.describe())}"
    yield f"scores      {_trust(sheet.isolated, parts.provider.level)}"
    for role, names in models(config):
        yield f"{role:<11} {names}"
    if not any(configured_model(one) for one in _providers(config)) and "mutation" in _kinds(config):
        yield "note        no language model takes part: programs are mutated at random"
    workers = config.search.workers
    yield f"budget      {budget_line(config)}, {workers} worker{'s' if workers > 1 else ''}, seed {config.seed}"


def _trust(isolated: bool, level: Level) -> str:
    """What keeps a candidate from its own score."""
    if not isolated:
        return "NOT isolated: candidates share a process with their evaluator and could forge them"
    if level == "process":
        return "by a grader in a process of its own, which `process` does not defend against hostile candidates"
    return "isolated: the grader runs where no candidate can reach it"


def models(config: JobConfig) -> list[tuple[str, str]]:
    """Who does what: role, and its provider with its fallbacks."""
    llm = config.llm
    roles = {"strategist": llm.strategist or llm.coder, "coder": llm.coder, "reviewer": llm.reviewer}
    return [(role, _named(providers)) for role, providers in roles.items() if providers]


def budget_line(config: JobConfig) -> str:
    limits = config.budget.model_dump(exclude_none=True)
    return ", ".join(f"{name} {value:g}" for name, value in limits.items())


def forecast_dict(found: Forecast) -> dict[str, Any]:
    return {
        "initial": {
            "status": found.evaluation.status,
            "score": found.evaluation.score,
            "seconds": found.evaluation.seconds,
            "feedback": found.evaluation.feedback,
        },
        "step": {
            "calls": [asdict(call) for call in found.calls],
            "prompt_tokens": found.prompt_tokens,
            "completion_tokens": found.completion_tokens,
            "money_usd": found.money_usd,
            "evaluation_s": found.evaluation.seconds,
        },
        "budget": {"steps": found.steps, "limit": found.limit, **_totals(found)},
    }


def forecast_lines(found: Forecast) -> Iterator[str]:
    """What `evolve run --dry-run` says."""
    evaluation = found.evaluation
    yield f"initial     {evaluation.status}, score {score(evaluation.score)}, {evaluation.seconds:.3g} s"
    if evaluation.status != "scored":
        yield f"            {one_line(evaluation.feedback or evaluation.stderr, 300)}"
    yield (
        f"a step      {len(found.calls)} calls, about {found.prompt_tokens:,} + {found.completion_tokens:,} tokens, "
        f"{_money(found.money_usd)}, {evaluation.seconds:.3g} s of evaluation"
    )
    for call in found.calls:
        yield (
            f"            {call.role:<10} {one_line(call.model)}: about {call.prompt_tokens:,} + {call.completion_tokens:,} "
            f"tokens, {_money(call.money_usd)}"
        )
    if found.steps is None:
        yield "forecast    how many steps it allows cannot be told from what one costs"
        return
    totals = _totals(found)
    yield (
        f"forecast    about {found.steps:,} steps, then {found.limit} is reached: {totals['tokens']:,} tokens, "
        f"{_money(totals['money_usd'])}, {totals['evaluation_s']:.3g} s of evaluation by {found.workers} workers"
    )
    yield "            estimates: tokens at four characters each, without re-asks; the models' own time is not known"


def _totals(found: Forecast) -> dict[str, Any]:
    """Over the whole budget. The first step has no calls."""
    steps = found.steps or 0
    asked = max(0, steps - 1)
    return {
        "tokens": asked * (found.prompt_tokens + found.completion_tokens),
        "money_usd": None if found.money_usd is None else asked * found.money_usd,
        "evaluation_s": steps * found.evaluation.seconds / found.workers,
    }


def _money(amount_usd: float | None) -> str:
    return "price not known" if amount_usd is None else f"${amount_usd:.4f}"


def _providers(config: JobConfig) -> list[PluginConfig]:
    return [*config.llm.strategist, *config.llm.coder, *config.llm.reviewer]


def _kinds(config: JobConfig) -> set[str]:
    return {provider.kind for provider in _providers(config)}


def _named(providers: Sequence[PluginConfig]) -> str:
    return ", then ".join(one_line(configured_model(one) or one.kind) for one in providers)
