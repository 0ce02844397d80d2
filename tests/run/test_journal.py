"""The journal: every prefix is a run, a torn line costs nothing but itself, damage elsewhere is told by line."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from search.simulation import Simulation, random_judge
from search.test_laws import assert_conserved

from evolve.errors import DiskFull, JournalCorrupt, RunLocked, SchemaTooNew
from evolve.events import Event, RunStarted
from evolve.run.journal import Journal, encode_commit, read_journal
from evolve.run.linelog import LineLog, read_lines
from evolve.search.policies import mcgs


def recorded(workers: int = 3) -> tuple[bytes, list[list[Event]]]:
    """A journal of 30 steps as bytes, and its commits: a node's three events are one."""
    simulation = Simulation(mcgs.Config(), seed=5)
    simulation.run(30, random_judge(5, abandoned=0.1), workers)
    commits: list[list[Event]] = []
    for event in simulation.events:
        if event.kind in ("reward_backpropagated", "experience_recorded"):
            commits[-1].append(event)
        else:
            commits.append([event])
    return b"".join(encode_commit(commit) + b"\n" for commit in commits), commits


WHOLE, COMMITS = recorded()


@given(cut=st.integers(0, len(WHOLE)))
def test_every_prefix_of_a_journal_is_a_run(cut: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "journal.jsonl"
        path.write_bytes(WHOLE[:cut])
        complete = WHOLE[:cut].count(b"\n")
        events = list(read_journal(path))
        assert events == [event for commit in COMMITS[:complete] for event in commit]
        assert_conserved(Simulation(mcgs.Config(), events=events))
        journal = Journal(path)
        for commit in COMMITS[complete:]:
            journal.commit(commit)
        journal.close()
        assert path.read_bytes() == WHOLE


@given(at=st.integers(0, len(WHOLE) - 1), byte=st.integers(0, 255))
def test_a_changed_byte_is_told_by_its_line_or_changes_nothing(at: int, byte: int) -> None:
    damaged = bytearray(WHOLE)
    if damaged[at] == byte or ord("\n") in (damaged[at], byte):
        return
    damaged[at] = byte
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "journal.jsonl"
        path.write_bytes(damaged)
        line = WHOLE[:at].count(b"\n") + 1
        with pytest.raises(JournalCorrupt, match=rf"journal\.jsonl:{line}: .*damaged"):
            list(read_journal(path))


def test_a_line_of_another_program_is_told(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_bytes(WHOLE.split(b"\n")[0] + b'\n{"hello": 1}\n')
    with pytest.raises(JournalCorrupt, match=r":2: "):
        list(read_journal(path))


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_bytes(encode_commit([RunStarted("t", "maximize", 0, schema_version=99)]) + b"\n")
    with pytest.raises(SchemaTooNew, match="format 99"):
        list(read_journal(path))


def test_a_missing_journal_holds_no_events(tmp_path: Path) -> None:
    assert list(read_journal(tmp_path / "none.jsonl")) == []


def test_one_writer_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    first = Journal(path)
    code = f"from evolve.run.journal import Journal; from pathlib import Path; Journal(Path({str(path)!r}))"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "RunLocked" in other.stderr
    with pytest.raises(RunLocked):
        Journal(path)
    first.close()
    Journal(path).close()


def test_a_full_disk_is_told_and_leaves_no_half_line(small_disk: Path) -> None:
    log = LineLog(small_disk / "log")
    with pytest.raises(DiskFull, match="no space left"):
        for _ in range(1000):
            log.append(b"x" * 3000, durable=True)
    log.close()
    lines = list(read_lines(small_disk / "log"))
    assert lines
    assert set(lines) == {b"x" * 3000}
    assert (small_disk / "log").stat().st_size == 3001 * len(lines)


def test_lines_longer_than_a_block_are_found_again(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"a" * 200_000 + b"\n" + b"b" * 200_000)
    log = LineLog(path)
    log.append(b"c", durable=True)
    log.close()
    assert [len(line) for line in read_lines(path)] == [200_000, 1]
