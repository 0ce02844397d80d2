"""A task that judges at once, in the test's process, by what the program's first line asks for."""

from __future__ import annotations

from typing import Literal

from evolve.errors import ConfigError, ImageMissing, SandboxUnavailable
from evolve.llm.base import Files
from evolve.plugins import BuildContext, PluginConfig
from evolve.sandbox.base import SandboxProvider
from evolve.tasks.base import Evaluation, Task, TaskSheet


class Config(PluginConfig):
    kind: Literal["run.fake_task"] = "run.fake_task"
    given: tuple[str, ...] = ()
    """First lines of further programs to start from."""

    def build(self, context: BuildContext) -> Task:
        return FakeTask(self.given)


class FakeTask:
    def __init__(self, given: tuple[str, ...] = ()) -> None:
        programs = tuple({"p.py": f"{line}\n"} for line in given)
        self.sheet = TaskSheet("fake", "As much as possible.", "maximize", {"p.py": "score = 1.0\n"}, given=programs)
        self.graded: list[str] = []

    def grade(self, files: Files, provider: SandboxProvider) -> Evaluation:
        text = files["p.py"]
        self.graded.append(text)
        name, _, value = text.split("\n")[0].partition(" = ")
        match name:
            case "score":
                return Evaluation("scored", float(value), metrics={"length": float(len(text))})
            case "engine_away":
                if self.graded.count(text) <= int(value):
                    raise SandboxUnavailable("the engine is away", hint="start it")
                return Evaluation("scored", 2.0)
            case "image_gone":
                raise ImageMissing("there is no image", hint="build it")
            case "grader_broken":
                raise ConfigError("grader.py: cannot be imported", hint="mend it")
            case "defect":
                raise ZeroDivisionError("a defect")
            case _:
                return Evaluation("crashed", None, feedback=f"NameError: {name}", stderr=f"NameError: {name}")
