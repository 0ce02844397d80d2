"""The examples of docs/tasks.md are taken from the page and really run."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from evolve.agent.markers import MOST_FILES
from evolve.jobfile import load_job
from evolve.plugins import BuildContext
from evolve.tasks.base import Evaluation
from evolve.tasks.program import Config
from evolve.testing.task_contract import BareProvider, check

PAGE = (Path(__file__).parents[2] / "docs" / "tasks.md").read_text(encoding="utf-8")
FILE = re.compile(r"^`([\w./]+)`[^\n]*\n\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)
"""A name, and the block below it."""


def section(title: str) -> str:
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


def unpack(title: str, folder: Path) -> dict[str, str]:
    """Write the files that a section shows, each under the name before it."""
    files = dict(FILE.findall(section(title)))
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return files


def evolve(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "evolve", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )


@pytest.fixture
def ruler(tmp_path: Path) -> Path:
    files = unpack("A complete example", tmp_path)
    assert {"task.md", "initial.py", "grader.py", "job.yaml", "test_task.py"} <= files.keys()
    return tmp_path


def test_the_example_runs_and_starts_where_it_says(ruler: Path) -> None:
    evolve(ruler, "config", "check", "job.yaml")
    (ended,) = evolve(ruler, "run", "job.yaml", "--set", "budget.steps=6", "--name", "r", "--json").stdout.splitlines()
    assert json.loads(ended)["nodes"] == 6
    start = json.loads(evolve(ruler, "node", "r", "n1", "--json").stdout)
    assert f"The start scores {start['score']:g}" in (ruler / "task.md").read_text()


def test_the_optimum_it_states_is_one_and_is_scored(ruler: Path) -> None:
    job = load_job(ruler / "job.yaml")
    task = job.config.task.build(BuildContext(job.base_dir))
    program = "def solve():\n    return [34, 32, 22, 15, 9, 4, 1, 0]\n"
    evaluation: Evaluation = task.grade({"initial.py": program}, BareProvider())
    assert evaluation.score == task.sheet.reference


def test_its_own_tests_pass_and_can_fail(ruler: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_task.py"]
    passed = subprocess.run(command, cwd=ruler, capture_output=True, text=True, check=False, timeout=120)
    assert passed.returncode == 0, passed.stdout
    (ruler / "cheats" / "no_cheat.py").write_text("def solve():\n    return [0, 1, 4, 9, 15, 22, 32, 34]\n")
    failed = subprocess.run([*command, "-k", "no_cheat"], cwd=ruler, capture_output=True, text=True, check=False)
    assert failed.returncode == 1, failed.stdout


def test_the_dialogue_is_held(tmp_path: Path) -> None:
    unpack("Dialogues", tmp_path / "task")
    (tmp_path / "task" / "task.md").write_text("Tell primes.")
    task = Config.model_validate({"kind": "program", "path": "task"}).build(BuildContext(tmp_path))
    evaluation = task.grade(task.sheet.initial, BareProvider())
    check(evaluation)
    assert evaluation.score == 6.0  # wrong on 2, 9, 15 and 25
    refused = task.grade({"initial.py": "def decide(message):\n    return 'yes'\n"}, BareProvider())
    assert (refused.status, refused.feedback) == ("invalid", "reply 1 is 'yes', not true or false")


def test_the_simple_answer_of_the_readme_can_be_graded(tmp_path: Path) -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    (grader,) = re.findall(r"^```python\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL)
    files = {"grader.py": grader, "task.md": "Many numbers.", "initial.py": "def solve():\n    return [1, 2, 2]\n"}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    task = Config.model_validate({"kind": "program", "path": "."}).build(BuildContext(tmp_path))
    assert task.grade(task.sheet.initial, BareProvider()).score == 2.0
    assert task.grade({"initial.py": "def solve():\n    return 3\n"}, BareProvider()).status == "invalid"


def test_numbers_of_the_page_are_those_of_the_code() -> None:
    from evolve.agent import context
    from evolve.tasks.drivers import grader

    assert f"at most {MOST_FILES}" in section("The program")
    assert f"{grader.MAX_DEPTH} levels" in section("The grader")
    assert f"over {grader.MAX_DIGITS} digits" in section("The grader")
    shown = section("What a result can be")
    for limit, words in [
        (context._FEEDBACK, "up to {:,} characters of feedback"),
        (context._STDERR, "last {:,} of stderr"),
        (context._ARTIFACT, "up to {:,} of each artifact"),
    ]:
        assert words.format(limit) in shown.replace("\n", " ")
