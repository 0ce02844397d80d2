"""A model that answers from a list of first lines, one an expansion, and can fail like a service."""

from __future__ import annotations

import json
from typing import Literal

from evolve.errors import AuthRefused, Overloaded
from evolve.llm.base import LLM, Reply, Request, Usage
from evolve.plugins import BuildContext, PluginConfig


class Config(PluginConfig):
    kind: Literal["run.fake_llm"] = "run.fake_llm"
    lines: tuple[str, ...]
    """What the program of step 2, 3, ... says; the last one is repeated with the step in a second line.

    As a reviewer it mends the program of step 2 and no other.
    """

    def build(self, context: BuildContext) -> LLM:
        return FakeLLM(self.lines)


class FakeLLM:
    def __init__(self, lines: tuple[str, ...]) -> None:
        self._lines = lines

    def complete(self, request: Request) -> Reply:
        step = int(request.call_id.partition("/")[0][1:])
        line = self._lines[min(step - 2, len(self._lines) - 1)]
        if line == "overloaded":
            raise Overloaded("the endpoint is busy", hint="wait")
        if line == "refused":
            raise AuthRefused("the key is refused", hint="check it")
        if request.role == "reviewer":
            text = "LGTM"
            if step == 2:
                text = f"<<<<<<< SEARCH\n{line}\n=======\nscore = 7.0\n>>>>>>> REPLACE"
        elif request.role == "strategist":
            text = json.dumps({"hypothesis": line, "why": "", "changes": [], "keep": "", "predicted_gain": None})
        else:
            text = f"```python path=p.py\n{line}\nstep = {step if line != 'same = 1' else 0}\n```"
        return Reply(text, "fake", Usage(100, 10))
