"""Runs from beginning to end: what they say, how they are stopped, and how they go on."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from cli.conftest import JOB, Place

from evolve.graph import SearchGraph
from evolve.run.journal import read_journal
from evolve.run.rundir import RunDir

MANUAL = JOB.replace("{kind: mutation}", "{kind: manual, poll_s: 0.02}").replace("{steps: 6}", "{steps: 2}")
PLAN = '{"hypothesis": "h", "why": "w", "changes": [], "keep": "", "predicted_gain": null}'
EDIT = "initial.py\n<<<<<<< SEARCH\nX = 1.0\n=======\nX = 2.0\n>>>>>>> REPLACE\n"
WHOLE = "```python path=initial.py\nX = 2.0\n\n\ndef solve():\n    return X\n```\n"


def asked(place_with: Callable[..., Place]) -> tuple[Place, subprocess.Popen[str]]:
    """A run whose second node waits for a person's reply."""
    place = place_with(job=MANUAL)
    process = place.process("run", str(place.job), "--name", "one", "--json")
    read_until(process.stderr, "n2/strategist/1 waits for a reply")
    return place, process


def answer(place: Place) -> None:
    """The replies that n2 waits for, in whichever form it asks."""
    folder = place.runs / "one" / "manual"
    operator = graph_of(place.runs / "one").pending["n2"].operator
    (folder / "n2-strategist-1.reply.md").write_text(PLAN)
    (folder / "n2-coder-1.reply.md").write_text(WHOLE if operator == "draft" else EDIT)


def graph_of(run: Path) -> SearchGraph:
    return SearchGraph.fold(read_journal(RunDir(run).journal))


def test_what_a_run_says(place: Place) -> None:
    result = place.evolve("run", str(place.job), "--name", "one", "--json")
    assert result.exit_code == 0
    (line,) = result.stdout.splitlines()
    found = json.loads(line)
    assert found.keys() == {"run", "stop_reason", "nodes", "best", "cost"}
    run = place.runs / "one"
    assert (found["run"], found["stop_reason"], found["nodes"]) == (str(run), "steps", 6)
    said = result.stderr.splitlines()
    assert said[:8] == [
        f"run         {run}",
        "task        task (maximize)",
        "sandbox     process: limits and clean-up only; files, network and other processes of this user are open to "
        "candidates",
        "scores      by a grader in a process of its own, which `process` does not defend against hostile candidates",
        "strategist  mutation",
        "coder       mutation",
        "note        no language model takes part: programs are mutated at random",
        "budget      steps 6, 1 worker, seed 0",
    ]
    assert said[8].startswith("n1  initial of n0  scored 1, new best  the initial program, as given  best 1 · 1/6 · ")
    assert sum(line.startswith("n") and "/6" in line for line in said) == 6
    assert f"            budget.steps is reached; to go on: evolve resume {run} --set budget.steps=..." in said
    assert f"look        evolve graph {run}" in said


def test_data_goes_to_stdout_and_words_to_stderr(place: Place) -> None:
    assert place.evolve("run", str(place.job)).stdout == ""
    (run,) = place.runs.iterdir()
    assert run.name.endswith("-toy")


def test_a_spent_run_says_how_to_go_on(place: Place) -> None:
    place.evolve("run", str(place.job), "--name", "one")
    before = (place.runs / "one" / "journal.jsonl").read_bytes()
    again = place.evolve("resume", "one")
    assert again.exit_code == 0
    assert "budget.steps is reached; to go on: evolve resume" in again.stderr
    assert (place.runs / "one" / "journal.jsonl").read_bytes() == before
    more = place.evolve("resume", "one", "--set", "budget.steps=8", "--json")
    assert json.loads(more.stdout)["nodes"] == 8
    assert "steps: 8" in (place.runs / "one" / "config.yaml").read_text()


def test_a_changed_task_is_noticed(place: Place) -> None:
    place.evolve("run", str(place.job), "--name", "one")
    assert "have changed" not in place.evolve("resume", "one").stderr
    (place.folder / "task" / "task.md").write_text("Something else.")
    assert "warning: the task's files have changed" in place.evolve("resume", "one").stderr


def test_dry_run_leaves_nothing(place: Place) -> None:
    before = sorted(place.folder.rglob("*"))
    data = place.data("run", str(place.job), "--dry-run")
    assert data["initial"]["status"] == "scored"
    assert data["initial"]["score"] == 1.0
    assert data["initial"]["seconds"] > 0
    assert data["step"]["money_usd"] == 0.0
    assert (data["budget"]["steps"], data["budget"]["limit"]) == (6, "steps")
    text = place.evolve("run", str(place.job), "--dry-run").stdout
    assert "initial     scored, score 1, " in text
    assert "forecast    about 6 steps, then steps is reached" in text
    assert sorted(place.folder.rglob("*")) == before


def test_dry_run_forecasts_tokens_and_money(place_with: Callable[..., Place]) -> None:
    llm = (
        "{coder: {kind: openai, model: m, base_url: 'http://127.0.0.1:9/v1'}, reviewer: {kind: mutation},"
        " prices: {m: {prompt_usd: 1000, completion_usd: 1000}}}"
    )
    job = JOB.replace("{kind: mutation}", llm).replace("{steps: 6}", "{money_usd: 10, hours: 1, tokens: 100000}")
    place = place_with(job=job)
    data = place.data("run", str(place.job), "--dry-run")
    calls = {call["role"]: call for call in data["step"]["calls"]}
    assert set(calls) == {"strategist", "coder", "reviewer"}
    tokens = data["step"]["prompt_tokens"] + data["step"]["completion_tokens"]
    assert calls["strategist"]["prompt_tokens"] > 100
    assert calls["reviewer"]["prompt_tokens"] == 0
    assert data["step"]["money_usd"] == pytest.approx(tokens / 1000)
    assert data["budget"]["limit"] == "money_usd"
    assert data["budget"]["steps"] == 1 + int(10 / data["step"]["money_usd"])


def test_dry_run_of_a_failing_program_is_told(place_with: Callable[..., Place]) -> None:
    place = place_with(program="def solve():\n    raise ValueError('not yet')\n")
    result = place.evolve("run", str(place.job), "--dry-run")
    assert result.exit_code == 0
    assert "initial     crashed, score -" in result.stdout
    assert "not yet" in result.stdout


def test_a_start_that_fails_is_warned_of(place: Place) -> None:
    (place.folder / "task" / "initial.py").write_text("def solve():\n    return None\n")
    result = place.evolve("run", str(place.job), "--set", "budget.steps=1")
    assert "warning: the initial program does not score: invalid" in result.stderr


def read_until(stream: object, part: str) -> list[str]:
    lines = []
    for line in stream:  # type: ignore[attr-defined]
        lines.append(line)
        if part in line:
            return lines
    raise AssertionError(f"{part!r} never came: {''.join(lines)}")


def test_first_interrupt_finishes_what_is_in_flight(place_with: Callable[..., Place]) -> None:
    place, process = asked(place_with)
    process.send_signal(signal.SIGINT)
    read_until(process.stderr, "finishing what is in flight; once more to stop now")
    answer(place)
    out, err = process.communicate()
    assert process.returncode == 130
    assert json.loads(out)["stop_reason"] == "interrupted"
    assert f"go on       evolve resume {place.runs / 'one'}" in err
    graph = graph_of(place.runs / "one")
    assert graph.nodes["n2"].score == 2.0
    assert not graph.pending
    assert place.data("status", "one")["stop_reason"] == "interrupted"


def test_second_interrupt_stops_now_and_a_resume_goes_on(place_with: Callable[..., Place]) -> None:
    place, process = asked(place_with)
    process.send_signal(signal.SIGTERM)
    read_until(process.stderr, "finishing")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate()
    assert process.returncode == 130
    assert "stopping now" in err
    assert json.loads(out)["nodes"] == 1
    assert place.data("why", "one", "n2")["state"] == "in flight"
    assert "is in flight" in place.evolve("node", "one", "n2").stderr
    answer(place)
    found = place.data("resume", "one")
    assert (found["stop_reason"], found["nodes"]) == ("steps", 2)
    assert graph_of(place.runs / "one").nodes["n2"].score == 2.0


def test_stop_by_command(place_with: Callable[..., Place]) -> None:
    place, process = asked(place_with)
    assert "will stop when the rollouts in flight have finished" in place.evolve("stop", "one").stdout
    answer(place)
    out, _ = process.communicate()
    assert process.returncode == 0
    assert (json.loads(out)["stop_reason"], json.loads(out)["nodes"]) == ("stop_file", 2)


def test_stop_now_by_command(place_with: Callable[..., Place]) -> None:
    place, process = asked(place_with)
    assert place.data("status", "one")["stop_reason"] == "running"
    said = place.data("stop", "one", "--now")
    assert (said["running"], said["signalled"]) == (True, True)
    process.communicate()
    assert process.returncode == 130
    answer(place)
    assert place.data("resume", "one")["nodes"] == 2


def test_a_bar_on_a_terminal(place: Place) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*place.command("run", str(place.job), "--name", "one")],
        env={**os.environ, "EVOLVE_RUNS": str(place.runs), "TERM": "xterm", "COLUMNS": "120"},
        stdout=subprocess.DEVNULL,
        stderr=theirs,
    )
    os.close(theirs)
    seen = b""
    while True:
        try:
            chunk = os.read(ours, 4096)
        except OSError:  # what Linux says of a terminal that nobody has open any more
            break
        if not chunk:
            break
        seen += chunk
    os.close(ours)
    assert process.wait() == 0
    text = seen.decode()
    assert "━" in text
    assert "/6 · " in text
    assert "n1  initial of n0  scored 1, new best" in text
    assert "stopped     steps, 6 nodes" in text
