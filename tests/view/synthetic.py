"""Run directories with made-up outcomes: what a view reads, without the seconds a real run takes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from evolve.events import Event, ExpansionStarted, NodeAdded, RewardBackpropagated, RunStarted
from evolve.graph import ROOT_ID, Direction, Expansion, Node, Objective, Reference, Selection
from evolve.run.calls import Call
from evolve.run.journal import encode_commit
from evolve.run.rundir import RunDir

SELECTION = Selection("explore", 0.5, 1.4, 1.0)
HOSTILE = 'a"];\x1b[31m\r\n<b>]] \\" #quot; \u202e\u2028end'
"""A title that tries everything: escape codes, quotes, tags, a reversed text, a line break."""


def write_run(path: Path, events: Iterable[Event], timeline: Sequence[dict[str, object]] = ()) -> RunDir:
    path.mkdir(parents=True)
    run = RunDir(path)
    run.config.write_text("name: made-up\n")
    run.manifest.write_text(json.dumps({"base_dir": str(path), "task": "made-up"}))
    run.journal.write_bytes(b"".join(encode_commit([event]) + b"\n" for event in events))
    run.timeline.write_text("".join(json.dumps(entry) + "\n" for entry in timeline))
    return run


def write_calls(run: RunDir, *calls: tuple[str, str, int, int]) -> None:
    """Each as id, role, prompt tokens and completion tokens, at a dollar per thousand of them."""
    with run.calls.open("a") as file:
        for call_id, role, prompt, completion in calls:
            call = Call(
                call_id, role, "m", "d", "p", "r", "stop", prompt, completion, (prompt + completion) / 1000, 1.0
            )
            file.write(json.dumps({name: getattr(call, name) for name in Call.__slots__}) + "\n")


def started(direction: Direction = "maximize", objectives: Sequence[Objective] = ()) -> RunStarted:
    return RunStarted("made-up", direction, 0, tuple(objectives))


def grown(
    step: int,
    parent_id: str = ROOT_ID,
    score: float | None = 1.0,
    title: str = "t",
    reads: Sequence[str] = (),
    **facts: Any,
) -> list[Event]:
    """One node, from its expansion to its reward; `facts` are further fields of the node."""
    node_id, operator = f"n{step}", "initial" if step == 1 else "improve"
    branch_id = node_id if parent_id == ROOT_ID else "n1"
    references = tuple(Reference(source, "fusion") for source in reads)
    expansion = Expansion(node_id, step, operator, parent_id, branch_id, SELECTION, references)
    status = "crashed" if score is None else "scored"
    node = Node(node_id, step, branch_id, operator, parent_id, 1, status, score, title, **facts)
    return [ExpansionStarted(expansion), NodeAdded(node), RewardBackpropagated(node_id, 1.0)]


def pending(step: int, parent_id: str) -> ExpansionStarted:
    return ExpansionStarted(Expansion(f"n{step}", step, "debug", parent_id, "n1", SELECTION))
