"""Starting from what an earlier run found: which programs, where they are kept, and what stands in the way."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from run.test_engine import graph_of, work
from run.test_racing import start

from evolve.errors import RunError
from evolve.jobfile import load_job
from evolve.run import rundir, session
from evolve.run.rundir import RunDir
from evolve.run.warmstart import best_programs, give

LINES = ["(given)", "score = 5", "score = 9", "broken = 1; score = None", "score = 9", "score = 7"]
TASK = 'initial: ["score = 6", "score = 7"]'


@pytest.fixture
def earlier(tmp_path: Path) -> RunDir:
    """Valid programs that it wrote: 5, 9, 9 (another one) and 7."""
    run = start(tmp_path, LINES, TASK, "budget.steps=7")
    work(run)
    return run


def parts_of(run: RunDir) -> session.Parts:
    return session.build_parts(run.load())


def scores(run: RunDir, count: int) -> list[float | None]:
    return [found.node.score for found in best_programs(run, parts_of(run), count)]


def test_the_best_come_first_and_none_that_the_task_gives(earlier: RunDir) -> None:
    assert scores(earlier, 10) == [9, 9, 7, 5]
    assert scores(earlier, 1) == [9]
    found = best_programs(earlier, parts_of(earlier), 10)
    texts = [one.files["p.py"] for one in found]
    assert len(set(texts)) == 4
    assert not any("score = 6" in text for text in texts)
    assert {one.run for one in found} == {"noisy"}


def test_with_several_objectives_the_front_comes_first(tmp_path: Path) -> None:
    lines = ["a = 1; b = 1; score = 99", "a = 2; b = 1; score = 5", "a = 1; b = 2; score = 6"]
    run = start(tmp_path, lines, 'initial: ["a = 0; b = 0; score = 0"], objectives: [a, b]')
    work(run)
    assert scores(run, 3) == [6, 5, 99]


def warm(earlier: RunDir, name: str = "warm") -> RunDir:
    """A run that starts from the three best of the earlier one."""
    job = load_job(earlier.path.parent.parent / "job.yaml", ["budget.steps=6"])
    parts = session.build_parts(job)
    facts = session.manifest_facts(parts) | give(parts, best_programs(earlier, parts, 3))
    return rundir.create(earlier.path.parent, name, job, facts, parts.task.sheet.given)


def test_they_are_copied_named_and_judged_first(earlier: RunDir) -> None:
    run = warm(earlier)
    assert run.read_manifest()["given"] == [
        {"folder": "given/2", "run": "noisy", "node": "n4", "score": 9},
        {"folder": "given/3", "run": "noisy", "node": "n6", "score": 9},
        {"folder": "given/4", "run": "noisy", "node": "n7", "score": 7},
    ]
    assert (run.path / "given/1/p.py").read_text() == "score = 7\n"
    assert (run.path / "given/2/p.py").read_text().startswith("score = 9\nstep = 4")
    shutil.rmtree(earlier.path)  # the new run needs nothing of it
    work(run, None, "budget.steps=2")
    work(run)
    graph = graph_of(run)
    judged = [(node.operator, node.score) for node in graph.nodes.values()]
    assert judged[:5] == [("initial", 6), ("initial", 7), ("initial", 9), ("initial", 9), ("initial", 7)]
    assert [graph.expansions[f"n{step}"].given for step in range(1, 7)] == [0, 1, 2, 3, 4, None]
    assert graph.best is not None
    assert graph.best.score == 9


def test_a_run_of_a_run_takes_on_what_was_given(earlier: RunDir) -> None:
    second = warm(earlier)
    work(second)
    assert scores(second, 3) == [9, 9, 7]
    third = warm(second, "warmer")
    assert len(third.read_given()) == 4


def test_another_task_is_refused(earlier: RunDir, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = start(tmp_path / "other", ["score = 1"], 'initial: ["score = 3"]')
    with pytest.raises(RunError, match="noisy: a run of another task") as caught:
        best_programs(earlier, parts_of(other), 3)
    assert "task.initial" in caught.value.hint


def test_a_run_without_anything_new_is_refused(tmp_path: Path) -> None:
    run = start(tmp_path, ["(given)", "broken = 1; score = None"], TASK)
    with pytest.raises(RunError, match="no valid program"):
        scores(run, 3)
    work(run)
    with pytest.raises(RunError, match="no valid program"):
        scores(run, 3)


def test_a_missing_file_is_told(earlier: RunDir) -> None:
    earlier.artifacts.unlink()
    with pytest.raises(RunError, match=r"artifacts\.sqlite: cannot be read"):
        scores(earlier, 3)


def test_a_damaged_copy_is_told(earlier: RunDir) -> None:
    run = warm(earlier)
    (run.path / "given/2/p.py").write_bytes(b"\xff")
    with pytest.raises(RunError, match="given/2: cannot be read"):
        work(run)


def test_programs_of_several_files_are_copied_as_they_are(tmp_path: Path) -> None:
    run = start(tmp_path, ["score = 1"], TASK)
    job = run.load()
    programs = [{"main.py": "a\r\n", "lib/b.py": "é"}, {"main.py": ""}]
    made = rundir.create(tmp_path / "runs", "files", job, {}, programs)
    assert list(made.read_given()) == programs
    assert json.loads(made.manifest.read_text())["evolve"]
    assert run.read_given() == ()
