"""What a sandbox is: a private directory and a way to run programs in it that cannot hurt. Knows no tasks or scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Protocol, Self

from pydantic import Field

from evolve.plugins import PluginConfig

Level = Literal["docker", "namespace", "landlock", "process"]
LEVELS: tuple[Level, ...] = ("docker", "namespace", "landlock", "process")
"""Strongest first."""

ExitStatus = Literal["exited", "timed_out", "out_of_memory", "killed", "output_limit"]
"""`exited`: ended by itself, whatever its exit code; `killed`: ended by a signal nobody here sent."""


class LimitsConfig(PluginConfig):
    """The limits every sandbox enforces as far as its level allows."""

    memory_mb: int = Field(default=1024, ge=64)
    """Memory of the whole process tree; a program that needs more ends as out_of_memory."""
    cpus: float = Field(default=1.0, gt=0)
    """Processor cores one rollout may use."""
    processes: int = Field(default=64, ge=4)
    """Processes and threads one rollout may have."""
    disk_mb: int = Field(default=128, ge=8)
    """Space for the files a program writes."""
    output_kb: int = Field(default=256, ge=1)
    """How much of stdout and of stderr is kept, half from the beginning and half from the end."""


@dataclass(frozen=True, slots=True)
class ExecResult:
    """How one program ended."""

    status: ExitStatus
    exit_code: int | None
    """None unless `exited`."""
    stdout: str
    stderr: str
    """Capped; what was cut is marked in the text."""
    seconds: float
    """Wall time measured outside the program."""


class Conversation(Protocol):
    """A running program spoken to in lines. Not thread-safe."""

    def send(self, line: bytes) -> None:
        """Write one line (no newline inside). Silently dropped once the program has ended."""
        ...

    def receive(self, max_bytes: int) -> bytes | None:
        """The next line without its newline; None when the program ended, broke the limit or ran out of time."""
        ...

    def finish(self) -> ExecResult:
        """Close its stdin, end it if it does not end at once, and say how it ended; `stdout` is then empty."""
        ...


class Sandbox(Protocol):
    """One private, empty working directory. Used by one thread; closed exactly once; nothing of it survives `close`.

    Every method raises `SandboxError` when the sandbox itself fails, never because of what the program does.
    """

    level: Level
    python: tuple[str, ...]
    """How to start Python inside, e.g. ("python3",)."""

    def write(self, files: Mapping[str, bytes]) -> None:
        """Put files under the working directory, folders made as needed. Paths are relative and may not leave it."""
        ...

    def exec(self, argv: Sequence[str], *, timeout_s: float, stdin: bytes = b"") -> ExecResult:
        """Run a program in the working directory to its end; afterwards none of its processes is alive."""
        ...

    def converse(self, argv: Sequence[str], *, timeout_s: float) -> Conversation:
        """Start a program in the working directory and talk to it; `timeout_s` bounds the whole conversation."""
        ...

    def read(self, path: str, *, max_bytes: int) -> bytes | None:
        """A file the program left; None if it is missing, not a plain file (links are not followed) or larger."""
        ...

    def close(self) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class SandboxProvider(Protocol):
    """Opens sandboxes of one level. Thread-safe."""

    level: Level

    def prepare(self) -> None:
        """Check once, before a run, that sandboxes of this level work here, by running a probe program.

        Raises SandboxUnavailable or ImageMissing with what to do about it.
        """
        ...

    def describe(self) -> str:
        """One line for the run's header: the level and what it does not enforce."""
        ...

    def open(self) -> Sandbox: ...

    def sweep(self) -> int:
        """Remove what dead runs left behind (containers, processes, directories); how many things were removed."""
        ...

    def close(self) -> None:
        """End every sandbox still open, from whichever thread; for a stop that cannot wait."""
        ...
