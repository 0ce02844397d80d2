"""The log of paid replies. A reply is durable here before anything uses it, so a crash never pays for it twice."""

from __future__ import annotations

import json
import threading
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from evolve.errors import JournalCorrupt
from evolve.graph import Cost
from evolve.llm.base import Reply, Request, Usage
from evolve.run.artifacts import Artifacts
from evolve.run.linelog import LineLog, read_lines


@dataclass(frozen=True, slots=True)
class Call:
    """One line of `calls.jsonl`. `prompt_ref` and `reply_ref` name texts among the artifacts."""

    id: str
    role: str
    model: str
    digest: str
    """What was asked: digest of role, messages and schema."""
    prompt_ref: str
    reply_ref: str
    finish: Literal["stop", "length", "other"]
    prompt_tokens: int
    completion_tokens: int
    money_usd: float
    seconds: float
    instead_of: str | None = None
    """The provider that was asked first and failed; none, and not written, where the one asked first answered."""

    @property
    def expansion_id(self) -> str:
        return self.id.partition("/")[0]

    @property
    def cost(self) -> Cost:
        return Cost(1, self.prompt_tokens, self.completion_tokens, self.money_usd)


class CallLog:
    """Thread-safe. Keeps in memory only the totals and the calls of expansions that have not finished."""

    def __init__(self, path: Path, artifacts: Artifacts, settled: Cost, unfinished: Collection[str]) -> None:
        """`settled`: cost of everything that has finished; `unfinished`: ids of the expansions in flight, whose replies
        are served again. Only lines that may be theirs are parsed: a long run has many others.
        """
        self._log = LineLog(path)
        self._artifacts = artifacts
        self._lock = threading.Lock()
        self._paid: dict[str, Call] = {}
        self._costs: dict[str, Cost] = {}
        self.total = settled
        """What every call of the run has cost so far."""
        marks = [f'"{expansion_id}/'.encode() for expansion_id in unfinished]
        for number, line in enumerate(read_lines(path), start=1):
            if any(mark in line for mark in marks):
                call = _parse(path, number, line)
                if call.expansion_id in unfinished:
                    self._remember(call)
                    self.total += call.cost

    def find(self, request: Request) -> Reply | None:
        with self._lock:
            call = self._paid.get(request.call_id)
        if call is None or call.digest != request.digest:
            return None
        usage = Usage(call.prompt_tokens, call.completion_tokens, call.money_usd)
        return Reply(self._artifacts.get(call.reply_ref), call.model, usage, call.finish, call.instead_of)

    def record(self, request: Request, reply: Reply, seconds: float) -> None:
        """Raises DiskFull."""
        prompt = json.dumps([[message.role, message.content] for message in request.messages], ensure_ascii=False)
        call = Call(
            id=request.call_id,
            role=request.role,
            model=reply.model,
            digest=request.digest,
            prompt_ref=self._artifacts.put(prompt),
            reply_ref=self._artifacts.put(reply.text),
            finish=reply.finish,
            prompt_tokens=reply.usage.prompt_tokens,
            completion_tokens=reply.usage.completion_tokens,
            money_usd=reply.usage.money_usd,
            seconds=round(seconds, 3),
            instead_of=reply.instead_of,
        )
        self._artifacts.flush()
        line = json.dumps({key: value for key, value in asdict(call).items() if value is not None}).encode()
        with self._lock:
            self._log.append(line, durable=True)
            self.total += call.cost
            self._remember(call)

    def settle(self, expansion_id: str) -> Cost:
        """What the calls of one expansion cost; afterwards they are no longer kept in memory."""
        with self._lock:
            for call_id in [call_id for call_id in self._paid if call_id.partition("/")[0] == expansion_id]:
                del self._paid[call_id]
            return self._costs.pop(expansion_id, Cost())

    def close(self) -> None:
        self._log.close()

    def _remember(self, call: Call) -> None:
        self._paid[call.id] = call
        self._costs[call.expansion_id] = self._costs.get(call.expansion_id, Cost()) + call.cost


def read_calls(path: Path) -> Iterator[Call]:
    """Every call, oldest first. Raises JournalCorrupt naming file and line."""
    for number, line in enumerate(read_lines(path), start=1):
        yield _parse(path, number, line)


def _parse(path: Path, number: int, line: bytes) -> Call:
    try:
        return Call(**json.loads(line))
    except (ValueError, TypeError):
        raise JournalCorrupt(
            f"{path}:{number}: this line is damaged",
            hint="restore the file from a backup, or delete the line: only what it cost is forgotten, and a reply that "
            "is still needed is bought again",
        ) from None
