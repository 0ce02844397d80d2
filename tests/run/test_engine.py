"""The loop over fakes of the protocols: what is recorded, what is abandoned, what stops a run, what a resume does."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from search.simulation import Simulation
from search.test_laws import assert_conserved

from evolve.errors import AuthRefused, ConfigError, ImageMissing, ServiceError
from evolve.graph import Cost, Expansion, Node, SearchGraph
from evolve.jobfile import load_job
from evolve.run import rundir, session
from evolve.run.journal import read_journal
from evolve.run.rundir import RunDir
from evolve.search.policies import mcgs


class Watch:
    """Notes what happens, and may act on it."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def started(self, graph: SearchGraph, expansion: Expansion) -> None:
        self.seen.append(f"{expansion.id} {expansion.operator}")

    def added(self, graph: SearchGraph, node: Node) -> None:
        self.seen.append(f"{node.id} {node.status}")

    def abandoned(self, graph: SearchGraph, expansion: Expansion, reason: str) -> None:
        self.seen.append(f"{expansion.id} abandoned: {reason}")


def start(folder: Path, lines: list[str], *settings: str) -> RunDir:
    path = folder / "job.yaml"
    path.write_text(
        "name: fake\ntask: run.fake_task\nsandbox: process\nsearch: {workers: 1}\n"
        f"llm: {{kind: run.fake_llm, lines: {lines}, retry: {{attempts: 1, breaker: 99}}}}\n"
    )
    job = load_job(path, settings)
    return rundir.create(folder / "runs", "fake", job, session.manifest_facts(session.build_parts(job)))


def work(run: RunDir, watch: Watch | None = None, *settings: str) -> str:
    job = run.load(settings)
    parts = session.build_parts(job)
    with session.open_engine(run, job, parts, watch or Watch(), threading.Event()) as engine:
        return engine.run()


def replayed(run: RunDir) -> Simulation:
    return Simulation(mcgs.Config(), events=list(read_journal(run.journal)))


def graph_of(run: RunDir) -> SearchGraph:
    return SearchGraph.fold(read_journal(run.journal))


def test_a_run_to_its_budget(tmp_path: Path) -> None:
    run = start(tmp_path, ["score = 3.0", "broken = 1", "score = 2.0"], "budget.steps=4")
    watch = Watch()
    assert work(run, watch) == "steps"
    assert [line for line in watch.seen if "scored" in line or "crashed" in line] == [
        "n1 scored",
        "n2 scored",
        "n3 crashed",
        "n4 scored",
    ]
    graph = graph_of(run)
    assert_conserved(replayed(run))
    assert graph.best is not None
    assert graph.best.id == "n2"
    assert graph.nodes["n2"].cost == Cost(2, 200, 20)
    assert graph.nodes["n3"].error_signature
    assert (run.best / "p.py").read_text() == "score = 3.0\nstep = 2\n"


def test_the_target_ends_a_run(tmp_path: Path) -> None:
    run = start(tmp_path, ["score = 3.0"], "budget.steps=50", "budget.target_score=2.5")
    assert work(run) == "target_score"
    assert len(graph_of(run).nodes) == 2


def test_a_spent_budget_leaves_the_expansion_in_flight_and_a_resume_finishes_it(tmp_path: Path) -> None:
    run = start(tmp_path, ["score = 3.0", "score = 4.0"], "budget.tokens=300", "budget.steps=4")
    assert work(run) == "tokens"
    graph = graph_of(run)
    assert (list(graph.nodes), list(graph.pending)) == (["n1", "n2"], ["n3"])
    assert work(run, None, "budget.tokens=10000") == "steps"
    graph = graph_of(run)
    assert list(graph.nodes) == ["n1", "n2", "n3", "n4"]
    assert graph.nodes["n3"].cost.calls == 2, "its plan was paid for before the resume and counts once"


def test_a_service_that_fails_in_passing_costs_an_expansion_and_no_node(tmp_path: Path) -> None:
    run = start(tmp_path, ["overloaded", "score = 3.0"], "budget.steps=3")
    watch = Watch()
    assert work(run, watch) == "steps"
    assert "n2 abandoned: the endpoint is busy" in watch.seen
    graph = graph_of(run)
    assert list(graph.nodes) == ["n1", "n3", "n4"]
    assert_conserved(replayed(run))


def test_several_lost_expansions_in_a_row_stop_the_run(tmp_path: Path) -> None:
    run = start(tmp_path, ["overloaded"], "budget.steps=50")
    with pytest.raises(ServiceError, match="busy"):
        work(run)
    graph = graph_of(run)
    assert (list(graph.nodes), list(graph.pending), graph.steps) == (["n1"], [], 4)


def test_a_refused_key_stops_at_once_and_keeps_the_expansion_for_a_resume(tmp_path: Path) -> None:
    run = start(tmp_path, ["refused"], "budget.steps=3")
    with pytest.raises(AuthRefused):
        work(run)
    assert list(graph_of(run).pending) == ["n2"]
    text = run.config.read_text()
    run.config.write_text(text.replace("refused", "score = 9.0"))
    assert work(run) == "steps"
    assert graph_of(run).nodes["n2"].score == 9.0


def test_a_sandbox_out_of_order_for_a_moment_is_tried_again(tmp_path: Path) -> None:
    run = start(tmp_path, ["engine_away = 1"], "budget.steps=2")
    watch = Watch()
    work(run, watch)
    assert "n2 scored" in watch.seen


def test_an_interrupted_pause_leaves_the_expansion_in_flight(tmp_path: Path) -> None:
    run = start(tmp_path, ["engine_away = 99"], "budget.steps=9")
    job = run.load()
    interrupt = threading.Event()
    interrupt.set()
    with session.open_engine(run, job, session.build_parts(job), Watch(), interrupt) as engine:
        assert engine.run() == "interrupted"
    assert list(graph_of(run).pending) == ["n2"]


@pytest.mark.parametrize(
    ("line", "error"),
    [("image_gone = 1", ImageMissing), ("grader_broken = 1", ConfigError), ("defect = 1", ZeroDivisionError)],
)
def test_what_no_candidate_is_to_blame_for_stops_the_run(tmp_path: Path, line: str, error: type[Exception]) -> None:
    run = start(tmp_path, [line], "budget.steps=9")
    with pytest.raises(error):
        work(run)
    assert (list(graph_of(run).nodes), list(graph_of(run).pending)) == (["n1"], ["n2"])


def test_the_same_program_is_asked_for_once_more_and_never_run_again(tmp_path: Path) -> None:
    lines = ["score = 1.0", "same = 1", "same = 1", "score = 4.0"]
    run = start(tmp_path, lines, "budget.steps=5", "agent.novelty=false")
    work(run)
    graph = graph_of(run)
    assert [(node.status, node.twin_id) for node in graph.nodes.values()][2:4] == [
        ("crashed", None),
        ("duplicate", "n3"),
    ]
    assert graph.nodes["n4"].cost.calls == 3, "plan, program, and the program once more"


def test_what_a_review_replaced_may_be_written_again(tmp_path: Path) -> None:
    model = "{kind: run.fake_llm, lines: [same = 1]}"
    run = start(tmp_path, [], "budget.steps=3", f"llm={{coder: {model}, reviewer: {model}}}")
    work(run)
    graph = graph_of(run)
    assert [(node.status, node.score) for node in graph.nodes.values()][1:] == [("scored", 7.0), ("crashed", None)]


def test_the_stop_file_ends_a_run_and_a_resume_removes_it(tmp_path: Path) -> None:
    run = start(tmp_path, ["score = 3.0"], "budget.steps=5")

    class Stopping(Watch):
        def added(self, graph: SearchGraph, node: Node) -> None:
            run.stop.touch()

    assert work(run, Stopping()) == "stop_file"
    assert list(graph_of(run).nodes) == ["n1"]
    assert work(run) == "steps"
    assert len(graph_of(run).nodes) == 5


def test_best_is_put_back_if_a_crash_came_before_it(tmp_path: Path) -> None:
    run = start(tmp_path, ["score = 3.0"], "budget.steps=2")
    work(run)
    run.best.unlink()
    work(run)
    assert (run.best / "p.py").read_text() == "score = 3.0\nstep = 2\n"


def test_operators_that_cannot_open_a_branch_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="root"):
        start(tmp_path, ["score = 1.0"], "search.operators=[improve]")


def test_more_workers_after_a_resume(tmp_path: Path) -> None:
    run = start(tmp_path, ["score = 3.0"], "budget.steps=2")
    work(run)
    assert work(run, None, "search.workers=4", "budget.steps=12") == "steps"
    graph = graph_of(run)
    assert sorted(graph.nodes) == sorted(f"n{step}" for step in range(1, 13))
    assert_conserved(replayed(run))
