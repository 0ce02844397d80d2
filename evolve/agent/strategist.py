"""Decide what to try. The strategist writes a plan; it never writes code."""

from __future__ import annotations

from evolve.agent.brief import Brief, NoCandidate, Plan, Planned
from evolve.agent.context import CHARACTERS_PER_TOKEN, facts, fit
from evolve.agent.dialogue import Refused, ask
from evolve.agent.replies import Refusal, prose_plan, read_plan
from evolve.agent.text import clean, clip
from evolve.config import AgentConfig
from evolve.llm.base import LLM, Message, Reply
from evolve.prompts import Prompts

SCHEMA = {
    "type": "object",
    "properties": {
        "hypothesis": {"type": "string"},
        "why": {"type": "string"},
        "changes": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"where": {"type": "string"}, "what": {"type": "string"}},
                "required": ["where", "what"],
                "additionalProperties": False,
            },
        },
        "keep": {"type": "string"},
        "predicted_gain": {"type": ["number", "null"]},
    },
    "required": ["hypothesis", "why", "changes", "keep", "predicted_gain"],
    "additionalProperties": False,
}
"""JSON schema of a plan."""


def plan(brief: Brief, llm: LLM, prompts: Prompts, settings: AgentConfig) -> Planned | NoCandidate:
    """What to try next. A reply in prose counts as a plan once asking again has not helped; an empty one does not."""
    answer = ask(
        llm,
        lambda refused: _messages(brief, prompts, settings, refused),
        _read,
        name=brief.expansion_id,
        role="strategist",
        reasks=settings.reasks,
        materials=brief.materials,
        schema=SCHEMA,
    )
    if not isinstance(answer.value, Refusal):
        return Planned(answer.value, answer.reasks, answer.notes)
    prose = next(filter(None, (prose_plan(refused.text) for refused in reversed(answer.refused))), None)
    if prose:
        return Planned(prose, answer.reasks, (*answer.notes, "the plan is made of a reply's prose"))
    reason = f"the strategist gave no plan: {answer.value.reason}"
    return NoCandidate(Plan(hypothesis="(no plan)"), reason, reasks=answer.reasks, notes=answer.notes)


def template(operator: str, prompts: Prompts) -> str:
    """The operator's own template, or that of `improve` for an operator that brings none."""
    own = f"strategist/{operator.rsplit('.', 1)[-1]}.j2"
    return own if prompts.has(own) else "strategist/improve.j2"


def _read(reply: Reply) -> Plan | Refusal:
    if not reply.text.strip():
        return Refusal("the reply is empty")
    return read_plan(reply.text)


def _messages(brief: Brief, prompts: Prompts, settings: AgentConfig, refused: Refused | None) -> tuple[Message, ...]:
    limit = settings.prompt_tokens * CHARACTERS_PER_TOKEN
    system = Message("system", prompts.render("strategist/system.j2"))
    after: tuple[Message, ...] = ()
    if refused:
        reason = prompts.render("strategist/refused.j2", reason=refused.reason)
        shown = clip(clean(refused.text), limit // 8) or "(no text)"
        after = (Message("assistant", shown), Message("user", reason))
    name = template(brief.operator, prompts)
    rest = len(system.content) + sum(len(message.content) for message in after)
    text, _ = fit(brief, limit - rest, lambda shown: prompts.render(name, **facts(shown)))
    return (system, Message("user", text), *after)
