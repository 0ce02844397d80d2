"""The job file. YAML keys are the field names below; the docstring under a field is its documentation."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from evolve.plugins import PluginConfig, PluginOf, config_class

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


class Sampling(Section):
    """How a reply is drawn. What is left out is as the provider's own settings say."""

    temperature: float | None = Field(default=None, ge=0, le=2)
    """Sampling temperature; an endpoint that refuses one is asked without it."""
    effort: Literal["low", "medium", "high"] | None = None
    """How hard a reasoning model should think; an endpoint that does not know this is asked without it."""


class AgentConfig(Section):
    """How plans become programs."""

    strategist: bool = True
    """Whether a plan is made, in a call of its own, before the program is written. Without, the coder decides what to try."""
    mode: Literal["adaptive", "whole", "stepwise", "diff"] = "adaptive"
    """How the coder answers. `adaptive`: whole programs for drafts and aggregations, or function by function where the program is long (`stepwise`), SEARCH/REPLACE edits otherwise, whole again after edits were refused. A program too long to be shown whole is edited in any mode; one that is not a single Python file without markers is never written stepwise."""
    stepwise_lines: int = Field(default=300, ge=1)
    """A program of more lines is long."""
    novelty: bool = True
    """Whether a plan that nearly repeats a shown attempt is sent back once, with what came of that attempt."""
    reasks: int = Field(default=1, ge=0, le=5)
    """How often a hopeless reply is sent back with the reason before the node is recorded as `no_code`."""
    prompt_tokens: int = Field(default=24000, ge=1000)
    """Most tokens (estimated at 4 characters each) of one prompt; program output and attempts are cut first."""
    reference_tokens: int = Field(default=6000, ge=0)
    """Most tokens of all other solutions in one prompt together; each is shown whole or without its code."""
    prompts: Path | None = None
    """Folder of templates that replace the built-in ones of the same name."""
    sampling: dict[str, Sampling] = {}
    """How the strategist's and the coder's replies are drawn, by operator; `default` is for what an operator leaves out."""

    @field_validator("sampling")
    @classmethod
    def _known_operators(cls, sampling: dict[str, Sampling]) -> dict[str, Sampling]:
        for operator in sampling:
            if operator != "default":
                config_class("operator", operator)
        return sampling

    def sampling_of(self, operator: str) -> Sampling:
        """By the operator's name, which is the last part of its kind."""
        own = (some for kind, some in self.sampling.items() if kind.rpartition(".")[2] == operator)
        layers = (self.sampling.get("default", Sampling()), next(own, Sampling()))
        return Sampling.model_validate({key: value for some in layers for key, value in some if value is not None})


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
    """Calls in a row that fail after all their tries before the endpoint counts as down: another provider of the role answers from then on, or the run stops."""


def configured_model(config: PluginConfig) -> str | None:
    """The model a provider's settings name; None for one that runs no paid model."""
    model = getattr(config, "model", None)
    return model if isinstance(model, str) else None


def arms(providers: Iterable[PluginConfig]) -> dict[str, PluginConfig]:
    """The providers of one role by name: the model, else the kind; the second `m` is called `m#2`."""
    named: dict[str, PluginConfig] = {}
    for provider in providers:
        model = configured_model(provider) or provider.kind
        names = (model if number == 1 else f"{model}#{number}" for number in count(1))
        named[next(name for name in names if name not in named)] = provider
    return named


class LLMConfig(Section):
    """Who plans, writes and reviews. `llm: {kind: ...}` is short for one provider in all roles."""

    coder: list[ProviderConfig] = Field(min_length=1)
    """Writes programs. One provider, or a list: which is asked first is up to `choice`, and another one is asked when it fails for good."""
    strategist: list[ProviderConfig] = []
    """Plans. The coder's providers when left out."""
    reviewer: list[ProviderConfig] = []
    """Reads each program before it runs and may mend it. No review when left out."""
    analyst: list[ProviderConfig] = []
    """Says after each evaluation what is to be learnt from it; its words are feedback and never change a score. No analysis when left out."""
    choice: Literal["first", "weights", "bandit"] = "first"
    """Which of several providers is asked first. `first`: the first of the list. `weights`: one drawn anew for every expansion and role. `bandit`: the same, learning from what the nodes of each have gained and cost."""
    weights: dict[str, float] = {}
    """Relative chance to be asked first, by model name, for `choice: weights`; 1 where none is given. A model's second entry in a list is called `MODEL#2`."""
    prices: dict[str, Price] = {}
    """Money by model name; needed for `budget.money_usd`."""
    retry: RetryConfig = RetryConfig()

    @model_validator(mode="before")
    @classmethod
    def _shorthand(cls, raw: Any) -> Any:
        if not isinstance(raw, Mapping):
            return raw
        if "kind" in raw:
            own = {key: raw[key] for key in ("choice", "weights", "prices", "retry") if key in raw}
            return {"coder": [{key: value for key, value in raw.items() if key not in own}], **own}
        roles = ("coder", "strategist", "reviewer", "analyst")
        return {key: [value] if key in roles and not isinstance(value, list) else value for key, value in raw.items()}

    @model_validator(mode="after")
    def _something_to_choose_from(self) -> Self:
        several = [providers for providers in self.by_role.values() if len(providers) > 1]
        if self.choice != "first" and not several:
            raise ValueError(f"choice: {self.choice!r} has nothing to choose from: every role has one provider")
        if self.weights and self.choice != "weights":
            raise ValueError("weights: they are for `choice: weights` and would do nothing here")
        if not all(0 <= weight < math.inf for weight in self.weights.values()):
            raise ValueError("weights: a weight is a number from 0 on")
        known = {arm for providers in several for arm in arms(providers)}
        if unknown := sorted(self.weights.keys() - known):
            raise ValueError(
                f"weights: no list of providers has {', '.join(unknown)} (known: {', '.join(sorted(known))})"
            )
        if any(not any(self.weighted(providers).values()) for providers in several):
            raise ValueError("weights: a role's providers cannot all have weight 0")
        return self

    @property
    def by_role(self) -> dict[str, list[ProviderConfig]]:
        """The providers of every role that has some; the strategist's default are the coder's."""
        roles = {
            "strategist": self.strategist or self.coder,
            "coder": self.coder,
            "reviewer": self.reviewer,
            "analyst": self.analyst,
        }
        return {role: providers for role, providers in roles.items() if providers}

    def weighted(self, providers: Sequence[PluginConfig]) -> dict[str, float]:
        """The weight of each of a role's providers, by name."""
        return {arm: self.weights.get(arm, 1.0) for arm in arms(providers)}


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

    @model_validator(mode="after")
    def _nobody_idle(self) -> Self:
        if self.llm.strategist and not self.agent.strategist:
            raise ValueError("llm.strategist: nobody would ask it, since agent.strategist is false")
        return self
