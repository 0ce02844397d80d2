"""What a run would do and cost, found out without starting one: the initial program is judged once, and the prompts of
one step are written but sent to nobody."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from evolve.agent import analyst, coder, reviewer, strategist
from evolve.agent.brief import Brief, Candidate, Plan, Solution
from evolve.config import JobConfig, Price, configured_model
from evolve.jobfile import Job
from evolve.llm.base import Reply, Request, Role
from evolve.llm.tokens import estimated_tokens
from evolve.plugins import PluginConfig
from evolve.prompts import Prompts
from evolve.run.session import Parts
from evolve.tasks.base import Evaluation, TaskSheet

PLAN_TOKENS, ANALYSIS_TOKENS = 400, 100
"""A plan or a review, and an analysis, as models write them; a program counts with the length of the initial one."""


@dataclass(frozen=True, slots=True)
class CallForecast:
    """One call of a step. Token counts are estimates from the written prompt."""

    role: Role
    model: str
    prompt_tokens: int
    completion_tokens: int
    money_usd: float | None
    """None where no price is known."""


@dataclass(frozen=True, slots=True)
class Forecast:
    evaluation: Evaluation
    """The initial program's."""
    calls: tuple[CallForecast, ...]
    steps: int | None
    """Most steps the budget allows, judged by what one step costs; None where no limit can be told in steps."""
    limit: str | None
    """The limit that is reached first."""
    workers: int

    @property
    def prompt_tokens(self) -> int:
        return sum(call.prompt_tokens for call in self.calls)

    @property
    def completion_tokens(self) -> int:
        return sum(call.completion_tokens for call in self.calls)

    @property
    def money_usd(self) -> float | None:
        return _sum([call.money_usd for call in self.calls])


def forecast(job: Job, parts: Parts) -> Forecast:
    """Needs a prepared sandbox. Raises SandboxError and PromptError."""
    evaluation = parts.task.grade(parts.task.sheet.initial, parts.provider)
    calls = tuple(_calls(job.config, parts.task.sheet, evaluation, parts.prompts))
    steps, limit = _allowed(job.config, calls, evaluation.seconds)
    return Forecast(evaluation, calls, steps, limit, job.config.search.workers)


class _Silent:
    """Takes requests down and gives the emptiest reply."""

    def __init__(self) -> None:
        self.requests: dict[Role, Request] = {}

    def complete(self, request: Request) -> Reply:
        self.requests.setdefault(request.role, request)
        return Reply("", "none")


def _calls(config: JobConfig, sheet: TaskSheet, evaluation: Evaluation, prompts: Prompts) -> list[CallForecast]:
    requests = _requests(config, sheet, evaluation, prompts)
    program_tokens = sum(map(estimated_tokens, sheet.initial.values()))
    made = []
    for role, request in requests.items():
        prompt_tokens = sum(estimated_tokens(message.content) for message in request.messages)
        completion_tokens = {"coder": program_tokens, "analyst": ANALYSIS_TOKENS}.get(role, PLAN_TOKENS)
        made.append(_call(role, config.llm.by_role[role][0], prompt_tokens, completion_tokens, config.llm.prices))
    return made


def _requests(config: JobConfig, sheet: TaskSheet, evaluation: Evaluation, prompts: Prompts) -> Mapping[Role, Request]:
    """The first request of each role, to improve the initial program."""
    silent = _Silent()
    settings = config.agent.model_copy(update={"reasks": 0})
    parent = Solution(
        "n1",
        "the initial program",
        sheet.initial,
        evaluation.status,
        evaluation.score,
        evaluation.metrics,
        evaluation.feedback,
        evaluation.artifacts,
        evaluation.stderr,
    )
    operator = "improve" if evaluation.status == "scored" else "debug"
    brief = Brief("n2", operator, sheet, parent, evaluation.score)
    plan = Plan(hypothesis="a change that is not made")
    if settings.strategist:
        strategist.plan(brief, silent, prompts, settings)
    coder.write(brief, plan if settings.strategist else None, silent, prompts, settings)
    if config.llm.reviewer:
        reviewer.review(brief, plan, Candidate(plan, sheet.initial, "whole"), silent, prompts, settings)
    if config.llm.analyst:
        analyst.analyse(brief, plan, parent, None, silent, prompts, settings)
    return silent.requests


def _call(
    role: Role, provider: PluginConfig, prompt_tokens: int, completion_tokens: int, prices: Mapping[str, Price]
) -> CallForecast:
    model = configured_model(provider)
    if model is None:
        return CallForecast(role, provider.kind, 0, 0, 0.0)
    price = prices.get(model)
    money_usd = None
    if price is not None:
        money_usd = (prompt_tokens * price.prompt_usd + completion_tokens * price.completion_usd) / 1e6
    return CallForecast(role, model, prompt_tokens, completion_tokens, money_usd)


def _allowed(config: JobConfig, calls: Sequence[CallForecast], evaluation_s: float) -> tuple[int | None, str | None]:
    """How many steps each limit allows; the fewest win. The first step has no calls."""
    limits = config.budget
    tokens = sum(call.prompt_tokens + call.completion_tokens for call in calls)
    money_usd = _sum([call.money_usd for call in calls])
    allowed: dict[str, int] = {}
    if limits.steps is not None:
        allowed["steps"] = limits.steps
    if limits.hours is not None and evaluation_s > 0:
        allowed["hours"] = max(1, int(limits.hours * 3600 * config.search.workers / evaluation_s))
    if limits.tokens is not None and tokens:
        allowed["tokens"] = 1 + limits.tokens // tokens
    if limits.money_usd is not None and money_usd:
        allowed["money_usd"] = 1 + int(limits.money_usd / money_usd)
    if not allowed:
        return None, None
    first = min(allowed, key=allowed.__getitem__)
    return allowed[first], first


def _sum(amounts: Sequence[float | None]) -> float | None:
    known = [amount for amount in amounts if amount is not None]
    return sum(known) if len(known) == len(amounts) else None
