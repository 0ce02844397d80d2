"""Commands that look at a run that really happened."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from cli.conftest import Place

from evolve.graph import SearchGraph
from evolve.run.journal import read_journal


def test_ls(finished: Place) -> None:
    line = finished.evolve("ls").stdout.splitlines()[1].split()
    assert line[:4] == ["done", "task", "steps", "6"]
    (one,) = finished.data("ls")
    assert one["nodes"] == 6
    assert one["stop_reason"] == "steps"


def test_ls_of_nothing(place: Place) -> None:
    assert place.evolve("ls").stdout == f"no runs in {place.runs}/\n"
    assert place.data("ls") == []


def test_status(finished: Place) -> None:
    data = finished.data("status", "done")
    graph = SearchGraph.fold(read_journal(finished.runs / "done" / "journal.jsonl"))
    assert graph.best is not None
    assert data["run"] == str(finished.runs / "done")
    assert data["stop_reason"] == "steps"
    assert data["nodes"] == 6
    best = finished.runs / "done" / "best"
    assert data["best"] == {"id": graph.best.id, "score": graph.best.score, "path": str(best)}
    assert (best / "initial.py").is_file()
    assert data["cost"] == {"calls": graph.cost.calls, "prompt_tokens": 0, "completion_tokens": 0, "money_usd": 0.0}
    text = finished.evolve("status", "done").stdout
    assert "state    steps\n" in text
    assert "nodes    6 (" in text
    assert f"branches {data['branches'][-1]:.1f}  " in text
    assert len(data["branches"]) == 6
    assert sum(one["calls"] for one in data["usage"]) == graph.cost.calls
    assert data["evaluations"] == sum(node.status != "duplicate" for node in graph.nodes.values())
    assert (data["noise"], data["front"], data["suspicion"]) == (None, [], None)


def test_a_run_is_found_by_path_or_part_of_its_name(finished: Place) -> None:
    by_path = finished.evolve("status", str(finished.runs / "done")).stdout
    assert by_path == finished.evolve("status", "on").stdout == finished.evolve("status", "done").stdout


def test_graph_data(finished: Place) -> None:
    data = finished.data("graph", "done")
    assert [node["id"] for node in data["nodes"]][:2] == ["n0", "n1"]
    assert len(data["nodes"]) == 7
    assert data["nodes"][0]["visits"] == 6
    assert len(data["branches"]) == 6
    assert {edge["target"] for edge in data["edges"] if edge["kind"] == "primary"} == {f"n{i}" for i in range(1, 7)}


def test_graph_in_the_terminal(finished: Place) -> None:
    lines = finished.evolve("graph", "done").stdout.splitlines()
    assert re.fullmatch(r"n0 root  6 nodes, 0 in flight  branches \d\.\d  [▁▂▃▄▅▆▇█]{6}", lines[0])
    assert "n1 initial  1  " in lines[1]


@pytest.mark.parametrize("suffix", ["json", "dot", "graphml", "mmd"])
def test_graph_to_a_file(finished: Place, tmp_path: Path, suffix: str) -> None:
    result = finished.evolve("graph", "done", "-o", str(tmp_path / f"g.{suffix}"))
    assert (result.exit_code, result.stdout) == (0, "")
    assert "n6" in (tmp_path / f"g.{suffix}").read_text()


def test_graph_to_an_unknown_file(finished: Place, tmp_path: Path) -> None:
    result = finished.evolve("graph", "done", "-o", str(tmp_path / "g.svg"))
    assert result.exit_code == 2
    assert result.stderr.endswith("hint: end the name in .json, .dot, .graphml, .mmd\n")


def test_node(finished: Place) -> None:
    data = finished.data("node", "done", "n2")
    assert data["plan"]["why"] == "Drawn at random; no model has reasoned about it."
    assert data["patch"].startswith("--- a/initial.py\n+++ b/initial.py\n")
    assert data["evaluation"]["feedback"].startswith("it is ")
    assert set(data["stage_seconds"]) == {"solve", "grade"}
    text = finished.evolve("node", "done", "n2").stdout
    assert "--- change ---\n--- a/initial.py\n" in text
    assert "sandbox   process\n" in text


def test_the_initial_program_has_no_change(finished: Place) -> None:
    assert finished.data("node", "done", "n1")["patch"] == ""


def test_why(finished: Place) -> None:
    data = finished.data("why", "done", "n4")
    assert data["state"] == data["node"]["status"]
    assert data["selection"]["policy"] in ("explore", "exploit", "forced")
    strategist, coder = data["calls"][:2]
    assert (strategist["id"], coder["id"]) == ("n4/strategist/1", "n4/coder/1")
    assert strategist["messages"][0]["role"] == "system"
    assert "more is better" in strategist["messages"][1]["content"]
    assert json.loads(strategist["reply"])["hypothesis"].startswith("mutation: ")
    assert data["best_then"]["id"] in {"n1", "n2", "n3"}
    text = finished.evolve("why", "done", "n4").stdout
    for part in ("selected  ", "call n4/coder/1  mutation", "--- prompt (system) ---", "--- reply (stop) ---"):
        assert part in text


def test_best(finished: Place, tmp_path: Path) -> None:
    data = finished.data("best", "done")
    assert data["files"] == ["initial.py"]
    assert data["path"] == str(finished.runs / "done" / "best")
    target = tmp_path / "out"
    assert finished.evolve("best", "done", "-o", str(target)).stdout.endswith(f"copied   {target}\n")
    assert sorted(path.name for path in target.iterdir()) == ["initial.py", "score.json"]
    assert (target / "initial.py").read_text() == (finished.runs / "done" / "best" / "initial.py").read_text()
    assert json.loads((target / "score.json").read_text())["score"] == data["score"]
    again = finished.evolve("best", "done", "-o", str(target))
    assert (again.exit_code, again.stderr.splitlines()[0]) == (2, f"error: {target}: is not empty")


def test_a_node_that_is_not_there(finished: Place) -> None:
    for command in ("node", "why"):
        result = finished.evolve(command, "done", "n77")
        assert result.exit_code == 3
        assert result.stderr == (
            "error: 'n77': no such node in done (there are: n1 to n6)\nhint: `evolve graph done` shows them\n"
        )
    assert "virtual root" in finished.evolve("why", "done", "n0").stderr


def test_config_of_a_run_and_of_a_job(finished: Place) -> None:
    assert finished.data("config", "show", "done")["budget"]["steps"] == 6
    shown = finished.evolve("config", "show", str(finished.job), "--set", "budget.steps=9").stdout
    assert "  steps: 9\n" in shown
    assert finished.evolve("config", "check", str(finished.job)).stdout == (
        f"{finished.job}: in order (task task, maximize)\n"
    )
    assert finished.data("config", "check", str(finished.job))["isolated"] is True
    schema = json.loads(finished.evolve("config", "schema").stdout)
    assert schema["properties"]["seed"]["default"] == 0


def test_plugins(finished: Place) -> None:
    found = finished.data("plugins")
    kinds = {(one["family"], one["kind"]) for one in found}
    assert {("task", "program"), ("llm", "mutation"), ("sandbox", "auto"), ("memory", "none")} <= kinds
    assert all(one["summary"].endswith((".", "...")) for one in found)
    assert "mutation" in finished.evolve("plugins").stdout


def test_stop_where_nobody_works(finished: Place) -> None:
    result = finished.evolve("stop", "done")
    assert result.stdout.endswith("nobody is working on it; nothing to stop\n")
    assert not (finished.runs / "done" / "stop").exists()


def test_a_program_cannot_write_to_the_terminal_that_looks_at_it(place_with: Callable[..., Place]) -> None:
    program = "def solve():\n    raise ValueError('\\x1b]0;title\\x07\\x1b[2J owned')\n"
    place = place_with(program=program)
    place.evolve("run", str(place.job), "--name", "loud", "--set", "budget.steps=1")
    for command in (["node", "loud", "n1"], ["why", "loud", "n1"], ["graph", "loud"]):
        shown = place.evolve(*command).stdout
        assert "\x1b" not in shown
        assert "\x07" not in shown
    assert "owned" in place.evolve("node", "loud", "n1").stdout


def test_best_of_a_run_without_any(place_with: Callable[..., Place]) -> None:
    place = place_with(program="def solve():\n    raise ValueError('never')\n")
    place.evolve("run", str(place.job), "--name", "poor", "--set", "budget.steps=1")
    result = place.evolve("best", "poor")
    assert result.exit_code == 3
    assert result.stderr.startswith("error: poor: none of its 1 nodes has a valid score\n")
    assert "best     no valid program yet\n" in place.evolve("status", "poor").stdout
    assert place.data("status", "poor")["best"] is None
