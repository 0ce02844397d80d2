"""Signals while slow programs run: what is finished, what is ended, and what is left behind."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from e2e.commands import Place, Running, containers_of, program, steps

WORKERS = 3


def gated(number: int, folder: Path) -> str:
    """A program with a daemon that says it has started and returns when a file `gate` appears."""
    return program(f"""\
import os, subprocess, time

def solve():
    subprocess.Popen(["sleep", "600"], start_new_session=True)
    open({str(folder)!r} + "/started-" + str(os.getpid()), "w").close()
    while not os.path.exists({str(folder / "gate")!r}):
        time.sleep(0.01)
    return {number}
""")


@pytest.fixture
def busy(place: Place) -> Running:
    """A run with a program in every worker, none of which will end while the gate is shut."""
    place.write({"replies.yaml": steps(*(gated(number, place.folder) for number in range(1, 8)))})
    llm = {"kind": "scripted", "path": "replies.yaml"}
    job = place.job(llm, search={"workers": WORKERS}, budget={"steps": 8}, agent={"mode": "whole"})
    running = place.start("run", job, "--name", "one", "--json")
    running.until(lambda: len(list(place.folder.glob("started-*"))) == WORKERS)
    return running


def test_the_first_interrupt_finishes_what_is_in_flight(place: Place, busy: Running) -> None:
    os.killpg(busy.process.pid, signal.SIGINT)  # as Ctrl-C does: everything in the terminal's session is meant
    busy.until_said("finishing what is in flight; once more to stop now")
    (place.folder / "gate").touch()
    done = busy.ended()
    assert done.code == 130, done.err
    assert (done.data["stop_reason"], done.data["nodes"]) == ("interrupted", 1 + WORKERS)
    graph = place.graph()
    assert not graph.pending
    assert {node.status for node in graph.nodes.values()} == {"scored"}
    place.assert_clean()
    assert place.data("resume", "one")["nodes"] == 8


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_second_one_stops_at_once(place: Place, busy: Running, number: signal.Signals) -> None:
    busy.process.send_signal(number)
    busy.until_said("finishing")
    busy.process.send_signal(number)
    done = busy.ended()
    assert done.code == 130, done.err
    assert (done.data["stop_reason"], done.data["nodes"]) == ("interrupted", 1)
    place.assert_clean()
    assert len(place.graph().pending) == WORKERS
    assert place.data("status", "one")["stop_reason"] == "interrupted"
    bought = len(place.calls())
    (place.folder / "gate").touch()
    assert place.data("resume", "one")["nodes"] == 8
    calls = [call.id for call in place.calls()]
    assert len(set(calls)) == len(calls) == bought + 2 * (7 - WORKERS)


@pytest.mark.docker
@pytest.mark.parametrize("killed", [True, False])
def test_no_container_outlives_its_run(place: Place, engine: None, killed: bool) -> None:
    forever = [program(f"import time\n\n\ndef solve():\n    time.sleep({600 + number})\n") for number in range(2)]
    place.write({"replies.yaml": steps(*forever)})
    llm = {"kind": "scripted", "path": "replies.yaml"}
    job = place.job(llm, search={"workers": 2}, budget={"steps": 3}, sandbox="docker", agent={"mode": "whole"})
    running = place.start("run", job, "--name", "one")
    running.until(lambda: len(place.calls()) == 4 and len(place.graph().nodes) == 1)
    running.until(lambda: len(containers_of(running.process.pid)) == 2)
    if killed:
        assert running.killed().code == -signal.SIGKILL
    else:
        running.process.terminate()
        running.until_said("finishing")
        running.process.terminate()
        assert running.ended().code == 130
        assert containers_of(running.process.pid) == []
    resumed = place.evolve("resume", "one", "--json", "--set", "task.timeout_s=1")
    assert resumed.code == 0, resumed.err
    assert resumed.data["nodes"] == 3
    assert [node.status for node in place.graph().nodes.values()] == ["scored", "timed_out", "timed_out"]
    assert containers_of(running.process.pid) == containers_of(resumed.pid) == []
