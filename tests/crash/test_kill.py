"""kill -9 at random progress, many times: nothing is lost, bought twice, counted twice or left behind."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import yaml
from leftovers import left_behind

from evolve.graph import SearchGraph
from evolve.run.calls import read_calls
from evolve.run.journal import read_journal
from evolve.run.rundir import RunDir

STEPS = 40
LIMIT_S = 120.0
"""No single wait may take longer; it only bounds a hang."""


def write_job(folder: Path, workers: int) -> Path:
    """A toy task whose programs take a moment, and a slow scripted model with good, broken and hopeless replies."""
    (folder / "task.md").write_text("# Toy\n\nMake the number that `solve()` returns as large as possible.\n")
    (folder / "initial.py").write_text("def solve():\n    return 0\n")
    (folder / "grader.py").write_text("def grade(answer):\n    return {'score': float(answer)}\n")
    replies: list[dict[str, object]] = []
    for number in range(STEPS):
        plan = {"hypothesis": f"idea {number}", "why": "", "changes": [], "keep": "", "predicted_gain": None}
        replies.append({"role": "strategist", "text": json.dumps(plan)})
        match number % 5:
            case 3:
                code = f"def solve():\n    raise ValueError({number})\n"
            case _:
                code = f"def solve():\n    return {number * 7 % 31}\n"
        text = "no program today" if number % 11 == 5 else f"```python path=initial.py\n{code}```\n"
        replies.append({"role": "coder", "text": text})
    (folder / "replies.yaml").write_text(yaml.safe_dump(replies))
    job = {
        "name": "toy",
        "seed": 3,
        "task": {"kind": "program", "path": "."},
        "search": {"workers": workers},
        "llm": {"kind": "scripted", "path": "replies.yaml", "cycle": True, "delay_s": 0.03},
        "sandbox": "process",
        "budget": {"steps": STEPS},
    }
    path = folder / "job.yaml"
    path.write_text(yaml.safe_dump(job))
    return path


def evolve(scratch: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """The command, with `scratch` as the place where sandboxes make their folders."""
    command = [sys.executable, "-m", "evolve", *arguments]
    environment = os.environ | {"TMPDIR": str(scratch)}
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment)


def wait_until(happened: Callable[[], bool], process: subprocess.Popen[bytes]) -> bool:
    """Whether it happened before the process ended."""
    limit = time.monotonic() + LIMIT_S
    while not happened():
        if process.poll() is not None:
            return False
        assert time.monotonic() < limit, "no progress"
        time.sleep(0.002)
    return True


def progress(run: RunDir) -> int:
    """Bytes written to the records of a run: what a kill interrupts."""
    return sum(path.stat().st_size for path in (run.journal, run.calls) if path.exists())


def reached(run: RunDir, target: int) -> bool:
    return progress(run) >= target


def run_with_kills(job: Path, runs: Path, scratch: Path, kills: int, rng: random.Random) -> tuple[RunDir, int]:
    """Kill the run again and again, each time after a random amount of progress; then let it finish."""
    run = RunDir(runs / "toy")
    done = 0
    arguments = ("run", str(job), "--runs", str(runs), "--name", "toy")
    while True:
        process = evolve(scratch, *arguments)
        target = progress(run) + rng.randrange(1, 2500)
        killed = done < kills and wait_until(partial(reached, run, target), process)
        if killed:
            process.send_signal(signal.SIGKILL)
            done += 1
        _, errors = process.communicate(timeout=LIMIT_S)
        if not killed:
            assert process.returncode == 0, errors.decode()
            return run, done
        if run.config.exists():
            arguments = ("resume", str(run.path))


@pytest.mark.slow
@pytest.mark.parametrize(("workers", "kills"), [(1, 28), (3, 28)])
def test_killed_again_and_again(workers: int, kills: int, tmp_path: Path) -> None:
    job = write_job(tmp_path, workers)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    run, done = run_with_kills(job, tmp_path / "runs", scratch, kills, random.Random(workers))
    assert done >= kills * 0.9, "the run ended before it was killed often enough"

    graph = SearchGraph.fold(read_journal(run.journal))
    assert not graph.pending
    assert sorted(graph.nodes, key=lambda name: int(name[1:])) == [f"n{step}" for step in range(1, STEPS + 1)]
    assert all(graph.stats(node_id).visits >= 1 for node_id in graph.nodes)

    bought = Counter(call.id for call in read_calls(run.calls))
    assert set(bought.values()) == {1}
    cost = sum(node.cost.calls for node in graph.nodes.values())
    assert cost == len(bought)

    assert left_behind(tmp_path) == []
    assert [path for path in scratch.rglob("*") if path.is_file()] == []
    if workers == 1:
        whole = RunDir(tmp_path / "whole" / "toy")
        process = evolve(scratch, "run", str(job), "--runs", str(whole.path.parent), "--name", "toy")
        _, errors = process.communicate(timeout=LIMIT_S)
        assert process.returncode == 0, errors.decode()
        assert run.journal.read_bytes() == whole.journal.read_bytes()
