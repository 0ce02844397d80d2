"""A task whose scores vary: a program's first line says what it scores, evaluation by evaluation."""

from __future__ import annotations

import ast
from typing import Literal

from pydantic import Field

from evolve.graph import Objective
from evolve.llm.base import Files
from evolve.plugins import BuildContext, PluginConfig
from evolve.sandbox.base import SandboxProvider
from evolve.tasks.base import Evaluation, Task, TaskSheet


class Config(PluginConfig):
    kind: Literal["run.noisy_task"] = "run.noisy_task"
    initial: tuple[str, ...] = ("draws = [10, 11, 9, 10, 10]",)
    repeats: int = 1
    bound: float | None = None
    suspicious_spreads: float | None = Field(default=10.0, gt=0)
    objectives: tuple[str, ...] = ()

    def build(self, context: BuildContext) -> Task:
        first, *others = ({"p.py": f"{line}\n"} for line in self.initial)
        return NoisyTask(
            TaskSheet(
                "noisy",
                "As much as possible.",
                "maximize",
                first,
                given=tuple(others),
                repeats=self.repeats,
                bound=self.bound,
                suspicious_spreads=self.suspicious_spreads,
                objectives=tuple(Objective(name, "maximize") for name in self.objectives),
            )
        )


class NoisyTask:
    """`draws = [1, None, 3]` scores 1, then crashes, then scores 3; then from the beginning. `speed = 2` is a metric."""

    def __init__(self, sheet: TaskSheet) -> None:
        self.sheet = sheet
        self.graded: list[str] = []

    def grade(self, files: Files, provider: SandboxProvider) -> Evaluation:
        text = files["p.py"]
        assignments = (part.partition(" = ") for part in text.split("\n")[0].split("; "))
        facts = {name: ast.literal_eval(value) for name, _, value in assignments}
        draws = facts.pop("draws", None) or [facts.pop("score")]
        score = draws[self.graded.count(text) % len(draws)]
        self.graded.append(text)
        if score is None:
            return Evaluation("crashed", None, feedback="a bad day")
        return Evaluation("scored", float(score), {name: float(value) for name, value in facts.items()})
