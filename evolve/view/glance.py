"""A line of `evolve ls`: quick enough for many large runs, because no journal is folded for it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evolve.view.state import last_entry, state_of

if TYPE_CHECKING:
    from evolve.run.rundir import RunDir

_ADDED = b'"kind":"node_added"'
"""Only an event has it: quotes inside a JSON text are escaped."""


@dataclass(frozen=True, slots=True)
class Glance:
    run: str
    """Absolute path."""
    name: str
    task: str
    stop_reason: str
    nodes: int
    best: dict[str, Any] | None
    """Id and score of the published best."""
    active_s: float
    last_at: float | None
    """Seconds since the epoch of the last thing that happened."""


def glance(run: RunDir) -> Glance:
    card = _read_object(run.best / "score.json")
    last = last_entry(run) or {}
    return Glance(
        run=str(run.path.resolve()),
        name=run.name,
        task=str(_read_object(run.manifest).get("task", "?")),
        stop_reason=state_of(run),
        nodes=count_nodes(run.journal),
        best={"id": card.get("id"), "score": card.get("score")} if card else None,
        active_s=float(last.get("active_s", 0.0)),
        last_at=last.get("at"),
    )


def count_nodes(journal: Path) -> int:
    """Nodes in a journal, found by their mark instead of being read; a torn last line does not count."""
    try:
        data = journal.read_bytes()
    except FileNotFoundError:
        return 0
    return data.count(_ADDED, 0, data.rfind(b"\n") + 1)


def _read_object(path: Path) -> dict[str, Any]:
    """Empty where the file is missing or damaged: one bad run must not hide the others."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
