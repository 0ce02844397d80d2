"""Artifacts, calls, timeline, budget and run directories."""

from __future__ import annotations

import json
import random
import tempfile
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from search.simulation import Simulation, judged

from evolve.config import BudgetConfig
from evolve.errors import BudgetSpent, DiskFull, RunError, RunExists, RunNotFound
from evolve.graph import Cost
from evolve.jobfile import Job, load_job
from evolve.llm.base import Message, Reply, Request, Usage
from evolve.run.artifacts import Artifacts
from evolve.run.budget import Budget
from evolve.run.calls import CallLog, read_calls
from evolve.run.linelog import LineLog
from evolve.run.rundir import RunDir, all_runs, create, digest_of, find, write_atomically
from evolve.run.timeline import Timeline, read_timeline
from evolve.search.policies import mcgs


@given(st.lists(st.text(), max_size=5))
def test_a_text_comes_back_by_its_digest(texts: list[str]) -> None:
    with Artifacts(Path(":memory:")) as artifacts:
        digests = [artifacts.put(text) for text in texts]
        assert [artifacts.get(digest) for digest in digests] == texts


def test_a_lone_surrogate_does_not_break_a_run(tmp_path: Path) -> None:
    with Artifacts(tmp_path / "a.sqlite") as artifacts:
        assert artifacts.get(artifacts.put("a\udc80b")) == "a?b"


def test_a_missing_text_is_told(tmp_path: Path) -> None:
    with Artifacts(tmp_path / "a.sqlite") as artifacts, pytest.raises(RunError, match="0123456789ab"):
        artifacts.get("0123456789abcdef")


def test_a_reader_sees_what_was_flushed(tmp_path: Path) -> None:
    with Artifacts(tmp_path / "a.sqlite") as artifacts:
        kept = artifacts.put("kept")
        artifacts.flush()
        pending = artifacts.put("pending")
        with Artifacts(tmp_path / "a.sqlite", read_only=True) as reader:
            assert reader.get(kept) == "kept"
            with pytest.raises(RunError):
                reader.get(pending)


def test_artifacts_tell_a_full_disk(small_disk: Path) -> None:
    with Artifacts(small_disk / "a.sqlite") as artifacts, pytest.raises(DiskFull):
        for number in range(400):
            artifacts.put("".join(chr(33 + (number * k) % 900) for k in range(4000)))
            artifacts.flush()


def test_once_full_nothing_put_before_passes_for_durable(small_disk: Path) -> None:
    with Artifacts(small_disk / "a.sqlite") as artifacts:
        artifacts.put("of another thread")
        artifacts.put(random.Random(0).randbytes(400_000).hex())
        with pytest.raises(DiskFull):
            artifacts.flush()
        with pytest.raises(DiskFull):  # as that thread does; SQLite has forgotten its text and would agree
            artifacts.flush()


def request(call_id: str = "n3/coder/1", prompt: str = "write") -> Request:
    return Request(call_id, "coder", (Message("user", prompt),))


def reply(text: str = "done") -> Reply:
    return Reply(text, "some-model", Usage(10, 5, 0.25), "length")


def test_a_paid_reply_is_served_again_only_to_the_same_question(tmp_path: Path) -> None:
    with Artifacts(tmp_path / "a.sqlite") as artifacts:
        first = CallLog(tmp_path / "calls.jsonl", artifacts, Cost(), ())
        first.record(request(), reply(), 1.5)
        first.record(request("n2/coder/1"), reply("finished"), 1.5)
        first.close()
        again = CallLog(tmp_path / "calls.jsonl", artifacts, Cost(1, 10, 5, 0.25), {"n3"})
        assert again.find(request()) == reply()
        assert again.find(request(prompt="another")) is None
        assert again.find(request("n2/coder/1")) is None, "n2 has finished, its calls are not kept"
        assert again.total == Cost(2, 20, 10, 0.5)
        assert again.settle("n3") == Cost(1, 10, 5, 0.25)
        assert again.find(request()) is None
        assert again.settle("n3") == Cost()
        again.close()


def test_calls_from_many_threads_are_all_logged(tmp_path: Path) -> None:
    with Artifacts(tmp_path / "a.sqlite") as artifacts:
        log = CallLog(tmp_path / "calls.jsonl", artifacts, Cost(), ())
        threads = [
            threading.Thread(target=log.record, args=(request(f"n{number}/coder/1"), reply(str(number)), 0.0))
            for number in range(16)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        log.close()
        calls = list(read_calls(tmp_path / "calls.jsonl"))
        assert sorted(call.id for call in calls) == sorted(f"n{number}/coder/1" for number in range(16))
        assert {artifacts.get(call.reply_ref) for call in calls} == {str(number) for number in range(16)}


def test_active_time_adds_up_over_sessions(tmp_path: Path) -> None:
    path = tmp_path / "timeline.jsonl"
    path.write_text(json.dumps({"what": "node", "at": 0, "active_s": 3600.0}) + "\n")
    timeline = Timeline(path)
    timeline.note("started", workers=2)
    assert 3600 <= timeline.active_s < 3700
    timeline.close()
    assert [entry["what"] for entry in read_timeline(path)] == ["node", "started"]


@given(st.lists(st.binary(max_size=50).map(lambda line: line.replace(b"\n", b"")), max_size=5), st.binary(max_size=9))
def test_the_last_line_is_the_last_complete_one(lines: list[bytes], torn: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log"
        path.write_bytes(b"".join(line + b"\n" for line in lines) + torn.replace(b"\n", b""))
        log = LineLog(path)
        assert log.last_line() == (lines[-1] if lines else None)
        log.append(b"more", durable=True)
        assert log.last_line() == b"more"
        log.close()


def budget(spent: Cost = Cost(), active_s: float = 0.0, **limits: float) -> Budget:  # noqa: B008
    return Budget(BudgetConfig.model_validate(limits), lambda: spent, lambda: active_s)


def test_progress_is_the_largest_share_of_any_limit() -> None:
    simulation = Simulation(mcgs.Config())
    simulation.run(4, lambda _: judged(1.0))
    simulation.start(0.0)
    some = budget(Cost(3, 100, 100, 0.4), active_s=360, steps=10, hours=1, tokens=1000, money_usd=1)
    assert some.progress(simulation.graph) == 0.5
    assert some.stop_reason(simulation.graph) is None
    assert budget(active_s=1800, steps=100, hours=1).progress(simulation.graph) == 0.5
    assert budget(Cost(1, 900, 0), tokens=1000).progress(simulation.graph) == 0.9


@pytest.mark.parametrize(
    ("reason", "some"),
    [
        ("steps", budget(steps=5)),
        ("hours", budget(active_s=3600, hours=1)),
        ("tokens", budget(Cost(1, 500, 500), tokens=1000)),
        ("money_usd", budget(Cost(1, 1, 1, 2.0), money_usd=2)),
        ("target_score", budget(target_score=1.0)),
    ],
)
def test_every_limit_stops_the_run_by_its_name(reason: str, some: Budget) -> None:
    simulation = Simulation(mcgs.Config())
    simulation.run(5, lambda _: judged(1.0))
    assert some.stop_reason(simulation.graph) == reason


def test_a_call_is_refused_once_money_is_spent_but_not_for_steps() -> None:
    budget(steps=1).check()
    with pytest.raises(BudgetSpent, match="money_usd"):
        budget(Cost(1, 1, 1, 2.0), money_usd=2).check()


def test_a_target_of_a_minimised_score() -> None:
    simulation = Simulation(mcgs.Config(), direction="minimize")
    simulation.run(1, lambda _: judged(3.0))
    assert budget(target_score=2.0).stop_reason(simulation.graph) is None
    assert budget(target_score=4.0).stop_reason(simulation.graph) == "target_score"


def test_a_hundred_steps_when_nothing_else_limits() -> None:
    assert BudgetConfig.model_validate({}).steps == 100
    assert BudgetConfig.model_validate({"target_score": 1.0}).steps == 100
    assert BudgetConfig.model_validate({"hours": 2}).steps is None


@pytest.fixture
def job(tmp_path: Path) -> Job:
    path = tmp_path / "job.yaml"
    path.write_text("name: toy\ntask: {kind: program, path: .}\nllm: {kind: mutation}\n")
    return load_job(path)


def test_a_run_is_created_whole_and_found_by_part_of_its_name(tmp_path: Path, job: Job) -> None:
    runs = tmp_path / "runs"
    one = create(runs, None, job, {"task": "toy"})
    two = create(runs, None, job, {})
    named = create(runs, "mine", job, {})
    assert {run.path for run in all_runs(runs)} == {one.path, two.path, named.path}
    assert find(runs, "min").path == named.path
    assert find(runs, str(one.path)).path == one.path
    assert one.read_manifest()["task"] == "toy"
    assert one.load().config == job.config
    assert find(runs, one.name).path == one.path, "an exact name wins over longer ones that contain it"


def test_creating_a_run_twice_is_refused_and_leaves_nothing(tmp_path: Path, job: Job) -> None:
    create(tmp_path / "runs", "mine", job, {})
    with pytest.raises(RunExists, match="mine"):
        create(tmp_path / "runs", "mine", job, {})
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["mine"]


def test_no_such_run_and_too_many(tmp_path: Path, job: Job) -> None:
    with pytest.raises(RunNotFound, match="no run of that name"):
        find(tmp_path / "nowhere", "x")
    create(tmp_path / "runs", "toy-1", job, {})
    create(tmp_path / "runs", "toy-2", job, {})
    with pytest.raises(RunNotFound, match="2 runs"):
        find(tmp_path / "runs", "toy")


def test_a_run_without_its_manifest(tmp_path: Path, job: Job) -> None:
    run = create(tmp_path / "runs", "toy", job, {})
    run.manifest.write_text("[]")
    with pytest.raises(RunNotFound, match=r"manifest\.json"):
        run.load()


def test_best_is_replaced_at_once(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    run.publish_best("n1", {"a.py": "one", "lib/b.py": "b"}, {"score": 1})
    run.publish_best("n2", {"a.py": "two"}, {"score": 2})
    assert sorted(path.name for path in run.best.iterdir()) == ["a.py", "score.json"]
    assert (run.best / "a.py").read_text() == "two"
    assert json.loads((run.best / "score.json").read_text()) == {"score": 2}
    assert [path.name for path in tmp_path.glob(".best*")] == [".best-n2"]
    run.publish_best("n2", {"a.py": "two again"}, {"score": 2})
    assert (run.best / "a.py").read_text() == "two again"


def test_an_atomic_write_leaves_no_draft(tmp_path: Path) -> None:
    write_atomically(tmp_path / "x", "one")
    write_atomically(tmp_path / "x", "two")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("x", "two")]


def test_a_digest_depends_on_names_and_texts_alone() -> None:
    assert digest_of({"a": "1", "b": "2"}) == digest_of({"b": "2", "a": "1"})
    assert len({digest_of({"a": "1"}), digest_of({"a": "2"}), digest_of({"b": "1"}), digest_of({})}) == 4
