"""A file that only grows, a line at a time, and survives a crash in the middle of one. Knows nothing of what it holds."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from evolve.errors import RunError, RunLocked
from evolve.run.disk import needs_room


class LineLog:
    """One writer at a time, by flock. A torn last line, left by a crash, is cut when the log is opened for writing."""

    def __init__(self, path: Path) -> None:
        """Open for appending. Raises RunLocked when another process has it open, RunError when it cannot be written."""
        self._path = path
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise RunError(
                f"{path}: cannot be written: {error.strerror}",
                hint="the run's directory must be there, be yours and have room",
            ) from None
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._fd)
            raise RunLocked(
                f"{path.parent}: another process is working on this run",
                hint="wait for it, or end it with `evolve stop`; look at it with `evolve status`",
            ) from None
        self._end = _after_newline(self._fd, os.fstat(self._fd).st_size)
        os.ftruncate(self._fd, self._end)

    def append(self, line: bytes, *, durable: bool) -> None:
        """Add one line (without its newline). When durable, it is on disk when this returns.

        Raises DiskFull, and then leaves no half line behind.
        """
        data = memoryview(line + b"\n")
        with needs_room(self._path):
            try:
                written = 0
                while written < len(data):
                    written += os.pwrite(self._fd, data[written:], self._end + written)
                if durable:
                    os.fdatasync(self._fd)
            except OSError:
                os.ftruncate(self._fd, self._end)
                raise
        self._end += len(data)

    def last_line(self) -> bytes | None:
        """Without its newline; None while there is no line."""
        if self._end == 0:
            return None
        start = _after_newline(self._fd, self._end - 1)
        return os.pread(self._fd, self._end - 1 - start, start)

    def close(self) -> None:
        """Give up the lock; a second call does nothing."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def read_lines(path: Path) -> Iterator[bytes]:
    """The complete lines, without their newlines; a torn last one is left out, a missing file holds none."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    with file:
        for line in file:
            if not line.endswith(b"\n"):
                return
            yield line[:-1]


def _after_newline(fd: int, end: int) -> int:
    """Where the bytes after the last newline before `end` begin."""
    while end > 0:
        start = max(0, end - 65536)
        newline = os.pread(fd, end - start, start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        end = start
    return 0
