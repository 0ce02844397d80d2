"""The job file. YAML keys are the field names below; the docstring under a field is its documentation."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from evolve.plugins import PluginConfig, PluginOf

MemoryConfig = Annotated[PluginConfig, PluginOf("memory")]
ProviderConfig = Annotated[PluginConfig, PluginOf("llm")]
SandboxConfig = Annotated[PluginConfig, PluginOf("sandbox")]
TaskConfig = Annotated[PluginConfig, PluginOf("task")]


def _named(kind: str) -> Any:
    """A plugin by name; the field's validator makes settings of it."""
    return kind


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, validate_default=True)


class SearchSettings(PluginConfig):
    """What every search policy has."""

    workers: int = Field(default=2, ge=1, le=256)
    """Rollouts at the same time. With one worker a seed fixes the whole run."""
    min_gain: float = Field(default=0.0, ge=0)
    """A score must be better by more than this, and by more than the measured noise, to count as a gain."""


class AgentConfig(Section):
    """How plans become programs."""

    mode: Literal["adaptive", "whole", "diff"] = "adaptive"
    """How the coder answers. `adaptive`: whole programs for drafts, SEARCH/REPLACE edits otherwise, whole again after edits were refused. A program too long to be shown whole is edited in any mode."""
    reasks: int = Field(default=1, ge=0, le=5)
    """How often a hopeless reply is sent back with the reason before the node is recorded as `no_code`."""
    prompt_tokens: int = Field(default=24000, ge=1000)
    """Most tokens (estimated at 4 characters each) of one prompt; program output and attempts are cut first."""
    prompts: Path | None = None
    """Folder of templates that replace the built-in ones of the same name."""


class Price(Section):
    """What a model costs."""

    prompt_usd: float = Field(ge=0)
    """Per million prompt tokens."""
    completion_usd: float = Field(ge=0)
    """Per million completion tokens."""


class RetryConfig(Section):
    """When a call fails for a passing reason. The providers' own retries are off: this is the only layer."""

    attempts: int = Field(default=5, ge=1)
    """Tries of one call, the first included."""
    wait_s: float = Field(default=1.0, ge=0)
    """First pause; each next one is twice as long, with jitter. A Retry-After of the endpoint is obeyed instead."""
    wait_max_s: float = Field(default=60.0, ge=0)
    """Longest pause."""
    breaker: int = Field(default=5, ge=1)
    """Calls in a row that fail after all their tries before the endpoint counts as down and the run stops."""


class LLMConfig(Section):
    """Who plans, writes and reviews. `llm: {kind: ...}` is short for one provider in all roles."""

    coder: list[ProviderConfig] = Field(min_length=1)
    """Writes programs. One provider, or a list: the next is asked when one fails for good."""
    strategist: list[ProviderConfig] = []
    """Plans. The coder's providers when left out."""
    reviewer: list[ProviderConfig] = []
    """Reads each program before it runs and may mend it. No review when left out."""
    prices: dict[str, Price] = {}
    """Money by model name; needed for `budget.money_usd`."""
    retry: RetryConfig = RetryConfig()

    @model_validator(mode="before")
    @classmethod
    def _shorthand(cls, raw: Any) -> Any:
        if not isinstance(raw, Mapping):
            return raw
        if "kind" in raw:
            own = {key: raw[key] for key in ("prices", "retry") if key in raw}
            return {"coder": [{key: value for key, value in raw.items() if key not in own}], **own}
        roles = ("coder", "strategist", "reviewer")
        return {key: [value] if key in roles and not isinstance(value, list) else value for key, value in raw.items()}


class BudgetConfig(Section):
    """When to stop. Whatever is reached first; time during which a run was stopped does not count."""

    steps: int | None = Field(default=None, ge=1)
    """Expansions in all, the initial program's included. 100 when no other limit is set."""
    hours: float | None = Field(default=None, gt=0)
    """Active wall time."""
    tokens: int | None = Field(default=None, ge=1)
    """Prompt and completion tokens."""
    money_usd: float | None = Field(default=None, gt=0)
    """Money, by the price table."""
    target_score: float | None = None
    """Stop once a score is at least this good."""

    @model_validator(mode="before")
    @classmethod
    def _some_limit(cls, raw: Any) -> Any:
        limits = ("steps", "hours", "tokens", "money_usd")
        if isinstance(raw, Mapping) and all(raw.get(key) is None for key in limits):
            return {**raw, "steps": 100}
        return raw


class JobConfig(Section):
    """One job: a task, who works on it, where it runs and when it stops."""

    version: Literal[1] = 1
    """Version of this file format."""
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")
    """Names the run directory."""
    seed: int = 0
    """Fixes every random draw of the search."""
    task: TaskConfig
    """What is to be solved and how it is graded."""
    search: Annotated[SearchSettings, PluginOf("search", default="mcgs")] = Field(
        default_factory=lambda: _named("mcgs")
    )
    """How the graph grows: the search policy, `mcgs` unless `kind` names another."""
    agent: AgentConfig = Field(default_factory=AgentConfig)
    memory: MemoryConfig = Field(default_factory=lambda: _named("fixes"))
    """What later expansions are told of earlier ones."""
    llm: LLMConfig
    sandbox: SandboxConfig = Field(default_factory=lambda: _named("auto"))
    """Where candidates run."""
    budget: BudgetConfig = Field(default_factory=lambda: BudgetConfig(steps=100))
