"""A folder with a task and a job, whole `evolve` commands as processes of their own, and what they must not leave behind."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from leftovers import left_behind

from evolve.graph import Node, SearchGraph
from evolve.run.artifacts import Artifacts
from evolve.run.calls import Call, read_calls
from evolve.run.journal import read_journal
from evolve.run.rollout import load_candidate
from evolve.run.rundir import RunDir

LIMIT_S = 60.0
"""No single wait may take longer; it only bounds a hang."""

TASK = {
    "task.md": "# Toy\n\nMake the number that `solve()` returns as large as possible.\n",
    "initial.py": "def solve():\n    return 0\n",
    "grader.py": "def grade(answer):\n    return {'score': float(answer)}\n",
}


@dataclass(frozen=True)
class Done:
    """A command that has ended."""

    pid: int
    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        """What `--json` printed."""
        return json.loads(self.out.splitlines()[-1])

    @property
    def told(self) -> tuple[str, str]:
        """The two lines that end every error."""
        error, hint = self.err.splitlines()[-2:]
        assert error.startswith("error: "), self.err
        assert hint.startswith("hint: "), self.err
        assert "Traceback" not in self.err
        return error.removeprefix("error: "), hint.removeprefix("hint: ")


@dataclass(frozen=True)
class Running:
    """A command under way."""

    process: subprocess.Popen[bytes]
    out: Path
    err: Path
    """Where its output goes."""

    def until(self, happened: Callable[[], bool]) -> None:
        """Wait for something that must happen before the command ends."""

        def seen() -> bool:
            over = self.process.poll() is not None
            now = happened()
            assert now or not over, f"it ended before: {self.err.read_text()}"
            return now

        wait_until(seen)

    def until_said(self, words: str) -> None:
        self.until(lambda: words in self.err.read_text())

    def ended(self) -> Done:
        code = self.process.wait(timeout=LIMIT_S)
        return Done(self.process.pid, code, self.out.read_text(), self.err.read_text())

    def killed(self) -> Done:
        self.process.kill()
        return self.ended()


@dataclass(frozen=True)
class Place:
    """Where one test works. Every command sees `scratch` as the place for sandboxes' folders."""

    folder: Path
    runs: Path
    scratch: Path
    environment: dict[str, str] = field(default_factory=dict)
    """On top of this process's own."""
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)
    """Every command of this test."""

    def write(self, files: Mapping[str, str]) -> None:
        """Put files below the folder."""
        for name, text in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def job(self, llm: Mapping[str, Any], files: Mapping[str, str] = TASK, /, **sections: Any) -> str:
        """Write a task's files and a job for it; the job's path. Sections replace the defaults."""
        self.write({f"task/{name}": text for name, text in files.items()})
        job = {
            "name": "toy",
            "task": {"kind": "program", "path": "task"},
            "search": {"workers": 1},
            "llm": dict(llm),
            "sandbox": "process",
            "budget": {"steps": 4},
        }
        self.write({"job.yaml": yaml.safe_dump(job | sections)})
        return str(self.folder / "job.yaml")

    def start(self, *arguments: str) -> Running:
        """The command, under way in a session of its own, as a terminal would start it."""
        number = len(list(self.folder.glob("*.stdout")))
        out, err = self.folder / f"{number}.stdout", self.folder / f"{number}.stderr"
        with out.open("wb") as stdout, err.open("wb") as stderr:
            process = subprocess.Popen(
                [sys.executable, "-m", "evolve", *arguments],
                env=os.environ | {"EVOLVE_RUNS": str(self.runs), "TMPDIR": str(self.scratch)} | self.environment,
                cwd=self.folder,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
            )
        self.started.append(process)
        return Running(process, out, err)

    def evolve(self, *arguments: str) -> Done:
        return self.start(*arguments).ended()

    def data(self, *arguments: str) -> Any:
        """What a command that must succeed prints with `--json`."""
        done = self.evolve(*arguments, "--json")
        assert done.code == 0, done.err
        return done.data

    def run(self, name: str = "one") -> RunDir:
        return RunDir(self.runs / name)

    def graph(self, name: str = "one") -> SearchGraph:
        return SearchGraph.fold(read_journal(self.run(name).journal))

    def calls(self, name: str = "one") -> list[Call]:
        return list(read_calls(self.run(name).calls))

    def candidate(self, node: Node, name: str = "one") -> dict[str, Any]:
        """What a node keeps of its plan, its files and how they came about."""
        with Artifacts(self.run(name).artifacts, read_only=True) as artifacts:
            return load_candidate(node, artifacts)

    def end(self) -> None:
        """End what a failed test has left running."""
        for process in self.started:
            process.kill()
            process.wait()

    def assert_clean(self) -> None:
        """No process works here any more, and no sandbox has left a file."""
        wait_until(lambda: left_behind(self.folder) == [])
        assert [path.name for path in self.scratch.rglob("*")] == []


def wait_until(happened: Callable[[], bool]) -> None:
    limit = time.monotonic() + LIMIT_S
    while not happened():
        assert time.monotonic() < limit, "it never came to that"
        time.sleep(0.005)


def lines_of(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def containers_of(pid: int) -> list[str]:
    """Containers, in whatever state, that a process of this machine made for its candidates."""
    listed = subprocess.run(
        ["docker", "ps", "-a", "--format", '{{.ID}} {{.Label "evolve.owner"}}'],
        capture_output=True,
        text=True,
        check=True,
        timeout=LIMIT_S,
    )
    return [line for line in listed.stdout.splitlines() if re.fullmatch(rf"\w+ {pid}-.*", line)]


# Replies that models give ---------------------------------------------------------------------------------------------


def plan(hypothesis: str) -> str:
    return json.dumps({"hypothesis": hypothesis, "why": "", "changes": [], "keep": "", "predicted_gain": None})


def program(body: str, path: str = "initial.py") -> str:
    """A reply with a whole file."""
    return f"```path={path}\n{body}```\n"


def returning(number: float) -> str:
    return program(f"def solve():\n    return {number}\n")


def script(*replies: tuple[str, str]) -> str:
    """A file for `kind: scripted`: role and text of each reply, in order."""
    return yaml.safe_dump([{"role": role, "text": text} for role, text in replies])


def steps(*coder: str) -> str:
    """A script with a plan for every reply of the coder."""
    return script(
        *(pair for n, text in enumerate(coder) for pair in (("strategist", plan(f"idea {n}")), ("coder", text)))
    )
