"""Whether a run is being worked on, and why it is not. Reads only; never keeps a lock that a run could want."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evolve.run.rundir import RunDir

RUNNING = "running"
INTERRUPTED = "interrupted"
NEVER = "not started"
_TAIL_BYTES = 65536


def state_of(run: RunDir) -> str:
    """`running`, or the reason it stopped; `interrupted` also for a run that was killed."""
    if is_running(run):
        return RUNNING
    last = last_entry(run)
    if last is None:
        return NEVER
    return str(last.get("reason", INTERRUPTED)) if last["what"] == "stopped" else INTERRUPTED


def is_running(run: RunDir) -> bool:
    """Whether some process holds the journal's lock."""
    try:
        fd = os.open(run.journal, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def last_entry(run: RunDir) -> dict[str, Any] | None:
    """The newest entry of the timeline that is complete and not damaged."""
    from evolve.run.timeline import parse_entry

    lines = _tail(run.timeline).splitlines(keepends=True)
    whole = (line for line in reversed(lines) if line.endswith(b"\n"))
    return next(filter(None, map(parse_entry, whole)), None)


def worker_pid(run: RunDir) -> int | None:
    """The process that works on a run, if it is one of this machine that can be seen from here.

    The number that it wrote down counts only while that process has the journal open: numbers are given out again,
    and a container has its own.
    """
    if not is_running(run):
        return None
    pid = next((entry.get("pid") for entry in reversed(_entries(run)) if entry["what"] == "started"), None)
    return pid if isinstance(pid, int) and _has_open(pid, run.journal) else None


def _entries(run: RunDir) -> list[dict[str, Any]]:
    from evolve.run.timeline import read_timeline

    return list(read_timeline(run.timeline))


def _has_open(pid: int, path: Path) -> bool:
    wanted = path.stat()
    try:
        return any(os.path.samestat(wanted, entry.stat()) for entry in Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return False


def _tail(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _TAIL_BYTES))
            return file.read()
    except FileNotFoundError:
        return b""
