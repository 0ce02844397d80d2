"""The shipped examples: they start where they say, and none of their cheats pays.

The rules of evaluators and where each is tested: plain data across a process boundary (tasks/test_two_phase, test_plain_data);
the score from the answer alone (reported_*, forged_verdict); positive checks (nan_*); exact arithmetic and a repair at a
loss (test_graders, within_repair, subnormal); fixed parameters (extra_circle, fewer_points); the grader keeps the state
(change_the_bins, last_index); hidden seeds and links (seeds_from_disk, answer_from_elsewhere); same answer, same score (the
contract); failures with their size (overlap, test_graders); and every example ships its cheats.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import yaml

from evolve.config import JobConfig
from evolve.errors import SandboxUnavailable
from evolve.plugins import BuildContext, config_class
from evolve.sandbox.base import LEVELS, SandboxProvider
from evolve.tasks.base import Task
from evolve.tasks.program import Config
from evolve.testing.task_contract import TaskContract, check

EXAMPLES = Path(__file__).parents[2] / "examples"
NAMES = ("circle_packing", "max_min_distance", "online_bin_packing")
CHEATS = [path for name in NAMES for path in sorted((EXAMPLES / name / "cheats").glob("*.py"))]
STARTS = {"circle_packing": "0.9597642", "max_min_distance": "16", "online_bin_packing": "4.71"}
"""Scores of the initial programs as their READMEs print them."""


@cache
def load(name: str) -> Task:
    job = yaml.safe_load((EXAMPLES / name / "job.yaml").read_text())
    return Config.model_validate(job["task"]).build(BuildContext(EXAMPLES / name))


@pytest.fixture(scope="module")
def provider() -> Iterator[SandboxProvider]:
    """The strongest level that needs no engine."""
    for kind in ("namespace", "process"):
        found: SandboxProvider = config_class("sandbox", kind)(kind=kind).build(BuildContext(EXAMPLES))
        try:
            found.prepare()
        except SandboxUnavailable:
            continue
        yield found
        found.close()
        return
    raise AssertionError("not even `process` works here")


class TestCirclePacking(TaskContract):
    def build(self) -> Task:
        return load("circle_packing")


class TestMaxMinDistance(TaskContract):
    def build(self) -> Task:
        return load("max_min_distance")


class TestOnlineBinPacking(TaskContract):
    def build(self) -> Task:
        return load("online_bin_packing")


@pytest.mark.parametrize("name", NAMES)
def test_the_job_is_valid_and_asks_for_nothing_but_a_bare_machine(name: str) -> None:
    job = JobConfig.model_validate(yaml.safe_load((EXAMPLES / name / "job.yaml").read_text()))
    assert [provider.kind for provider in job.llm.coder] == ["mutation"]
    assert job.sandbox.model_dump()["minimum"] == "process"
    assert job.budget.steps


@pytest.mark.parametrize("name", NAMES)
def test_an_example_starts_where_its_readme_says(name: str, provider: SandboxProvider) -> None:
    task = load(name)
    evaluation = task.grade(task.sheet.initial, provider)
    digits = len(STARTS[name].partition(".")[2])
    assert f"{evaluation.score:.{digits}f}" == STARTS[name]
    assert f"{STARTS[name]} |" in (EXAMPLES / name / "README.md").read_text()
    assert "# EVOLVE-BLOCK-START" in task.sheet.initial["initial.py"]


@pytest.mark.parametrize("cheat", CHEATS, ids=lambda path: f"{path.parts[-3]}/{path.stem}")
def test_no_cheat_pays(cheat: Path, provider: SandboxProvider) -> None:
    task = load(cheat.parts[-3])
    source = cheat.read_text()
    reason = expected_reason(source)
    if cheat.stem == "seeds_from_disk" and LEVELS.index(provider.level) > LEVELS.index("landlock"):
        pytest.skip("this level does not hide the files of other processes")
    evaluation = task.grade({"initial.py": source}, provider)
    check(evaluation)
    if reason is None:
        entry = "decide" if "def decide" in source else "solve"
        honest = task.grade({"initial.py": f"{source}\n\n{entry} = honest\n"}, provider)
        assert honest.status == evaluation.status == "scored", evaluation.feedback
        assert honest.score is not None
        assert evaluation.score is not None
        turn = 1 if task.sheet.direction == "maximize" else -1
        assert turn * evaluation.score <= turn * honest.score
    else:
        assert evaluation.status in ("invalid", "crashed")
        assert re.search(reason, evaluation.feedback), evaluation.feedback


def expected_reason(source: str) -> str | None:
    """The constant EXPECT of a cheat: a pattern of the reason it is refused for, or None where it may be scored."""
    for statement in ast.parse(source).body:
        match statement:
            case ast.Assign(targets=[ast.Name(id="EXPECT")], value=ast.Constant(value=value)):
                return value
    raise AssertionError("a cheat says in EXPECT what becomes of it")


def test_every_example_ships_cheats() -> None:
    assert {path.parts[-3] for path in CHEATS} == set(NAMES)
    assert not {"nan_centres", "overlap", "forged_verdict", "seeds_from_disk"} - {path.stem for path in CHEATS}
