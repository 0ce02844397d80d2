"""A model that answers at once: a plan, or a new program of some sixty lines that parses."""

from __future__ import annotations

import json
import time
from typing import Literal

from evolve.llm.base import LLM, Reply, Request, Usage
from evolve.plugins import BuildContext, PluginConfig

_BODY = "\n".join(
    f"def part_{number}(values):\n    total = 0.0\n    for value in values:\n        total += value * {number}.5\n    return total\n"
    for number in range(10)
)


class Config(PluginConfig):
    kind: Literal["benchmarks.instant_llm"] = "benchmarks.instant_llm"
    delay_s: float = 0.0

    def build(self, context: BuildContext) -> LLM:
        return Instant(self.delay_s)


class Instant:
    def __init__(self, delay_s: float) -> None:
        self._delay_s = delay_s

    def complete(self, request: Request) -> Reply:
        time.sleep(self._delay_s)
        step = int(request.call_id.partition("/")[0][1:])
        if request.role == "strategist":
            plan = {
                "hypothesis": f"step {step}: a finer grid gives a better score",
                "why": "the error falls with the square of the step width",
                "changes": [{"where": "part_3", "what": "halve the step"}],
                "keep": "the interface",
                "predicted_gain": 0.1,
            }
            text = json.dumps(plan)
        else:
            text = f"```python path=program.py\n{_BODY}\n\ndef solve():\n    return part_1([{step}.25])\n```\n"
        return Reply(text, "instant", Usage(len(request.messages[-1].content) // 4, len(text) // 4))
