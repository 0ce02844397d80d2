"""What the agents of a whole run leave on its nodes: gains predicted and got, analyses, second plans, modes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from run.test_engine import graph_of, start, work

from evolve.errors import AuthRefused, ConfigError
from evolve.events import Experience
from evolve.graph import Node
from evolve.run.artifacts import Artifacts
from evolve.run.calls import read_calls
from evolve.run.forecast import forecast
from evolve.run.journal import read_journal
from evolve.run.rollout import load_candidate
from evolve.run.rundir import RunDir
from evolve.run.session import build_parts


def scripted(folder: Path, **replies: list[Any]) -> list[str]:
    """The settings that give each role its replies, in order."""
    roles = {}
    for role, texts in replies.items():
        path = folder / f"{role}.json"
        path.write_text(json.dumps(texts))
        roles[role] = f"{{kind: scripted, path: {path}, cycle: true}}"
    return [f"llm={{{', '.join(f'{role}: {settings}' for role, settings in roles.items())}, retry: {{attempts: 1}}}}"]


def plan(hypothesis: str, gain: float | None = None) -> str:
    return json.dumps({"hypothesis": hypothesis, "changes": [], "predicted_gain": gain})


def program(*lines: str) -> str:
    text = "\n".join(lines)
    return f"```python path=p.py\n{text}\n```"


def lessons(run: RunDir) -> dict[str, Experience]:
    events = read_journal(run.journal)
    return {event.experience.node_id: event.experience for event in events if event.kind == "experience_recorded"}


def stored(run: RunDir, node: Node) -> dict[str, Any]:
    with Artifacts(run.artifacts, read_only=True) as artifacts:
        return load_candidate(node, artifacts)


ONE_LINE_OF_DESCENT = ("search.drafts=1", "search.operators=[draft, improve]")
STRATEGIST = [plan("more", 2.0), plan("much more", 5.0)]
CODER = [program("score = 3.0"), program("score = 2.5", "y = 1")]


def test_a_node_says_what_was_expected_and_what_the_program_is(tmp_path: Path) -> None:
    run = start(
        tmp_path, [], *scripted(tmp_path, strategist=STRATEGIST, coder=CODER), *ONE_LINE_OF_DESCENT, "budget.steps=3"
    )
    work(run)
    first, second, third = graph_of(run).nodes.values()
    assert (first.title, first.predicted_gain, first.size, first.touched) == (
        "the initial program, as given",
        None,
        len("score = 1.0\n"),
        (),
    )
    assert (second.predicted_gain, second.touched, second.size) == (2.0, ("score",), len("score = 3.0\n"))
    assert (third.predicted_gain, third.touched) == (5.0, ("score", "y"))
    told = lessons(run)
    assert told["n2"].lesson == "predicted gain 2, actual 2"
    assert (told["n3"].predicted_gain, told["n3"].gain) == (5.0, {"n1": 1.5, "n2": -0.5}[third.parent_id])


def test_an_analysis_is_the_lesson_and_is_kept(tmp_path: Path) -> None:
    said = "Two more than before, as expected; go on like that."
    team = scripted(tmp_path, strategist=STRATEGIST, coder=CODER, analyst=[said, "```\nno\n```"])
    run = start(tmp_path, [], *team, *ONE_LINE_OF_DESCENT, "budget.steps=3")
    work(run)
    nodes = graph_of(run).nodes
    assert [one.lesson for one in lessons(run).values()][:2] == ["", said]
    assert lessons(run)["n3"].lesson.startswith("predicted gain 5, actual ")
    assert stored(run, nodes["n2"])["analysis"] == said
    assert stored(run, nodes["n3"])["notes"][-1] == "analyst: the reply has a code block in it"
    assert "analysis" not in stored(run, nodes["n3"])
    assert [nodes[node_id].cost.calls for node_id in nodes] == [0, 3, 3]


def test_a_node_is_not_lost_because_its_analysis_failed(tmp_path: Path) -> None:
    team = scripted(tmp_path, strategist=STRATEGIST, coder=CODER, analyst=[{"error": "overloaded"}])
    run = start(tmp_path, [], *team, "budget.steps=2")
    work(run)
    node = graph_of(run).nodes["n2"]
    assert node.score == 3.0
    assert stored(run, node)["notes"][-1].startswith("analyst: scripted overloaded")


def test_a_key_that_is_refused_leaves_the_judged_node_to_a_resume(tmp_path: Path) -> None:
    team = scripted(tmp_path, strategist=STRATEGIST, coder=CODER, analyst=[{"error": "auth"}])
    run = start(tmp_path, [], *team, "budget.steps=2")
    with pytest.raises(AuthRefused):
        work(run)
    assert list(graph_of(run).pending) == ["n2"]
    (tmp_path / "analyst.json").write_text(json.dumps(["It went as it was expected to go."]))
    work(run)
    assert lessons(run)["n2"].lesson == "It went as it was expected to go."
    assert graph_of(run).nodes["n2"].cost.calls == 3


@pytest.mark.parametrize(("novelty", "asked"), [("true", 2), ("false", 1)])
def test_a_plan_that_was_tried_is_made_once_more(tmp_path: Path, novelty: str, asked: int) -> None:
    same = plan("Grow the circles from the corners towards the middle")
    team = scripted(
        tmp_path, strategist=[same], coder=[program("score = 3.0"), program("score = 4.0"), program("x = 1")]
    )
    run = start(
        tmp_path, [], *team, "search.operators=[draft]", "search.drafts=9", "budget.steps=3", f"agent.novelty={novelty}"
    )
    work(run)
    planned = [call.id for call in read_calls(run.calls) if call.role == "strategist"]
    assert planned == ["n2/strategist/1", *(f"n3/strategist/{n}" for n in range(1, asked + 1))]
    node = graph_of(run).nodes["n3"]
    assert node.reasks == asked - 1
    assert ("strategist: nearly the plan of n2; asked for another" in stored(run, node)["notes"]) is (asked == 2)


def test_modes_of_long_programs_are_recorded(tmp_path: Path) -> None:
    team = scripted(
        tmp_path,
        strategist=[
            json.dumps(
                {"hypothesis": "more", "changes": [{"where": "score", "what": "3"}, {"where": "y", "what": "1"}]}
            )
        ],
        coder=["```python\nscore = 3.0\n```", "```python\ny = 1\n```"],
    )
    run = start(tmp_path, [], *team, "budget.steps=2", "agent.mode=stepwise")
    work(run)
    node = graph_of(run).nodes["n2"]
    assert (node.mode, node.reasks, node.cost.calls, node.touched) == ("stepwise", 0, 3, ("score", "y"))


def test_an_author_hears_of_the_way_the_budget_and_the_parent(tmp_path: Path) -> None:
    coder = [program(f"score = {n}.0") for n in range(2, 12)]
    team = scripted(tmp_path, strategist=[plan(f"idea number {n}") for n in "abcdefghij"], coder=coder)
    run = start(
        tmp_path, [], *team, "budget.steps=10", "search.drafts=1", "search.operators=[draft, improve]",
        "search.improves=1", "search.improves_exploiting=1",
    )  # fmt: skip
    work(run)
    graph = graph_of(run)
    last = graph.nodes["n10"]
    line = [graph.nodes[one].title for one in graph.lineage(last.parent_id) if one in graph.nodes]
    with Artifacts(run.artifacts, read_only=True) as artifacts:
        [call] = [call for call in read_calls(run.calls) if call.id == "n10/strategist/1"]
        text = json.loads(artifacts.get(call.prompt_ref))[1][1]
    assert "90 % of the budget is used." in text
    way = text.split("# The way this program came, oldest first\n")[1].split("\n\n")[0].split("\n")
    assert [entry.removeprefix("- ").split(" -> ")[0] for entry in way] == line[1:7][::-1]


@pytest.mark.parametrize(
    ("settings", "roles"),
    [
        ((), ["strategist", "coder"]),
        (("agent.strategist=false",), ["coder"]),
        (("agent.mode=stepwise",), ["strategist", "coder"]),
    ],
)
def test_a_forecast_asks_whom_the_run_would_ask(tmp_path: Path, settings: tuple[str, ...], roles: list[str]) -> None:
    planner = {"strategist": STRATEGIST} if "strategist" in roles else {}
    team = scripted(tmp_path, **planner, coder=CODER, reviewer=["LGTM"], analyst=["It went as expected."])
    job = start(tmp_path, [], *team, *settings).load()
    calls = forecast(job, build_parts(job)).calls
    assert [call.role for call in calls] == [*roles, "reviewer", "analyst"]


def test_a_planner_that_nobody_would_ask_is_refused(tmp_path: Path) -> None:
    team = scripted(tmp_path, strategist=STRATEGIST, coder=CODER)
    with pytest.raises(ConfigError, match="nobody would ask it"):
        start(tmp_path, [], *team, "agent.strategist=false")


def test_given_programs_are_judged_first_and_named(tmp_path: Path) -> None:
    settings = (
        "task={kind: run.fake_task, given: ['score = 5.0', 'score = 0.5']}",
        "budget.steps=4",
        "search.workers=3",
    )
    run = start(tmp_path, ["score = 3.0"], *settings)
    work(run)
    nodes = graph_of(run).nodes
    assert [(nodes[f"n{step}"].title, nodes[f"n{step}"].score, nodes[f"n{step}"].touched) for step in (1, 2, 3)] == [
        ("the initial program, as given", 1.0, ()),
        ("given program 2", 5.0, ("score",)),
        ("given program 3", 0.5, ("score",)),
    ]
    assert [nodes[f"n{step}"].mode for step in (1, 2, 3)] == [None] * 3
