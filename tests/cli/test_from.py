"""A run that starts from several programs: those of its task, and those that an earlier run found."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from cli.conftest import JOB, Place

from evolve.graph import SearchGraph
from evolve.run.journal import read_journal
from evolve.run.rundir import RunDir
from evolve.sandbox.owner import this_process
from evolve.sandbox.process import PREFIX


def graph_of(place: Place, name: str) -> SearchGraph:
    return SearchGraph.fold(read_journal(RunDir(place.runs / name).journal))


@pytest.fixture
def earlier(place: Place) -> Place:
    result = place.evolve("run", str(place.job), "--name", "old", "--set", "budget.steps=12")
    assert result.exit_code == 0, result.output
    return place


def best_of(place: Place, name: str) -> float:
    best = graph_of(place, name).best
    assert best is not None
    assert best.score is not None
    return best.score


def test_a_run_starts_from_the_best_of_an_earlier_one(earlier: Place) -> None:
    result = earlier.evolve("run", str(earlier.job), "--name", "new", "--from", "old", "--from-best", "2")
    assert result.exit_code == 0, result.output
    manifest = RunDir(earlier.runs / "new").read_manifest()
    assert [(one["folder"], one["run"]) for one in manifest["given"]] == [("given/1", "old"), ("given/2", "old")]
    best = manifest["given"][0]
    assert best["score"] == best_of(earlier, "old")
    assert f"given       {best['node']} of old, score {best['score']:.10g}" in result.stderr
    nodes = list(graph_of(earlier, "new").nodes.values())
    assert [node.operator for node in nodes[:4]] == ["initial", "initial", "initial", nodes[3].operator]
    assert nodes[1].score == best["score"]
    assert nodes[3].operator != "initial"


def test_a_resume_needs_the_earlier_run_no_longer(earlier: Place) -> None:
    whole = earlier.evolve("run", str(earlier.job), "--name", "whole", "--from", "old")
    assert whole.exit_code == 0
    journal = RunDir(earlier.runs / "whole").journal
    before = journal.read_bytes()
    journal.write_bytes(b"".join(before.splitlines(keepends=True)[:3]))
    (earlier.runs / "old").rename(earlier.folder / "elsewhere")
    assert earlier.evolve("resume", "whole").exit_code == 0
    assert journal.read_bytes() == before


def test_a_dry_run_shows_them_and_leaves_nothing(earlier: Place) -> None:
    before = sorted(earlier.runs.iterdir())
    data = earlier.data("run", str(earlier.job), "--dry-run", "--from", "old", "--from-best", "1")
    (given,) = data["given"]
    assert (given["run"], given["score"]) == ("old", best_of(earlier, "old"))
    assert "\ngiven       n" in earlier.evolve("run", str(earlier.job), "--dry-run", "--from", "old").stdout
    assert earlier.data("run", str(earlier.job), "--dry-run")["given"] == []
    assert sorted(earlier.runs.iterdir()) == before


def test_a_run_of_another_task_is_refused(earlier: Place) -> None:
    (earlier.folder / "task" / "task.md").write_text("Something else.")
    result = earlier.evolve("run", str(earlier.job), "--name", "new", "--from", "old")
    assert result.exit_code == 3
    first, hint = result.stderr.splitlines()
    assert first.startswith(f"error: {earlier.runs / 'old'}: a run of another task")
    assert hint.startswith("hint: ")
    assert not (earlier.runs / "new").exists()


def test_what_cannot_be_meant_is_refused(place: Place) -> None:
    result = place.evolve("run", str(place.job), "--from-best", "2")
    assert (result.exit_code, "there is no --from" in result.stderr) == (2, True)
    assert place.evolve("run", str(place.job), "--from", "gone").exit_code == 3
    assert place.evolve("run", str(place.job), "--from", "gone", "--from-best", "0").exit_code == 2


def test_a_list_of_programs_is_kept_with_the_run(place_with: Callable[..., Place]) -> None:
    job = JOB.replace("path: task", "path: task, initial: [initial.py, other.py]")
    place = place_with(job=job)
    other = place.folder / "task" / "other.py"
    other.write_text("def solve():\n    return 4.0\n")
    assert place.evolve("run", str(place.job), "--name", "one", "--set", "budget.steps=1").exit_code == 0
    other.write_text("def solve():\n    return 5.0\n")
    result = place.evolve("resume", "one", "--set", "budget.steps=3", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["nodes"] == 3
    second = graph_of(place, "one").nodes["n2"]
    assert (second.operator, second.score) == ("initial", 4.0), "as it was when the run began"


def test_doctor_sweeps_up_after_dead_runs(tmp_path: Path) -> None:
    dead = tmp_path / f"{PREFIX}{replace(this_process(), started=1)}-x"
    dead.mkdir()
    code = (
        "from evolve.cli.doctor import sandbox; from evolve.sandbox.process import Config\n"
        "for _ in range(2): print(sandbox(Config(), 'sandbox process', 'failed').said)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    first, second = done.stdout.splitlines()
    assert first == f"{second}; 1 leftover of dead runs removed"
    assert not dead.exists()
