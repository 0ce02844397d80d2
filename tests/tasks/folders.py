"""Builds task folders for tests."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from evolve.plugins import BuildContext
from evolve.tasks.base import Evaluation, Task
from evolve.tasks.program import Config
from evolve.testing.task_contract import BareProvider, check

DOUBLE = "def grade(answer):\n    return {'score': 2 * answer}\n"
"""A grader whose score is twice the answer."""


def build(root: Path, files: Mapping[str, str | bytes], **settings: object) -> Task:
    """A task from files and settings; task.md and initial.py need not be given."""
    written = {"task.md": "Do it.", "initial.py": "def solve():\n    return 1\n", **files}
    for path, content in written.items():
        target = root / "task" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content if isinstance(content, bytes) else content.encode())
    return Config.model_validate({"kind": "program", "path": "task", **settings}).build(BuildContext(root))


def judged(task: Task, program: str | Mapping[str, str]) -> Evaluation:
    files = program if isinstance(program, Mapping) else {"initial.py": program}
    evaluation = task.grade(files, BareProvider())
    check(evaluation)
    return evaluation
