"""Drafts that are written at the same time hear of each other, and none waits for ever."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path

import pytest
from run.test_engine import Watch, graph_of, start, work

from evolve.agent.brief import Plan
from evolve.errors import AuthRefused, BudgetSpent, Overloaded
from evolve.run.artifacts import Artifacts
from evolve.run.board import Plans
from evolve.run.calls import read_calls
from evolve.run.journal import encode_commit, read_journal
from evolve.run.rundir import RunDir

NEVER = threading.Event()
FOUR_AT_ONCE = ("search.workers=4", "search.drafts_first=4", "search.drafts=4", "budget.steps=4")
BESIDE = "# Drafts that are being written right now\n"


def beside(run: RunDir) -> dict[str, list[str]]:
    """The plans each draft was told of, by call."""
    told = {}
    with Artifacts(run.artifacts, read_only=True) as artifacts:
        for call in read_calls(run.calls):
            if call.role == "strategist":
                text = json.loads(artifacts.get(call.prompt_ref))[1][1]
                lines = text.split(BESIDE)[1].split("\n\n")[0].split("\n") if BESIDE in text else []
                told[call.id] = [line.removeprefix("- ") for line in lines]
    return told


# the board


def draft(plans: Plans, expansion_id: str, end: Exception | None, *titles: str) -> None:
    expected = pytest.raises(type(end)) if end else nullcontext()
    with expected, plans.drafting(expansion_id):
        for title in titles:
            plans.publish(expansion_id, Plan(title))
        if end:
            raise end


@pytest.mark.parametrize(
    ("end", "titles", "known"),
    [
        (None, ("rows",), Plan("rows")),
        (None, (), None),
        (Overloaded("busy", hint=""), (), None),
        (Overloaded("busy", hint=""), ("rows",), Plan("rows")),
        (AuthRefused("refused", hint=""), ("rows",), Plan("rows")),
    ],
)
def test_a_plan_is_known_once_it_is_made_or_can_no_longer_be(
    end: Exception | None, titles: tuple[str, ...], known: Plan | None
) -> None:
    plans = Plans()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(plans.wait_for, ["n2"], NEVER)
        draft(plans, "n2", end, *titles)
        assert waiting.result(10) == {"n2": known}


@pytest.mark.parametrize("end", [AuthRefused("refused", hint=""), BudgetSpent("tokens"), ZeroDivisionError("a defect")])
def test_a_draft_that_stays_in_flight_without_a_plan_keeps_those_that_wait_in_flight(end: Exception) -> None:
    plans = Plans()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(plans.wait_for, ["n2"], NEVER)
        draft(plans, "n2", end)
        with pytest.raises(BudgetSpent, match=str(end)):
            waiting.result(10)


def test_waiting_can_be_interrupted() -> None:
    interrupt = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(Plans().wait_for, ["n2"], interrupt)
        interrupt.set()
        with pytest.raises(BudgetSpent, match="interrupted"):
            waiting.result(10)


def test_only_drafts_are_remembered() -> None:
    plans, interrupt = Plans(), threading.Event()
    plans.publish("n9", Plan("an improvement"))
    interrupt.set()
    with pytest.raises(BudgetSpent):
        plans.wait_for(["n9"], interrupt)


# whole runs


def test_each_draft_hears_of_those_started_before_it(tmp_path: Path) -> None:
    run = start(tmp_path, ["score = 2.0", "score = 3.0", "score = 4.0"], *FOUR_AT_ONCE)
    assert work(run) == "steps"
    assert [expansion.beside for _, expansion in sorted(graph_of(run).expansions.items())] == [
        (),
        (),
        ("n2",),
        ("n2", "n3"),
    ]
    assert beside(run) == {
        "n2/strategist/1": [],
        "n3/strategist/1": ["score = 2.0"],
        "n4/strategist/1": ["score = 2.0", "score = 3.0"],
    }


@pytest.mark.parametrize("workers", [1, 4])
@pytest.mark.parametrize("judged", [(), ("n2",), ("n3",), ("n2", "n3")])
def test_a_resume_words_the_same_prompts_whatever_was_judged_by_then(
    tmp_path: Path, workers: int, judged: tuple[str, ...]
) -> None:
    run = start(tmp_path, ["score = 2.0", "score = 3.0", "score = 4.0"], *FOUR_AT_ONCE)
    work(run)
    calls, told = run.calls.read_bytes(), beside(run)
    events = list(read_journal(run.journal))
    kept = [event for event in events if event.kind in ("run_started", "expansion_started")]
    for event in events:
        node_id = {
            "node_added": lambda one: one.node.id,
            "reward_backpropagated": lambda one: one.node_id,
            "experience_recorded": lambda one: one.experience.node_id,
        }.get(event.kind, lambda _: None)(event)
        kept += [event] if node_id in ("n1", *judged) else []
    run.journal.write_bytes(b"".join(encode_commit([event]) + b"\n" for event in kept))
    assert work(run, None, f"search.workers={workers}") == "steps"
    assert run.calls.read_bytes() == calls, "no reply was bought twice"
    assert beside(run) == told
    assert graph_of(run).nodes.keys() == {"n1", "n2", "n3", "n4"}


def test_an_abandoned_draft_releases_those_that_wait_and_is_left_out(tmp_path: Path) -> None:
    run = start(tmp_path, ["overloaded", "score = 3.0", "score = 4.0"], *FOUR_AT_ONCE)
    watch = Watch()
    assert work(run, watch) == "steps"
    assert "n2 abandoned: the endpoint is busy" in watch.seen
    assert beside(run) == {"n3/strategist/1": [], "n4/strategist/1": ["score = 3.0"]}


def test_a_draft_that_stays_in_flight_is_heard_of_after_the_resume(tmp_path: Path) -> None:
    run = start(tmp_path, ["refused", "score = 3.0", "score = 4.0"], *FOUR_AT_ONCE)
    with pytest.raises(AuthRefused):
        work(run)
    assert list(graph_of(run).pending) == ["n2", "n3", "n4"]
    assert beside(run) == {}
    run.config.write_text(run.config.read_text().replace("refused", "score = 9.0"))
    assert work(run) == "steps"
    assert beside(run)["n4/strategist/1"] == ["score = 9.0", "score = 3.0"]


def test_drafts_of_coders_alone_are_heard_of_once_they_are_written(tmp_path: Path) -> None:
    run = start(tmp_path, ["score = 2.0", "score = 3.0"], *FOUR_AT_ONCE, "agent.strategist=false")
    assert work(run) == "steps"
    graph = graph_of(run)
    assert {node.cost.calls for node in graph.nodes.values() if node.id != "n1"} == {1}
    assert [graph.nodes[f"n{step}"].title for step in (2, 3)] == ["change score, step"] * 2
    with Artifacts(run.artifacts, read_only=True) as artifacts:
        prompts = {call.id: artifacts.get(call.prompt_ref) for call in read_calls(run.calls)}
    assert prompts.keys() == {"n2/coder/1", "n3/coder/1", "n4/coder/1"}
    assert "change score, step" in prompts["n3/coder/1"]
