"""Start from what an earlier run of the same task has found: its best programs become given programs of the new run."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

from evolve.agent.fingerprint import fingerprint
from evolve.errors import RunError
from evolve.graph import Node, SearchGraph
from evolve.llm.base import Files
from evolve.run.artifacts import Artifacts
from evolve.run.journal import read_journal
from evolve.run.rollout import load_candidate
from evolve.run.rundir import RunDir
from evolve.run.session import Parts, manifest_facts
from evolve.tasks.base import TaskSheet


@dataclass(frozen=True, slots=True)
class Found:
    """A program of an earlier run."""

    run: str
    node: Node
    files: Files


def best_programs(run: RunDir, parts: Parts, count: int) -> list[Found]:
    """The best valid programs of a run, best first, that the task does not give already.

    Raises RunError when the run is one of another task, or has no such program.
    """
    sheet = parts.task.sheet
    graph = SearchGraph.fold(read_journal(run.journal))
    same_task = run.read_manifest().get("task_digest") == manifest_facts(parts)["task_digest"]
    if not same_task or graph.direction != sheet.direction:
        raise RunError(
            f"{run.path}: a run of another task, or the task has changed since: its scores mean something else",
            hint="to start from its programs all the same, copy them with `evolve best` and name them in task.initial",
        )
    with closing(_new_programs(run, graph, sheet)) as programs:
        found = list(itertools.islice(programs, count))
    if not found:
        raise RunError(
            f"{run.path}: it found no valid program but those the task gives already", hint="leave out --from"
        )
    return found


def give(parts: Parts, found: Sequence[Found]) -> dict[str, Any]:
    """Make them given programs of the task; what the manifest says of that."""
    sheet = parts.task.sheet
    first = 1 + len(sheet.given)
    parts.task.sheet = replace(sheet, given=(*sheet.given, *(one.files for one in found)))
    return {
        "given": [
            {"folder": f"given/{number}", "run": one.run, "node": one.node.id, "score": one.node.score}
            for number, one in enumerate(found, start=first)
        ]
    }


def _new_programs(run: RunDir, graph: SearchGraph, sheet: TaskSheet) -> Generator[Found, None, None]:
    """Valid programs, best first, each once, without those the task gives."""
    known = {fingerprint(files) for files in (sheet.initial, *sheet.given)}
    nodes = _best_first(graph)
    if not nodes:
        return
    try:
        with Artifacts(run.artifacts, read_only=True) as artifacts:
            for node in nodes:
                files = load_candidate(node, artifacts)["files"]
                program = fingerprint(files)
                if program not in known:
                    known.add(program)
                    yield Found(run.name, node, files)
    except sqlite3.Error as error:
        raise RunError(f"{run.artifacts}: cannot be read: {error}", hint="restore it from a backup") from None


def _best_first(graph: SearchGraph) -> list[Node]:
    """Valid nodes; with several objectives the Pareto fronts come first."""
    rank = {node_id: number for number, front in enumerate(graph.fronts.ranked()) for node_id in front}
    valid = [node for node in graph.nodes.values() if node.valid]
    return sorted(valid, key=lambda node: (rank.get(node.id, len(rank)), -graph.utility(node.score or 0.0)))
