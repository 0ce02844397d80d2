"""Ask a model until its reply can be used, a bounded number of times. Knows nothing of plans or programs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from evolve.agent.replies import Refusal
from evolve.llm.base import LLM, Materials, Message, Reply, Request, Role

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Refused:
    """A reply that could not be used, and why."""

    text: str
    reason: str


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """What came of asking: a value, or the refusal of the last reply."""

    value: T | Refusal
    refused: tuple[Refused, ...]
    """Every reply that was not used, the last one too if it was refused."""
    role: Role
    text: str
    """The last reply."""

    @property
    def calls(self) -> int:
        return len(self.refused) + (0 if isinstance(self.value, Refusal) else 1)

    @property
    def reasks(self) -> int:
        """Calls beyond the first."""
        return len(self.refused) - (1 if isinstance(self.value, Refusal) else 0)

    @property
    def notes(self) -> tuple[str, ...]:
        return tuple(f"{self.role}: reply {n} refused: {one.reason}" for n, one in enumerate(self.refused, start=1))


def ask(
    llm: LLM,
    call: Callable[[Refused | None], tuple[Message, ...]],
    read: Callable[[Reply], T | Refusal],
    *,
    name: str,
    role: Role,
    reasks: int,
    materials: Materials,
    schema: Mapping[str, Any] | None = None,
    first: int = 1,
) -> Answer[T]:
    """Call the model, at most `reasks` more times after replies that `read` refuses.

    `call` writes the conversation; from the second time on it is given the latest refused reply. Requests have the ids
    `name/role/n` with n counted from `first`. Errors of the model pass through.
    """
    refused: list[Refused] = []
    while True:
        messages = call(refused[-1] if refused else None)
        reply = llm.complete(Request(f"{name}/{role}/{first + len(refused)}", role, messages, schema, materials))
        value = read(reply)
        if not isinstance(value, Refusal):
            return Answer(value, tuple(refused), role, reply.text)
        refused.append(Refused(reply.text, value.reason))
        if len(refused) > reasks:
            return Answer(value, tuple(refused), role, reply.text)
