"""What a language-model provider is. Knows nothing of nodes, plans or programs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from evolve.config import Sampling

Role = Literal["strategist", "coder", "reviewer", "analyst"]
Files = Mapping[str, str]
"""A program: text by path, paths relative and with forward slashes."""


@dataclass(frozen=True, slots=True)
class Message:
    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class Materials:
    """The facts behind a prompt, for providers that do not read prose (the program mutator)."""

    operator: str = ""
    files: Files = field(default_factory=dict)
    """The program to work on."""
    baseline: Files = field(default_factory=dict)
    """The task's initial program."""
    references: tuple[Files, ...] = ()
    """Other programs to take ideas from."""
    failed: bool = False
    """Whether `files` is a program that failed."""


@dataclass(frozen=True, slots=True)
class Request:
    """One call. `call_id` is unique in a run and the same again when an interrupted rollout is repeated."""

    call_id: str
    role: Role
    messages: tuple[Message, ...]
    schema: Mapping[str, Any] | None = None
    """JSON schema the reply should obey; a provider that cannot enforce it ignores it."""
    materials: Materials = field(default_factory=Materials)
    preferred: str | None = None
    """Which of the role's providers to ask first; the first of the list where none is named."""
    sampling: Sampling | None = None
    """How to draw the reply; a provider that cannot be told ignores it."""

    @property
    def digest(self) -> str:
        """What a reply is an answer to: role, messages and schema, but not the call's name or who is to answer it how."""
        text = json.dumps([self.role, [(m.role, m.content) for m in self.messages], self.schema], sort_keys=True)
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True, slots=True)
class Usage:
    prompt_tokens: int = 0
    completion_tokens: int = 0
    money_usd: float = 0.0


@dataclass(frozen=True, slots=True)
class Reply:
    text: str
    model: str
    usage: Usage = Usage()
    finish: Literal["stop", "length", "other"] = "stop"
    """`length`: cut at the token limit."""
    instead_of: str | None = None
    """The provider that was asked first, where it failed and another one answered."""


class LLM(Protocol):
    """Answers requests. Called from several threads at once.

    `complete` raises only `LLMError` subclasses (see evolve.errors for which are worth a retry) or `BudgetSpent`.
    """

    def complete(self, request: Request) -> Reply: ...


class CallStore(Protocol):
    """Remembers every paid reply. Thread-safe; `record` returns only when the reply is durable."""

    def find(self, request: Request) -> Reply | None:
        """The recorded reply to this very call, or None."""
        ...

    def record(self, request: Request, reply: Reply, seconds: float) -> None: ...


class Meter(Protocol):
    """Counts what calls cost. Thread-safe."""

    def check(self) -> None:
        """Raise `BudgetSpent` when no further call may be made."""
        ...
