"""Decide what to try. The strategist writes a plan; it never writes code."""

from __future__ import annotations

from collections.abc import Sequence

from evolve.agent.brief import NO_PLAN, Brief, NoCandidate, Plan, Planned
from evolve.agent.context import CHARACTERS_PER_TOKEN, facts, fit
from evolve.agent.dialogue import Answer, Refused, ask
from evolve.agent.novelty import Tried, twin_of
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


def plan(
    brief: Brief, llm: LLM, prompts: Prompts, settings: AgentConfig, tried: Sequence[Tried] = ()
) -> Planned | NoCandidate:
    """What to try next. A reply in prose counts as a plan once asking again has not helped; an empty one does not.

    A plan that is nearly one of those `tried` is sent back once, with what came of that one; the second stands.
    """
    answer = _ask(brief, llm, prompts, settings, settings.reasks)
    if isinstance(answer.value, Refusal):
        return _of_prose(answer, answer.value)
    planned = Planned(answer.value, answer.reasks, answer.notes)
    twin = twin_of(planned.plan, tried)
    return planned if twin is None else _other_plan(planned, answer.text, twin, brief, llm, prompts, settings)


def template(operator: str, prompts: Prompts) -> str:
    """The operator's own template, or that of `improve` for an operator that brings none."""
    own = f"strategist/{operator.rsplit('.', 1)[-1]}.j2"
    return own if prompts.has(own) else "strategist/improve.j2"


def _of_prose(answer: Answer[Plan], refusal: Refusal) -> Planned | NoCandidate:
    prose = next(filter(None, (prose_plan(refused.text) for refused in reversed(answer.refused))), None)
    if prose:
        return Planned(prose, answer.reasks, (*answer.notes, "the plan is made of a reply's prose"))
    reason = f"the strategist gave no plan: {refusal.reason}"
    return NoCandidate(Plan(hypothesis=NO_PLAN), reason, reasks=answer.reasks, notes=answer.notes)


def _other_plan(
    planned: Planned, reply: str, twin: Tried, brief: Brief, llm: LLM, prompts: Prompts, settings: AgentConfig
) -> Planned:
    """Another plan, told which one this was too much like; the first one where no other comes of it."""
    objection = (reply, prompts.render("strategist/repeated.j2", twin=twin))
    again = _ask(brief, llm, prompts, settings, 0, objection, first=planned.reasks + 2)
    whose = twin.node_id or "a draft written at the same time"
    notes = (*planned.notes, f"strategist: nearly the plan of {whose}; asked for another", *again.notes)
    found = planned.plan if isinstance(again.value, Refusal) else again.value
    return Planned(found, planned.reasks + 1, notes)


def _ask(
    brief: Brief,
    llm: LLM,
    prompts: Prompts,
    settings: AgentConfig,
    reasks: int,
    objection: tuple[str, str] | None = None,
    first: int = 1,
) -> Answer[Plan]:
    """`objection`: a reply, and what it is answered, that come before the first request."""

    def call(refused: Refused | None) -> tuple[Message, ...]:
        if refused is None:
            return _messages(brief, prompts, settings, objection)
        return _messages(
            brief, prompts, settings, (refused.text, prompts.render("strategist/refused.j2", reason=refused.reason))
        )

    return ask(
        llm,
        call,
        _read,
        name=brief.expansion_id,
        role="strategist",
        reasks=reasks,
        materials=brief.materials,
        schema=SCHEMA,
        first=first,
    )


def _read(reply: Reply) -> Plan | Refusal:
    if not reply.text.strip():
        return Refusal("the reply is empty")
    return read_plan(reply.text)


def _messages(
    brief: Brief, prompts: Prompts, settings: AgentConfig, objection: tuple[str, str] | None
) -> tuple[Message, ...]:
    limit = settings.prompt_tokens * CHARACTERS_PER_TOKEN
    system = Message("system", prompts.render("strategist/system.j2"))
    after: tuple[Message, ...] = ()
    if objection:
        reply, answer = objection
        after = (Message("assistant", clip(clean(reply), limit // 8) or "(no text)"), Message("user", answer))
    name = template(brief.operator, prompts)
    rest = len(system.content) + sum(len(message.content) for message in after)
    text, _ = fit(
        brief,
        limit - rest,
        lambda shown: prompts.render(name, **facts(shown), alone=None, only=None, refused=""),
        references=settings.reference_tokens * CHARACTERS_PER_TOKEN,
    )
    return (system, Message("user", text), *after)
