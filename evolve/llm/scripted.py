"""The `scripted` provider: replies from a file, or from a function, for tests and reproducible runs.

Which reply a call gets depends on the call alone and never on how many were made before, so an interrupted run that
is resumed gets the replies it would have had. The one exception are errors that pass (`times`), which change no reply.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator, model_validator

from evolve.errors import AuthRefused, BadReply, ConfigError, ContextTooLong, LLMError, Overloaded, RateLimited
from evolve.llm.base import Reply, Request, Role, Usage
from evolve.llm.tokens import estimated_usage
from evolve.plugins import BuildContext, PluginConfig

ErrorKind = Literal["rate_limited", "overloaded", "auth", "context", "bad_reply"]

_CALL_ID = re.compile(r"n(?P<step>\d+)(?:/.*)?/(?P<attempt>\d+)")


class Config(PluginConfig):
    """Replies from a YAML, JSON or JSON-lines file: a list of entries, each a text or a mapping (see `Entry`).

    A call gets the first entry whose `match` is found in its prompt. Otherwise it gets one of the entries without
    `match` for its role (or for any role), by the number of its expansion: the first one belongs to step
    `first_step`, the next one to the step after it, and a re-ask moves on by one.
    """

    kind: Literal["scripted"] = "scripted"
    path: Path
    """The file with the replies."""
    first_step: int = Field(default=2, ge=0)
    """Step that gets the first reply; step 1 is the task's own program, which nobody has to write."""
    cycle: bool = False
    """Start again from the first entry when they are used up, instead of failing."""
    delay_s: float = Field(default=0.0, ge=0)
    """How long a reply takes where its entry does not say."""
    model: str | None = None
    """Name to reply under, e.g. one with a price."""

    def build(self, context: BuildContext) -> Scripted:
        """Raises ConfigError when the file cannot be read."""
        return Scripted(Script(self, read_entries(context.base_dir / self.path)).answer, model=self.model or "scripted")


class Entry(BaseModel):
    """One reply, or one failure, or (with `times`) a reply after some failures."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    text: str | None = None
    role: Role | None = None
    """Only for calls of this role."""
    match: str | None = None
    """Regular expression to be found in the prompt or to be the whole call id; takes precedence over the order."""
    finish: Literal["stop", "length", "other"] = "stop"
    delay_s: float | None = Field(default=None, ge=0)
    prompt_tokens: int | None = Field(default=None, ge=0)
    """Estimated when left out, as are the completion tokens."""
    completion_tokens: int | None = Field(default=None, ge=0)
    error: ErrorKind | None = None
    retry_after_s: float | None = Field(default=None, ge=0)
    times: int | None = Field(default=None, ge=1)
    """How many tries of one call the error meets in this process before the text comes; for ever when left out."""

    @model_validator(mode="before")
    @classmethod
    def _bare_text(cls, raw: Any) -> Any:
        return {"text": raw} if isinstance(raw, str) else raw

    @model_validator(mode="after")
    def _some_outcome(self) -> Entry:
        if self.text is None and (self.error is None or self.times is not None):
            raise ValueError("needs a `text`, or an `error` without `times`")
        return self

    @field_validator("match")
    @classmethod
    def _compiles(cls, pattern: str | None) -> str | None:
        try:
            re.compile(pattern or "")
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from None
        return pattern


_ENTRIES = TypeAdapter(list[Entry])


def read_entries(path: Path) -> list[Entry]:
    """Raises ConfigError with the entry and field that is wrong."""
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".jsonl":
            raw = [json.loads(line) for line in text.splitlines() if line.strip()]
        else:
            raw = yaml.safe_load(text)  # JSON is YAML
        return _ENTRIES.validate_python(raw)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}", hint="`path` starts at the folder of the job file") from error
    except ValidationError as error:
        problems = (
            f"{path}: {'.'.join(str(key) for key in problem['loc']) or 'file'}: {problem['msg']}"
            for problem in error.errors(include_url=False)
        )
        raise ConfigError("\n".join(problems), hint="the file is a list of replies; see `kind: scripted`") from error
    except (ValueError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: {error}", hint="the file must be YAML, JSON or JSON lines") from error


def position(call_id: str, first_step: int) -> int:
    """Place of a call in its role's replies: `n<step>/<role>/<attempt>`, attempts counted from 1; other ids get 0."""
    found = _CALL_ID.fullmatch(call_id)
    if found is None:
        return 0
    return max(0, int(found["step"]) - first_step) + max(0, int(found["attempt"]) - 1)


class Script:
    """Chooses the entry for a call. Thread-safe."""

    def __init__(self, config: Config, entries: Sequence[Entry]) -> None:
        self._config = config
        self._entries = entries
        self._lock = threading.Lock()
        self._failed: Counter[str] = Counter()
        """Tries that met an error, by call."""

    def answer(self, request: Request) -> Reply:
        """Raises the entry's error, or BadReply when there is no entry left."""
        entry = self._entry(request)
        time.sleep(self._config.delay_s if entry.delay_s is None else entry.delay_s)
        if entry.error is not None and self._still_fails(entry, request.call_id):
            raise _error(entry.error, request.call_id, entry.retry_after_s)
        text = entry.text or ""
        guess = estimated_usage(request, text)
        return Reply(
            text=text,
            model=self._config.model or "scripted",
            usage=Usage(
                guess.prompt_tokens if entry.prompt_tokens is None else entry.prompt_tokens,
                guess.completion_tokens if entry.completion_tokens is None else entry.completion_tokens,
            ),
            finish=entry.finish,
        )

    def _still_fails(self, entry: Entry, call_id: str) -> bool:
        with self._lock:
            self._failed[call_id] += 1
            return entry.times is None or self._failed[call_id] <= entry.times

    def _entry(self, request: Request) -> Entry:
        mine = [entry for entry in self._entries if entry.role in (None, request.role)]
        prompt = "\n".join(message.content for message in request.messages)
        for entry in mine:
            if entry.match and (re.search(entry.match, prompt) or re.fullmatch(entry.match, request.call_id)):
                return entry
        queue = [entry for entry in mine if entry.match is None]
        place = position(request.call_id, self._config.first_step)
        if queue and self._config.cycle:
            return queue[place % len(queue)]
        if place < len(queue):
            return queue[place]
        raise BadReply(
            f"{self._config.path}: no reply for call {request.call_id}: it wants number {place + 1} of {len(queue)}",
            hint="add replies, set `cycle: true`, or lower `budget.steps`",
        )


def _error(kind: ErrorKind, call_id: str, retry_after_s: float | None) -> LLMError:
    message, hint = f"scripted {kind} for call {call_id}", "the script wants it so"
    match kind:
        case "rate_limited":
            return RateLimited(message, hint=hint, retry_after_s=retry_after_s)
        case "overloaded":
            return Overloaded(message, hint=hint)
        case "auth":
            return AuthRefused(message, hint=hint)
        case "context":
            return ContextTooLong(message, hint=hint)
        case "bad_reply":
            return BadReply(message, hint=hint)


class Scripted:
    """Answers by a function, which may raise LLMErrors and is called from several threads at once."""

    def __init__(self, answer: Callable[[Request], str | Reply], model: str = "scripted") -> None:
        self._answer = answer
        self._model = model

    def complete(self, request: Request) -> Reply:
        answer = self._answer(request)
        if isinstance(answer, Reply):
            return answer
        return Reply(text=answer, model=self._model, usage=estimated_usage(request, answer))
