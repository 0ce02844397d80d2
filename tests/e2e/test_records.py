"""Runs whose disk is full, whose journal is damaged, and that somebody else is working on."""

from __future__ import annotations

import random
import signal
from pathlib import Path

import pytest
from disks import enlarge, small_disk
from e2e.commands import Place, lines_of, program, returning, steps

SCRIPTED = {"kind": "scripted", "path": "replies.yaml"}


def bulky(number: int) -> str:
    """A program of 12 kB that hardly compresses."""
    noise = random.Random(number).randbytes(6000).hex()
    return program(f"def solve():\n    return {number}\n\n\n# {noise}\n")


@pytest.mark.parametrize(("kib", "workers"), [(16, 1), (240, 3)])
def test_a_full_disk(place: Place, kib: int, workers: int) -> None:
    place.write({"replies.yaml": steps(*map(bulky, range(1, 12)))})
    job = place.job(SCRIPTED, search={"workers": workers}, agent={"mode": "whole"}, budget={"steps": 12})
    with small_disk(place.runs, kib):
        full = place.evolve("run", job, "--name", "one", "--json")
        error, hint = full.told
        assert full.code == 3
        assert ": no space left; everything recorded before is intact" in error
        assert hint == "free some space, then go on with `evolve resume`"
        before = place.run().journal.read_bytes()
        assert place.data("status", "one")["nodes"] == full.data["nodes"] < 12
        again = place.evolve("resume", "one")
        assert (again.code, ": no space left" in again.told[0]) == (3, True)
        assert place.run().journal.read_bytes().startswith(before)

        enlarge(place.runs, 8192)
        done = place.evolve("resume", "one", "--json")
        assert done.code == 0, done.err
        assert (done.data["nodes"], done.data["best"]["score"]) == (12, 11.0)
        assert place.run().journal.read_bytes().startswith(before)
        calls = [call.id for call in place.calls()]
        assert len(calls) == len(set(calls))
        assert place.evolve("why", "one", "n12").code == 0
        assert sorted(path.name for path in place.run().path.glob(".*")) == [".best-n12"]


def test_no_room_for_a_run_at_all(place: Place) -> None:
    job = place.job({"kind": "mutation"})
    with small_disk(place.runs, 4):
        done = place.evolve("run", job)
        assert (done.code, done.told[0]) == (3, f"{place.runs}: no run can be made here: No space left on device")
        assert "--runs" in done.told[1]
        assert list(place.runs.iterdir()) == []


@pytest.fixture
def finished(place: Place) -> Place:
    place.write({"replies.yaml": steps(*map(returning, range(1, 4)))})
    assert place.evolve("run", place.job(SCRIPTED), "--name", "one").code == 0
    return place


def test_a_journal_damaged_in_the_middle(finished: Place) -> None:
    journal = finished.run().journal
    lines = journal.read_bytes().splitlines(keepends=True)
    lines[3] = lines[3].replace(b'"id":"n', b'"id":"m', 1)
    journal.write_bytes(b"".join(lines))
    before = contents(finished.run().path)
    for command in (
        ["resume", "one", "--set", "budget.steps=9"],
        ["status", "one"],
        ["graph", "one"],
        ["why", "one", "n1"],
    ):
        done = finished.evolve(*command)
        assert done.code == 3
        assert done.told[0].startswith(f"{journal}:4: this line of the journal is damaged")
    assert contents(finished.run().path) == before
    (line,) = finished.evolve("ls").out.splitlines()[1:]
    assert line.startswith("one ")

    # What the hint says.
    journal.write_bytes(b"".join(lines[:3]))
    done = finished.evolve("resume", "one", "--json")
    assert done.code == 0, done.err
    assert done.data["nodes"] == 4


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_other_records_that_are_damaged(finished: Place) -> None:
    run = finished.run()
    lines = run.calls.read_bytes().splitlines(keepends=True)
    run.calls.write_bytes(b"".join([lines[0], b"\0" * 50 + b"\n", *lines[1:]]))
    for command in ("status", "best"):
        done = finished.evolve(command, "one")
        assert (done.code, done.told[0]) == (3, f"{run.calls}:2: this line is damaged")
    run.calls.write_bytes(b"".join(lines))

    # The clock's notes are not forced to the disk, and a power cut may leave anything; no run is lost for them.
    with run.timeline.open("ab") as timeline:
        timeline.write(b"\0" * 50 + b"\n[]\n")
    before = finished.data("status", "one")["active_s"]
    assert before > 0
    assert [one["name"] for one in finished.data("ls")] == ["one"]
    assert finished.data("node", "one", "n2")["stage_seconds"].keys() == {"solve", "grade"}
    assert finished.evolve("resume", "one").code == 0
    assert finished.data("status", "one")["active_s"] >= before


def test_torn_last_lines(finished: Place) -> None:
    run = finished.run()
    whole = run.journal.read_bytes()
    run.journal.write_bytes(whole[:-100])
    for log in (run.calls, run.timeline):
        log.write_bytes(log.read_bytes() + b'{"torn": ')
    assert finished.data("status", "one")["nodes"] == 3
    assert len(finished.data("graph", "one")["nodes"]) == 4
    done = finished.evolve("resume", "one", "--json")
    assert done.code == 0, done.err
    assert done.data["nodes"] == 4
    assert run.journal.read_bytes() == whole
    assert finished.evolve("why", "one", "n4").code == 0


def test_one_writer_and_many_readers(place: Place) -> None:
    place.write({"replies.yaml": steps(*map(returning, range(1, 30)))})
    job = place.job({**SCRIPTED, "cycle": True, "delay_s": 0.03}, budget={"steps": 100_000})
    running = place.start("run", job, "--name", "one")
    running.until(lambda: lines_of(place.run().journal) >= 6)
    looks = [["status", "one"], ["graph", "one", "--json"], ["ls"], ["why", "one", "n2"]]
    looked = [place.evolve(*command) for command in looks]
    second = place.evolve("resume", "one", "--set", "budget.steps=99")
    assert running.killed().code == -signal.SIGKILL
    assert [done.code for done in looked] == [0, 0, 0, 0], looked
    assert "state    running\n" in looked[0].out
    assert (second.code, second.told[0]) == (3, f"{place.run().path}: another process is working on this run")
    assert "steps: 100000\n" in place.run().config.read_text()
    more = len(place.graph().nodes) + 2
    assert place.data("resume", "one", "--set", f"budget.steps={more}")["nodes"] == more
