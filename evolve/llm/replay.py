"""The `replay` provider: answers from the calls of an earlier run, so that a search can be repeated without a model.

Tokens and money count as they were recorded: budgets then end the repeated run where they ended the first one (same
configuration, seed and replies, same graph). It reads the two files it needs by itself, since what writes them
(evolve.run) is above the providers: `calls.jsonl`, one call a line, and `artifacts.sqlite`, whose table `artifacts`
holds zlib-compressed UTF-8 by the SHA-256 of the text.
"""

from __future__ import annotations

import hashlib
import sqlite3
import zlib
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from evolve.errors import BadReply, ConfigError
from evolve.llm.base import Reply, Request, Usage
from evolve.plugins import BuildContext, PluginConfig


class Config(PluginConfig):
    """Replies of an earlier run, matched by call and prompt, or by the prompt alone where it had only one reply."""

    kind: Literal["replay"] = "replay"
    run: Path
    """Directory of that run."""

    def build(self, context: BuildContext) -> Replay:
        """Raises ConfigError when that run has no readable calls."""
        run = context.base_dir / self.run
        return Replay(run, read_calls(run / "calls.jsonl"))


class Call(BaseModel):
    """One line of calls.jsonl, as far as a reply needs it."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    id: str
    model: str
    digest: str
    reply_ref: str
    finish: Literal["stop", "length", "other"]
    prompt_tokens: int
    completion_tokens: int
    money_usd: float


def read_calls(path: Path) -> list[Call]:
    """All calls of a run. A torn last line (the run may have been killed) is left out; other damage is a ConfigError."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}", hint="`run` must name the directory of a run") from error
    whole, _, _ = data.rpartition(b"\n")
    calls = []
    for number, line in enumerate(whole.splitlines(), start=1):
        try:
            calls.append(Call.model_validate_json(line))
        except ValidationError as error:
            raise ConfigError(
                f"{path}:{number}: not a call: {error.errors(include_url=False)[0]['msg']}",
                hint="the file is damaged; replay a copy of the run that is not",
            ) from error
    return calls


class Replay:
    """Thread-safe: the calls are read once, and each reply's text through a connection of its own."""

    def __init__(self, run: Path, calls: Sequence[Call]) -> None:
        self._run = run
        self._by_call = {(call.id, call.digest): call for call in calls}
        self._by_digest: dict[str, list[Call]] = {}
        for call in calls:
            self._by_digest.setdefault(call.digest, []).append(call)
        self._ids = {call.id for call in calls}

    def complete(self, request: Request) -> Reply:
        call = self._by_call.get((request.call_id, request.digest)) or self._only(request)
        return Reply(
            text=self._text(call.reply_ref, request.call_id),
            model=call.model,
            usage=Usage(call.prompt_tokens, call.completion_tokens, call.money_usd),
            finish=call.finish,
        )

    def _only(self, request: Request) -> Call:
        same_prompt = self._by_digest.get(request.digest, [])
        if len({call.reply_ref for call in same_prompt}) == 1:
            return same_prompt[0]
        if same_prompt:
            why = f"this prompt had {len(same_prompt)} replies, under other names"
        elif request.call_id in self._ids:
            why = "that call had another prompt"
        else:
            why = "that call was never made"
        raise BadReply(
            f"{self._run}: no reply to call {request.call_id} (prompt {request.digest[:12]}): {why}",
            hint="use the job, seed and prompts of that run, or list a model after `replay` to answer what is new",
        )

    def _text(self, ref: str, call_id: str) -> str:
        path = self._run / "artifacts.sqlite"
        try:
            with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as database:
                row = database.execute("SELECT data FROM artifacts WHERE digest = ?", (ref,)).fetchone()
            text = zlib.decompress(row[0]) if row else b""
        except (sqlite3.Error, zlib.error) as error:
            raise self._lost(call_id, str(error)) from error
        if hashlib.sha256(text).hexdigest() != ref:
            raise self._lost(call_id, "the text is missing or damaged")
        return text.decode("utf-8", "surrogatepass")

    def _lost(self, call_id: str, why: str) -> BadReply:
        return BadReply(
            f"{self._run / 'artifacts.sqlite'}: reply to call {call_id}: {why}",
            hint="replay a copy of the run that is whole",
        )
