"""What is said of a run without folding it, and that looking never gets in a run's way."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from view.synthetic import grown, pending, started, write_run

from evolve.config import BudgetConfig
from evolve.events import ExpansionAbandoned
from evolve.graph import SearchGraph
from evolve.run.journal import Journal
from evolve.run.rundir import RunDir
from evolve.run.timeline import Timeline
from evolve.view.glance import count_nodes, glance
from evolve.view.pace import Pace
from evolve.view.state import is_running, state_of, worker_pid
from evolve.view.summary import summarise


def test_state_by_lock_and_last_entry(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [started()])
    assert state_of(run) == "not started"
    timeline = Timeline(run.timeline)
    timeline.note("started")
    assert state_of(run) == "interrupted"
    journal = Journal(run.journal)
    assert state_of(run) == "running"
    journal.close()
    timeline.note("stopped", reason="steps")
    timeline.close()
    assert state_of(run) == "steps"
    with run.timeline.open("a") as file:
        file.write('{"what": "torn')
    assert state_of(run) == "steps"


def test_looking_keeps_no_lock(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [started()])
    assert not is_running(run)
    Journal(run.journal).close()


def test_only_a_process_that_has_the_journal_open_is_the_worker(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [started()], [{"what": "started", "pid": os.getpid()}])
    assert worker_pid(run) is None
    journal = Journal(run.journal)
    assert worker_pid(run) == os.getpid()
    run.timeline.write_text('{"what": "started", "pid": 1}\n')
    assert worker_pid(run) is None
    run.timeline.write_text('{"what": "started"}\n')
    assert worker_pid(run) is None
    journal.close()


@pytest.mark.parametrize(("direction", "best"), [("maximize", "n2"), ("minimize", "n1")])
def test_summary_agrees_with_the_graph(tmp_path: Path, direction: str, best: str) -> None:
    events = [
        started(direction),  # type: ignore[arg-type]
        *grown(1, score=1.0),
        *grown(2, "n1", 2.0),
        *grown(3, "n1", None),
        pending(4, "n3"),
        pending(5, "n3"),
        ExpansionAbandoned("n5", "n3", "endpoint down"),
    ]
    run = write_run(tmp_path / "run", events)
    summary = summarise(run)
    graph = SearchGraph.fold(events)
    assert summary.best == graph.best
    assert summary.best is not None
    assert summary.best.id == best
    assert (summary.nodes, summary.in_flight, summary.abandoned) == (3, 1, 1)
    assert summary.statuses == {"crashed": 1, "scored": 2}
    assert summary.initial == graph.nodes["n1"]
    assert summary.as_dict()["best"] == {"id": best, "score": graph.best.score, "path": str(run.path / "best")}  # type: ignore[union-attr]


def test_counting_nodes_is_not_fooled_by_titles_or_a_torn_line(tmp_path: Path) -> None:
    mark = '"kind":"node_added"'
    run = write_run(tmp_path / "run", [started(), *grown(1, title=mark), *grown(2, "n1", title=f"\\{mark}")])
    assert count_nodes(run.journal) == 2
    with run.journal.open("ab") as file:
        file.write(b'{"crc":"0","events":[{"kind":"node_added"')
    assert count_nodes(run.journal) == 2
    assert count_nodes(tmp_path / "missing") == 0


def test_one_bad_run_does_not_hide_the_others(tmp_path: Path) -> None:
    run = RunDir(tmp_path / "bad")
    run.path.mkdir()
    run.manifest.write_text("[1]")
    found = glance(run)
    assert (found.task, found.stop_reason, found.nodes, found.best) == ("?", "not started", 0, None)


def test_pace_by_the_limit_that_is_nearest() -> None:
    clock = iter([0.0, 60.0, 120.0])
    pace = Pace(BudgetConfig(steps=10), 0.0, lambda: next(clock))
    events = [started()]
    first = pace.look(SearchGraph.fold(events))
    assert (first.share, first.per_minute, first.remaining_s) == (0.0, 0.0, None)
    events += [*grown(1), *grown(2, "n1")]
    second = pace.look(SearchGraph.fold(events))
    assert (second.share, second.per_minute, second.remaining_s) == (0.2, 2.0, 240.0)
    events += grown(3, "n1")
    assert pace.look(SearchGraph.fold(events)).remaining_s == pytest.approx(280.0)


def test_hours_of_earlier_sessions_count() -> None:
    clock = iter([0.0, 1800.0])
    pace = Pace(BudgetConfig(hours=2), 3600.0, lambda: next(clock))
    graph = SearchGraph.fold([started()])
    assert pace.look(graph).share == 0.5
    assert pace.look(graph).remaining_s == pytest.approx(1800.0)
