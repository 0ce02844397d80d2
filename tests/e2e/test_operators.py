"""Whole runs over an endpoint in which every operator fires and every kind of edge is stored, for each search policy.

Each run's journal is compared with the one last looked at. After a change that is meant:
EVOLVE_UPDATE_GOLDEN=1 pytest tests/e2e/test_operators.py, then read the diff.
"""

from __future__ import annotations

import itertools
import json
import os
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from e2e.commands import Place, lines_of, program
from pydantic import TypeAdapter

from evolve.events import Event
from evolve.graph import ROOT_ID
from evolve.run.journal import read_journal
from evolve.testing.openai_server import Answer, OpenAIServer, Respond, Seen, completion

GOLDEN = Path(__file__).parent / "golden"
EVENT: TypeAdapter[Event] = TypeAdapter(Event)
DIGESTS = {"candidate_ref", "evaluation_ref", "fingerprint", "error_signature"}

Result = float | None
RESULTS: list[Result] = [None, None, 3, 3, None, 4, 4, None, 1, 5]
"""What comes of n2, n3, ...: a score, or a crash."""
IDEAS = ["spiral", "grid", "greedy", "random", "exact", "mirror", "anneal", "merge", "prune", "cache", "sort", "split"]

MCGS: Mapping[str, Any] = {
    "kind": "mcgs",
    "operators": [
        "draft",
        {"kind": "improve", "when_stagnant": 0.3},
        "debug",
        {"kind": "evolve", "weight": 0.7},
        {"kind": "fuse", "weight": 1.0, "from_progress": 0.0},
        "aggregate",
    ],
    "reward": "rank",
    "drafts": 2,
    "drafts_first": 2,
    "improves": 3,
    "improves_exploiting": 10,
    "widening_factor": 1.0,
    "widening_exponent": 0.5,
    "schedule": "piecewise",
    "exploration": 2.5,
    "exploration_min": 2.5,
    "explore_min": 1.0,
    "patience": 1,
    "aggregations": 1,
}
"""Impatient, so that eleven steps are enough, and explicit where a default could move."""
POLICIES: dict[str, Mapping[str, Any]] = {
    "mcgs": MCGS,
    "mcts": {"kind": "mcts", "drafts": 2, "drafts_first": 2, "exploration": 2.5},
    "greedy": {"kind": "greedy", "drafts": 3},
    "islands": {"kind": "islands", "islands": 2, "migration_interval": 3},
    "best_of_n": {"kind": "best_of_n"},
}


def written(step: int) -> str:
    """The program that becomes node n<step>; no two are the same."""
    result = RESULTS[(step - 2) % len(RESULTS)]
    if result is None:
        return f"def solve():\n    raise ValueError('broken {step}')\n"
    return f"def solve():\n    return {result} + 0 * {step}\n"


def authors() -> Respond:
    """A planner with a new idea every time, and a writer whose programs turn out as in RESULTS.

    The same question gets the same answer.
    """
    lock = threading.Lock()
    ideas, steps = itertools.count(), itertools.count(2)
    answers: dict[str, str] = {}

    def answer(model: str) -> str:
        if model == "writer":
            return program(written(next(steps)))
        number = next(ideas)
        idea = f"{IDEAS[number % len(IDEAS)]} number {number}"
        changes = [{"where": "solve", "what": f"use {idea}"}]
        return json.dumps(
            {"hypothesis": f"try {idea}", "why": "", "changes": changes, "keep": "", "predicted_gain": 0.5}
        )

    def respond(seen: Seen) -> Answer:
        model = str(seen.body["model"])
        question = json.dumps([model, seen.body["messages"]])
        with lock:
            if question not in answers:
                answers[question] = answer(model)
        return completion(answers[question], model=model)

    return respond


def job(place: Place, server: OpenAIServer, search: Mapping[str, Any], steps: int) -> str:
    """A run of the toy task with one worker; the job's path."""
    models = {
        role: {"kind": "openai", "model": model, "base_url": server.base_url}
        for role, model in (("strategist", "planner"), ("coder", "writer"))
    }
    sections = {"search": {**search, "workers": 1}, "agent": {"mode": "whole"}, "budget": {"steps": steps}}
    return place.job(models, **sections)


def run(place: Place, search: Mapping[str, Any], steps: int) -> list[Seen]:
    """The run `one`, and what its authors were asked."""
    with OpenAIServer(authors()) as server:
        done = place.evolve("run", job(place, server, search, steps), "--name", "one", "--json")
    assert done.code == 0, done.err
    return server.requests


def told(place: Place) -> Iterator[str]:
    """The journal's events, one a line. Digests, which differ with folders and versions of Python, become numbers."""
    numbers: dict[str, str] = {}
    for event in read_journal(place.run().journal):
        record = EVENT.dump_python(event, mode="json", warnings="error")
        for facts in (record.get("node", {}), record.get("experience", {})):
            for name in sorted(DIGESTS & facts.keys()):
                if facts[name] is not None:
                    facts[name] = numbers.setdefault(facts[name], f"digest {len(numbers) + 1}")
        yield json.dumps(record, sort_keys=True)


def assert_golden(place: Place, name: str) -> None:
    golden = GOLDEN / f"{name}.jsonl"
    text = "".join(line + "\n" for line in told(place))
    if os.environ.get("EVOLVE_UPDATE_GOLDEN"):
        GOLDEN.mkdir(exist_ok=True)
        golden.write_text(text, encoding="utf-8")
    assert text.splitlines() == golden.read_text(encoding="utf-8").splitlines()


def prompt(seen: Seen) -> str:
    return "\n".join(str(message["content"]) for message in seen.body["messages"])


def test_every_operator_fires_and_every_role_is_stored(place: Place) -> None:
    requests = run(place, MCGS, steps=len(RESULTS) + 1)
    graph = place.graph()
    expansions = graph.expansions
    assert {one.operator for one in expansions.values()} == {
        *("initial", "draft", "improve", "debug", "evolve", "fuse", "aggregate")
    }
    edges = [(source, target, facts["kind"], facts["role"]) for source, target, facts in graph.edges.edges(data=True)]
    references = {(source, target, role) for source, target, kind, role in edges if kind == "reference"}
    assert {role for _, _, role in references} == {"trajectory", "fusion", "aggregation"}
    assert references == {
        (reference.node_id, target, reference.role)
        for target, one in expansions.items()
        for reference in one.references
    }
    assert Counter(target for _, target, kind, _ in edges if kind == "primary") == Counter(list(graph.nodes))
    for step, planned, coded in zip(itertools.count(2), requests[::2], requests[1::2], strict=False):
        assert (planned.body["model"], coded.body["model"]) == ("planner", "writer")
        for reference in expansions[f"n{step}"].references:
            code = written(int(reference.node_id[1:])) if reference.node_id != "n1" else "return 0\n"
            assert code in prompt(planned)
            assert code in prompt(coded)
    assert len(requests) == 2 * len(RESULTS)
    shown = place.evolve("graph", "one").out
    for source, _, role in references:
        assert f"{source} ({role})" in shown
    assert_golden(place, "mcgs")


@pytest.mark.parametrize("kind", [kind for kind in POLICIES if kind != "mcgs"])
def test_the_baselines(place: Place, kind: str) -> None:
    run(place, POLICIES[kind], steps=8)
    graph = place.graph()
    operators = {one.operator for one in graph.expansions.values()}
    roles = {reference.role for one in graph.expansions.values() for reference in one.references}
    assert (
        operators
        == {
            "mcts": {"initial", "draft", "improve", "debug"},
            "greedy": {"initial", "draft", "improve", "debug"},
            "islands": {"initial", "improve"},
            "best_of_n": {"initial", "draft"},
        }[kind]
    )
    assert roles == ({"inspiration"} if kind == "islands" else set())
    if kind == "best_of_n":
        assert {node.parent_id for node in graph.nodes.values()} == {ROOT_ID}
    assert place.evolve("why", "one", f"n{len(graph.nodes)}").code == 0
    assert_golden(place, kind)


@pytest.mark.parametrize("kind", POLICIES)
def test_killed_and_resumed_it_is_the_run_it_would_have_been(place: Place, kind: str) -> None:
    """Byte for byte, with one worker, whatever decides where to grow."""
    with OpenAIServer(authors()) as server:
        path = job(place, server, POLICIES[kind], steps=8)
        assert place.evolve("run", path, "--name", "one").code == 0
        running = place.start("run", path, "--name", "two")
        running.until(lambda: lines_of(place.run("two").journal) >= 8)
        running.killed()
        resumed = place.evolve("resume", "two")
    assert resumed.code == 0, resumed.err
    assert place.run("two").journal.read_bytes() == place.run("one").journal.read_bytes()
