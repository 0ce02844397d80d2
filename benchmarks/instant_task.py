"""A task that is judged at once, in the framework's own process: what is left is the framework's own work."""

from __future__ import annotations

import time
import zlib
from typing import Literal

from evolve.llm.base import Files
from evolve.plugins import BuildContext, PluginConfig
from evolve.sandbox.base import SandboxProvider
from evolve.tasks.base import Evaluation, Stage, Task, TaskSheet


class Config(PluginConfig):
    kind: Literal["benchmarks.instant_task"] = "benchmarks.instant_task"
    delay_s: float = 0.0

    def build(self, context: BuildContext) -> Task:
        return InstantTask(self.delay_s)


class InstantTask:
    def __init__(self, delay_s: float) -> None:
        self._delay_s = delay_s
        self.sheet = TaskSheet(
            name="instant",
            description="Make the number that `solve()` returns as large as possible.",
            direction="maximize",
            initial={"program.py": "def solve():\n    return 1.0\n"},
            interface="`solve()` returns a number.",
        )

    def grade(self, files: Files, provider: SandboxProvider) -> Evaluation:
        time.sleep(self._delay_s)
        drawn = zlib.crc32(files["program.py"].encode()) / 2**32
        if drawn < 0.2:
            return Evaluation("crashed", None, feedback="ValueError: bad step", stderr="Traceback ...", exit_code=1)
        return Evaluation("scored", drawn, stages=(Stage("grade", "scored", 0.0),))
