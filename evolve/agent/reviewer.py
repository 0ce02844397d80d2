"""Read a candidate before it runs. A review can only mend: whatever goes wrong with it, the candidate stays as it is."""

from __future__ import annotations

from dataclasses import replace

from evolve.agent.brief import Brief, Candidate, Plan
from evolve.agent.context import CHARACTERS_PER_TOKEN, facts, fit, showing
from evolve.agent.edits import has_edits
from evolve.agent.program import read_patch
from evolve.agent.replies import Refusal, without_thoughts
from evolve.config import AgentConfig
from evolve.llm.base import LLM, Message, Request
from evolve.prompts import Prompts


def review(
    brief: Brief, plan: Plan, candidate: Candidate, llm: LLM, prompts: Prompts, settings: AgentConfig
) -> Candidate:
    """The candidate, mended where the reviewer's edits apply and leave a program that can be read."""
    limit = settings.prompt_tokens * CHARACTERS_PER_TOKEN
    system = Message("system", prompts.render("reviewer/system.j2"))
    text, _ = fit(
        showing(brief, candidate.files),
        limit - len(system.content),
        lambda shown: prompts.render("reviewer/review.j2", plan=plan, **facts(shown)),
        references=0,
    )
    materials = replace(brief.materials, files=candidate.files)
    request = Request(
        f"{brief.expansion_id}/reviewer/1", "reviewer", (system, Message("user", text)), materials=materials
    )
    reply = llm.complete(request)
    answer = without_thoughts(reply.text)
    if not has_edits(answer):
        verdict = "nothing to mend" if "LGTM" in answer else "neither LGTM nor edits; ignored"
        return _noted(candidate, f"review: {verdict}")
    if reply.finish == "length":
        return _noted(candidate, "review: cut off at the token limit; ignored")
    mended = read_patch(answer, candidate.files, brief.task)
    if isinstance(mended, Refusal):
        return _noted(candidate, f"review: edits refused: {mended.reason}")
    return _noted(replace(candidate, files=mended.files), "review: mended")


def _noted(candidate: Candidate, note: str) -> Candidate:
    return replace(candidate, notes=(*candidate.notes, note))
