"""Runs that buy their replies from an endpoint: what is counted, what is told, and how they go on after it failed."""

from __future__ import annotations

import itertools
import socket
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from e2e.commands import Place, containers_of, lines_of, plan, returning

from evolve.testing.openai_server import Answer, OpenAIServer, Respond, Seen, completion, failure

GOOD, BAD = "sk-good-0123456789", "sk-bad-9876543210"
CALL_TOKENS = 15
"""What `completion` counts for a call, and at these prices a call costs 0.02 USD."""
PRICES = {name: {"prompt_usd": 1000, "completion_usd": 2000} for name in ("planner", "writer")}
QUICK = {"attempts": 2, "wait_s": 0.01, "breaker": 2}


def models(url: str, **more: Any) -> dict[str, Any]:
    """A strategist and a coder behind one endpoint, told apart by their names."""
    planner = {"kind": "openai", "model": "planner", "base_url": url, "api_key_env": "TOY_KEY"}
    return {"strategist": planner, "coder": {**planner, "model": "writer"}, "prices": PRICES, "retry": QUICK, **more}


def by_model(**answers: Sequence[Answer]) -> Respond:
    """Each model gives its answers in order and then plans, or programs that return 100, 101, ..."""
    lock = threading.Lock()
    left = {name: iter(some) for name, some in answers.items()}
    numbers = itertools.count(100)

    def respond(seen: Seen) -> Answer:
        name = seen.body["model"]
        with lock:
            given = next(left.get(name, iter(())), None)
            number = next(numbers)
        if given is not None:
            return given
        return completion(plan(f"idea {number}") if name == "planner" else returning(number), model=name)

    return respond


def say(text: str, model: str = "writer") -> Answer:
    return completion(text, model=model)


def counted(respond: Respond) -> tuple[Respond, list[Answer]]:
    """The same, keeping every answer it gives."""
    given: list[Answer] = []

    def counting(seen: Seen) -> Answer:
        answer = respond(seen)
        given.append(answer)
        return answer

    return counting, given


def free_port() -> int:
    """A port of loopback where nobody listens."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def mentions(folder: Path, *words: str) -> list[str]:
    """Files below the folder that hold one of the words."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return [str(path) for path in files if any(word.encode() in path.read_bytes() for word in words)]


@pytest.fixture
def keyed(place: Place) -> Callable[[str], Place]:
    return lambda key: replace(place, environment={"TOY_KEY": key})


@pytest.mark.parametrize("sandbox", ["process", pytest.param("docker", marks=pytest.mark.docker)])
def test_a_run_with_good_bad_and_late_replies(
    keyed: Callable[[str], Place], sandbox: str, request: pytest.FixtureRequest
) -> None:
    if sandbox == "docker":
        request.getfixturevalue("engine")
    writer = [
        say(returning(7)),  # n2
        say("Here is what I would do."),  # n3, and then
        say(returning(3)),
        say("no program today"),  # n4, which stays without one
        say("no program today either"),
        failure(429, "slow down", headers={"Retry-After": "1"}),  # n5
        say(returning(9)),
    ]
    place = keyed(GOOD)
    with OpenAIServer(by_model(writer=writer)) as server:
        job = place.job(models(server.base_url), budget={"steps": 5})
        done = place.evolve("run", job, "--name", "one", "--json", "--set", f"sandbox={sandbox}")
    assert done.code == 0, done.err
    assert {seen.headers["authorization"] for seen in server.requests} == {f"Bearer {GOOD}"}
    assert "n5/coder/1: try 1: writer at " in done.err
    assert "slow down; again in 1.0 s" in done.err
    assert (done.data["stop_reason"], done.data["nodes"]) == ("steps", 5)
    assert (done.data["best"]["id"], done.data["best"]["score"]) == ("n5", 9.0)
    assert (place.run().best / "initial.py").read_text() == "def solve():\n    return 9\n"

    nodes = place.graph().nodes
    assert {name: node.status for name, node in nodes.items()} == {
        "n1": "scored",
        "n2": "scored",
        "n3": "scored",
        "n4": "no_code",
        "n5": "scored",
    }
    assert {node.level for node in nodes.values() if node.status == "scored"} == {sandbox}
    assert [nodes[name].cost.calls for name in nodes] == [0, 2, 3, 3, 2]
    assert done.data["cost"] == {
        "calls": 10,
        "prompt_tokens": 100,
        "completion_tokens": 50,
        "money_usd": pytest.approx(0.2),
    }
    _, _, repaired = place.data("why", "one", "n3")["calls"]
    assert repaired["reply"] == returning(3)
    assert repaired["messages"][-2]["content"] == "Here is what I would do."
    why = place.evolve("why", "one", "n4").out
    assert "call n4/coder/2  writer, 10 + 5 tokens, $0.0200, " in why
    assert "no program today either" in why
    assert "status    no_code" in why
    assert mentions(place.run().path, GOOD) == []
    if sandbox == "docker":
        assert containers_of(done.pid) == []


def test_a_refused_key(keyed: Callable[[str], Place]) -> None:
    answer = by_model()

    def respond(seen: Seen) -> Answer:
        key = seen.headers["authorization"].removeprefix("Bearer ")
        return answer(seen) if key == GOOD else failure(401, f"Incorrect API key provided: {key}")

    with OpenAIServer(respond) as server:
        place = keyed(BAD)
        job = place.job(models(server.base_url), search={"workers": 3})
        refused = place.evolve("run", job, "--name", "one", "--json")
        assert refused.code == 4
        error, hint = refused.told
        assert "401: Incorrect API key provided: [key]" in error
        assert hint == "check the key in TOY_KEY and that it may use planner"
        assert 1 <= len(server.requests) <= 3
        assert (refused.data["stop_reason"], refused.data["cost"]["calls"]) == ("error", 0)
        assert place.data("status", "one")["abandoned"] == 0
        assert BAD not in refused.out + refused.err
        assert mentions(place.folder, BAD) == []

        accepted = keyed(GOOD).evolve("resume", "one", "--json")
    assert accepted.code == 0, accepted.err
    assert accepted.data["nodes"] == 4
    assert not place.graph().pending
    assert mentions(place.folder, GOOD, BAD) == []


def test_a_dead_endpoint(place: Place) -> None:
    port = free_port()
    job = place.job(models(f"http://127.0.0.1:{port}/v1"))
    dead = place.evolve("run", job, "--name", "one")
    assert dead.code == 4
    error, hint = dead.told
    assert error.startswith("planner is given up: 2 calls in a row failed; the last: planner at http://127.0.0.1:")
    assert "Connection refused" in error
    assert "resume" in hint
    assert dead.err.count(": try 1: ") == 2
    assert ": try 2: " not in dead.err
    (waiting,) = place.graph().pending
    with OpenAIServer(by_model(), port):
        done = place.evolve("resume", "one", "--json")
    assert done.code == 0, done.err
    assert (done.data["stop_reason"], done.data["nodes"]) == ("steps", 4)
    assert place.graph().nodes[waiting].status == "scored"


@pytest.mark.parametrize("workers", [1, 3])
def test_an_endpoint_that_dies_and_comes_back(place: Place, workers: int) -> None:
    respond, given = counted(by_model())
    with OpenAIServer(respond) as server:
        job = place.job(models(server.base_url), search={"workers": workers}, budget={"steps": 12})
        running = place.start("run", job, "--name", "one")
        running.until(lambda: lines_of(place.run().calls) >= 7)
    stopped = running.ended()
    assert stopped.code == 4
    assert "is given up: 2 calls in a row failed" in stopped.told[0]
    assert len(place.calls()) == len(given)
    with OpenAIServer(respond, server.port):
        done = place.evolve("resume", "one", "--json")
    assert done.code == 0, done.err
    assert done.data["nodes"] == 12
    bought = Counter(call.id for call in place.calls())
    assert set(bought.values()) == {1}
    assert len(bought) == len(given), "a recorded reply was asked for again"
    assert sum(node.cost.calls for node in place.graph().nodes.values()) <= len(bought)


@pytest.mark.parametrize(
    ("workers", "limit", "amount", "of_a_call"), [(3, "tokens", 100, CALL_TOKENS), (1, "money_usd", 0.125, 0.02)]
)
def test_a_spent_budget(place: Place, workers: int, limit: str, amount: float, of_a_call: float) -> None:
    with OpenAIServer(by_model()) as server:
        job = place.job(models(server.base_url), search={"workers": workers}, budget={limit: amount})
        done = place.evolve("run", job, "--name", "one", "--json")
        assert done.code == 0, done.err
        assert done.data["stop_reason"] == limit
        spent = done.data["cost"]["calls"] * of_a_call
        assert amount <= spent < amount + workers * of_a_call
        assert f"budget.{limit} is reached; to go on: evolve resume" in done.err
        more = place.evolve("resume", "one", "--json", "--set", f"budget.{limit}={2 * amount}")
        assert more.code == 0, more.err
        assert more.data["stop_reason"] == limit
        assert more.data["nodes"] > done.data["nodes"]
        assert 2 * amount <= more.data["cost"]["calls"] * of_a_call < 2 * amount + workers * of_a_call
    assert max(Counter(call.id for call in place.calls()).values()) == 1


def test_a_budget_in_money_needs_prices(place: Place) -> None:
    job = place.job(models("http://127.0.0.1:9/v1", prices={"planner": PRICES["planner"]}), budget={"money_usd": 1})
    done = place.evolve("run", job)
    assert (done.code, done.told[0]) == (2, "budget.money_usd: no price is known for writer")
    assert "llm.prices" in done.told[1]
    assert not place.runs.exists()


def test_the_next_provider_takes_over_from_a_dead_one(place: Place) -> None:
    with OpenAIServer(by_model()) as server:
        alive = {"kind": "openai", "model": "writer", "base_url": server.base_url}
        dead = {"kind": "openai", "model": "gone", "base_url": f"http://127.0.0.1:{free_port()}/v1"}
        job = place.job({"strategist": {**alive, "model": "planner"}, "coder": [dead, alive], "retry": QUICK})
        done = place.evolve("run", job, "--name", "one", "--json")
    assert done.code == 0, done.err
    assert (done.data["nodes"], place.data("status", "one")["abandoned"]) == (4, 0)
    assert "coder       gone, then writer\n" in done.err
    assert {call.model for call in place.calls() if call.role == "coder"} == {"writer"}
    assert done.err.count("; again in ") == 2, "a dead endpoint is given up after two calls"
