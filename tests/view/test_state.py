"""What is said of a run without folding it, and that looking never gets in a run's way."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from view.synthetic import grown, pending, started, write_calls, write_run

from evolve.config import BudgetConfig
from evolve.events import Event, ExpansionAbandoned, NodeAdded
from evolve.graph import Objective, SearchGraph
from evolve.run.journal import Journal
from evolve.run.rundir import RunDir
from evolve.run.timeline import Timeline
from evolve.view.glance import count_nodes, glance
from evolve.view.pace import Pace
from evolve.view.state import is_running, state_of, worker_pid
from evolve.view.summary import Improvement, summarise
from evolve.view.text import status_lines


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


SMALL = st.integers(-3, 3).map(float)
AIMS = (Objective("speed", "maximize"), Objective("size", "minimize"))


@st.composite
def journals(draw: st.DrawFn) -> list[Event]:
    """Nodes of every sort: failed, repeated, with several objectives or some of them missing."""
    aims = draw(st.sampled_from([(), AIMS]))
    events: list[Event] = [started(draw(st.sampled_from(["maximize", "minimize"])), aims)]
    for step in range(1, draw(st.integers(1, 12)) + 1):
        metrics = draw(st.dictionaries(st.sampled_from(["speed", "size"]), SMALL))
        repeated = draw(st.just({}) | st.floats(0, 2).map(lambda error: {"evaluations": 3, "error": error}))
        parent = "n0" if step == 1 else draw(st.sampled_from(["n0", f"n{step - 1}"]))
        events += grown(step, parent, draw(st.none() | SMALL), metrics=metrics, **repeated)
    return events


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(journals())
def test_a_summary_finds_what_the_graph_finds(tmp_path: Path, events: list[Event]) -> None:
    with TemporaryDirectory(dir=tmp_path) as folder:
        summary = summarise(write_run(Path(folder) / "run", events))
    graph = SearchGraph.fold(events)
    assert summary.best == graph.best
    assert summary.noise == graph.noise
    assert [node.id for node in summary.front] == graph.fronts.front()
    assert summary.branches[-1] == pytest.approx(graph.effective_branches)
    if graph.best is not None:
        assert summary.improvements[-1].score == graph.best.score


def test_evaluations_are_counted_where_a_program_ran(tmp_path: Path) -> None:
    events = [
        started(),
        *grown(1, score=1.0, evaluations=3, error=0.1),
        *grown(2, "n1", None),
        *grown(3, "n1", 2.0),
    ]
    twin = grown(4, "n1", None)
    twin[1] = NodeAdded(replace(twin[1].node, status="duplicate"))  # type: ignore[union-attr]
    summary = summarise(write_run(tmp_path / "run", [*events, *twin]))
    assert summary.evaluations == 5
    assert summary.improvements == (Improvement(3, 1.0), Improvement(5, 2.0))


@pytest.mark.parametrize(("failures", "told"), [(7, False), (8, True)])
def test_a_long_row_of_failures_is_told(tmp_path: Path, failures: int, told: bool) -> None:
    valid = grown(1, score=1.0)
    row = [event for step in range(2, 2 + failures) for event in grown(step, "n1", None)]
    summary = summarise(write_run(tmp_path / "run", [started(), *valid, *row]))
    assert summary.failures_in_row == failures
    assert (f"failing  the last {failures} nodes in a row" in list(status_lines(summary))) == told


def test_status_tells_noise_front_branches_and_tokens(tmp_path: Path) -> None:
    events = [
        started(objectives=AIMS),
        *grown(1, score=1.0, metrics={"speed": 1.0, "size": 5.0}, evaluations=3, error=0.5),
        *grown(2, "n1", 3.0, metrics={"speed": 2.0, "size": 5.0}, suspicion="jump of 14 spreads; \x1b[1mreproduced"),
        *grown(3, "n1", 2.0, metrics={"speed": 1.5, "size": 4.0}),
        pending(4, "n3"),
    ]
    run = write_run(tmp_path / "run", events)
    calls = [("n2/coder/1", 1000, 10), ("n2/coder/2", 500, 10), ("n3/coder/1", 100, 10), ("n4/coder/1", 1, 1)]
    write_calls(run, ("n2/strategist/1", "strategist", 200, 20), *((name, "coder", *sizes) for name, *sizes in calls))
    summary = summarise(run)
    lines = list(status_lines(summary))
    assert lines[4:-1] == [
        "best     3 (initial program 1, better by 2)",
        f"         n2 in {run.best}  [suspicious: jump of 14 spreads; [1mreproduced]",
        "noise    0.866 (standard deviation of one evaluation)",
        "front    n2: speed 2, size 5",
        "         n3: speed 1.5, size 4",
        "branches 1.0  ▁▁▁▁",
        "cost     5 calls, 1,852 tokens, $1.8520, 0:00 active",
        "         role        operator  calls  prompt  completion  money    again",
        "         coder       debug     1      1       1           $0.0020  0",
        "         coder       improve   3      1,600   30          $1.6300  1",
        "         strategist  improve   1      200     20          $0.2200  0",
    ]
    data = json.loads(json.dumps(summary.as_dict()))
    assert data["noise"] == pytest.approx(0.8660254)
    assert [one["id"] for one in data["front"]] == ["n2", "n3"]
    assert data["objectives"][1] == {"name": "size", "direction": "minimize"}
    assert data["suspicion"].startswith("jump of 14")
    assert data["usage"][1] == {
        "role": "coder",
        "operator": "improve",
        "calls": 3,
        "prompt_tokens": 1600,
        "completion_tokens": 30,
        "money_usd": pytest.approx(1.63),
        "again": 1,
    }
    assert sum(one["calls"] for one in data["usage"]) == data["cost"]["calls"]


def test_a_repeated_best_is_told_with_its_error(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [started(), *grown(1, score=1.0, evaluations=4, error=0.05)])
    assert "best     1 ± 0.05 (n=4) (initial program 1, no better yet)" in status_lines(summarise(run))


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
