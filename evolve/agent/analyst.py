"""Say what an experiment taught, once it has been judged. The text is feedback for later authors and never the score."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import replace

from evolve.agent.brief import Brief, Plan, Solution
from evolve.agent.context import CHARACTERS_PER_TOKEN, facts, fit
from evolve.agent.replies import Refusal, fenced_blocks, without_thoughts
from evolve.agent.text import clean, clip
from evolve.config import AgentConfig
from evolve.llm.base import LLM, Files, Message, Request
from evolve.prompts import Prompts

LONGEST = 400
"""Most characters of an analysis."""


def analyse(
    brief: Brief,
    plan: Plan,
    judged: Solution,
    gain: float | None,
    llm: LLM,
    prompts: Prompts,
    settings: AgentConfig,
) -> str | Refusal:
    """One or two sentences about a judged program; `gain` over its parent, more is better. Errors of the model pass."""
    limit = settings.prompt_tokens * CHARACTERS_PER_TOKEN
    system = Message("system", prompts.render("analyst/system.j2"))
    diff = clip("\n".join(_diff(brief.base, judged.files)), limit // 4)
    told = {"plan": plan, "gain": gain, "before": brief.parent and brief.parent.score, "diff": diff}
    # Of the situation before, the analyst needs the task alone; what came of it takes the parent's place.
    after = Brief(brief.expansion_id, brief.operator, brief.task, replace(judged, files={}), brief.best_score)
    text, _ = fit(
        after, limit - len(system.content), lambda shown: prompts.render("analyst/review.j2", **told, **facts(shown))
    )
    name = f"{brief.expansion_id}/analyst/1"
    reply = llm.complete(Request(name, "analyst", (system, Message("user", text)), materials=brief.materials))
    return _read(reply.text)


def _read(reply: str) -> str | Refusal:
    """The sentences of a reply that fit; code is not prose, and half a sentence is none."""
    text = clean(without_thoughts(reply))
    if fenced_blocks(text):
        return Refusal("the reply has a code block in it")
    line = " ".join(text.split())
    if len(line) > LONGEST:
        line = line[: line.rfind(". ", 0, LONGEST) + 1]
    if sum(word.isalpha() for word in line.replace(".", " ").split()) < 3:
        return Refusal("the reply says nothing")
    return line


def _diff(before: Files, after: Files) -> Iterator[str]:
    for path in sorted(before.keys() | after.keys()):
        old, new = (clean(files.get(path, "")).split("\n") for files in (before, after))
        yield from difflib.unified_diff(old, new, path, path, n=2, lineterm="")
