"""Ask a reviewer whether a suspicious score is earned. Only a clear verdict against a program counts against it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from evolve.agent.brief import Brief
from evolve.agent.context import CHARACTERS_PER_TOKEN, facts, fit, showing
from evolve.agent.replies import without_thoughts
from evolve.agent.text import one_line
from evolve.config import AgentConfig
from evolve.llm.base import LLM, Files, Message, Request
from evolve.prompts import Prompts

_VERDICT = re.compile(r"^\W*(GENUINE|FAKE)\b[\s*_`]*:?[\s*_`]*(.*)$", re.MULTILINE)
_REASON = 300
"""Most characters of a reason."""


@dataclass(frozen=True, slots=True)
class Opinion:
    """What a reviewer thinks of a score."""

    fake: bool
    said: str
    """The reason for a fake, otherwise what came of the question, in a few words."""


def examine(
    brief: Brief, files: Files, score: float, suspicion: str, llm: LLM, prompts: Prompts, settings: AgentConfig
) -> Opinion:
    """Whether the score of a program is earned; `suspicion` says why that is asked.

    What the reviewer's model raises passes through.
    """
    text, _ = fit(
        showing(brief, files),
        settings.prompt_tokens * CHARACTERS_PER_TOKEN,
        lambda shown: prompts.render("reviewer/integrity.j2", score=score, suspicion=suspicion, **facts(shown)),
    )
    reply = llm.complete(Request(f"{brief.expansion_id}/integrity/1", "reviewer", (Message("user", text),)))
    return read_opinion(reply.text)


def read_opinion(reply: str) -> Opinion:
    """The last verdict of a reply: models think aloud before they decide."""
    found = _VERDICT.findall(without_thoughts(reply))
    if not found:
        return Opinion(fake=False, said="the review gave no verdict")
    verdict, reason = found[-1]
    if verdict == "GENUINE":
        return Opinion(fake=False, said="reviewed")
    return Opinion(fake=True, said=one_line(reason, _REASON) or "no reason given")
