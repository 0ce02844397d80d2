"""A task of a millisecond, jobs for it, and commands run in this process or as one of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from evolve.cli.main import main

GRADER = "def grade(answer):\n    return {'score': answer, 'feedback': 'it is ' + str(answer)}\n"
PROGRAM = "X = 1.0\n\n\ndef solve():\n    return X\n"
JOB = """\
version: 1
name: toy
task: {kind: program, path: task}
search: {workers: 1}
llm: {kind: mutation}
sandbox: process
budget: {steps: 6}
"""


@dataclass(frozen=True)
class Place:
    """A folder with a task and a job."""

    folder: Path

    @property
    def job(self) -> Path:
        return self.folder / "job.yaml"

    @property
    def runs(self) -> Path:
        return self.folder / "runs"

    def evolve(self, *arguments: str, env: dict[str, str] | None = None) -> Result:
        return CliRunner().invoke(main, list(arguments), env={"EVOLVE_RUNS": str(self.runs), **(env or {})})

    def data(self, *arguments: str) -> Any:
        result = self.evolve(*arguments, "--json")
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout.splitlines()[-1])

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "evolve", *arguments]

    def process(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.command(*arguments),
            env={**os.environ, "EVOLVE_RUNS": str(self.runs)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


def make_place(folder: Path, job: str = JOB, program: str = PROGRAM) -> Place:
    task = folder / "task"
    task.mkdir(parents=True)
    (task / "task.md").write_text("# Toy\n\nReturn a number; more is better.\n")
    (task / "initial.py").write_text(program)
    (task / "grader.py").write_text(GRADER)
    (folder / "job.yaml").write_text(job)
    return Place(folder)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return make_place(tmp_path)


@pytest.fixture
def place_with(tmp_path: Path) -> Callable[..., Place]:
    return lambda **parts: make_place(tmp_path, **parts)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A place with one finished run, `done`. Only looked at."""
    place = make_place(tmp_path_factory.mktemp("finished"))
    result = place.evolve("run", str(place.job), "--name", "done")
    assert result.exit_code == 0, result.output
    return place
