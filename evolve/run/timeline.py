"""When things happened. Not part of the truth: the journal has no clock in it, so that a resumed run can equal one
that was never stopped; what the clock said is kept here."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from evolve.run.linelog import LineLog, read_lines


class Timeline:
    """Counts the active seconds of a run over all its sessions. Used by the engine's thread."""

    def __init__(self, path: Path) -> None:
        self._log = LineLog(path)
        line = self._log.last_line()
        last = parse_entry(line) if line is not None else None
        if line is not None and last is None:
            *_, last = (None, *read_timeline(path))
        self._before_s = float(last.get("active_s", 0.0)) if last else 0.0
        self._began = time.monotonic()

    @property
    def active_s(self) -> float:
        """Seconds during which the run was worked on; a session that crashed counts up to its last entry."""
        return self._before_s + time.monotonic() - self._began

    def note(self, what: str, **facts: Any) -> None:
        entry = {"what": what, "at": round(time.time(), 3), "active_s": round(self.active_s, 3), **facts}
        self._log.append(json.dumps(entry).encode(), durable=False)

    def close(self) -> None:
        self._log.close()


def read_timeline(path: Path) -> Iterator[dict[str, Any]]:
    """Every entry, oldest first, without damaged ones."""
    yield from filter(None, map(parse_entry, read_lines(path)))


def parse_entry(line: bytes) -> dict[str, Any] | None:
    """None for a damaged line: it is not forced to the disk, and what the clock said is not worth a run."""
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) and "what" in entry else None
