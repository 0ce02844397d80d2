"""The `manual` provider: writes each prompt to a file and waits until a person or a tool puts a reply beside it.

    RUN/manual/n12-coder-1.prompt.md    written here, whole, before the wait begins
    RUN/manual/n12-coder-1.reply.md     the answer; may be there beforehand

A reply is taken once it is not empty and two looks in a row find the same size and time of change; renaming a
finished file into place is the safest way to hand one in. Nothing is counted as tokens.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from pathlib import Path
from typing import Literal

from pydantic import Field

from evolve.errors import BadReply, BudgetSpent, ConfigError
from evolve.llm.base import Message, Reply, Request
from evolve.plugins import BuildContext, PluginConfig

logger = logging.getLogger(__name__)


class Config(PluginConfig):
    """A person, or another tool, answers through files in the run directory."""

    kind: Literal["manual"] = "manual"
    poll_s: float = Field(default=0.5, gt=0)
    """Pause between two looks for a reply."""
    timeout_s: float | None = Field(default=None, gt=0)
    """Longest wait for one reply; as long as it takes when left out."""

    def build(self, context: BuildContext) -> Manual:
        """Raises ConfigError outside a run."""
        if context.run_dir is None:
            raise ConfigError(
                "llm: kind manual works only in a run: prompts and replies are files of its directory",
                hint="start a run, or choose another provider here",
            )
        return Manual(context.run_dir / "manual", self)


class Manual:
    """Thread-safe: each call has files of its own."""

    def __init__(self, folder: Path, config: Config) -> None:
        self._folder = folder
        self._config = config
        self._stop = threading.Event()

    def interrupt_by(self, stop: threading.Event) -> None:
        """End waits with BudgetSpent once `stop` is set; the prompts stay, and a resume waits for them again."""
        self._stop = stop

    def complete(self, request: Request) -> Reply:
        name = re.sub(r"[^A-Za-z0-9._-]", "-", request.call_id)
        prompt_path = self._folder / f"{name}.prompt.md"
        reply_path = self._folder / f"{name}.reply.md"
        try:
            self._ask(prompt_path, reply_path, _page(request.messages))
            logger.warning("%s waits for a reply to %s in %s", request.call_id, prompt_path, reply_path.name)
            data = self._await(reply_path)
        except OSError as error:
            raise BadReply(
                f"{error.filename or self._folder}: {error.strerror}",
                hint="prompts and replies are files of the run directory: it must be writable and have room",
            ) from error
        return Reply(text=data.decode("utf-8-sig", "replace"), model="manual")

    def _ask(self, prompt_path: Path, reply_path: Path, page: bytes) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        if prompt_path.exists() and prompt_path.read_bytes() != page and reply_path.exists():
            # It answers another prompt of that name; a person's work is set aside, not lost.
            reply_path.replace(reply_path.with_suffix(".stale.md"))
        half = prompt_path.with_suffix(".tmp")
        half.write_bytes(page)
        half.replace(prompt_path)

    def _await(self, path: Path) -> bytes:
        """The file's bytes once it is finished."""
        waiting_since_s = time.monotonic()
        seen: tuple[int, int] | None = None
        while True:
            now = _look(path)
            if now is not None and now == seen:
                return path.read_bytes()
            seen = now
            waited_s = time.monotonic() - waiting_since_s
            if self._config.timeout_s is not None and waited_s > self._config.timeout_s:
                raise BadReply(
                    f"{path}: no reply within {self._config.timeout_s:g} s",
                    hint="raise `timeout_s`, or leave it out to wait as long as it takes",
                )
            if self._stop.wait(self._config.poll_s):
                raise BudgetSpent("stopped")


def _look(path: Path) -> tuple[int, int] | None:
    """Size and time of change of a file; None if it is missing or empty."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return (found.st_size, found.st_mtime_ns) if found.st_size else None


def _page(messages: tuple[Message, ...]) -> bytes:
    parts = [f"<!-- {message.role} -->\n\n{message.content}\n" for message in messages]
    return "\n".join(parts).encode("utf-8", "replace")
