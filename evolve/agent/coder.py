"""Carry out a plan. The coder decides how, never what."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Literal

from evolve.agent.brief import Brief, Candidate, Mode, NoCandidate, Plan
from evolve.agent.context import CHARACTERS_PER_TOKEN, editable, facts, fit, shows_program
from evolve.agent.dialogue import Answer, Refused, ask
from evolve.agent.program import Written, read_program
from evolve.agent.replies import Refusal
from evolve.agent.text import clean, clip
from evolve.config import AgentConfig
from evolve.llm.base import LLM, Files, Message, Reply
from evolve.prompts import Prompts, fenced


def choose_mode(setting: Literal["adaptive", "whole", "diff"], operator: str, *, edits_refused: bool = False) -> Mode:
    """How the coder is to answer. Adaptive: whole programs for drafts and after refused edits, edits otherwise."""
    if setting != "adaptive":
        return setting
    return "whole" if operator == "draft" or edits_refused else "diff"


def write(brief: Brief, plan: Plan, llm: LLM, prompts: Prompts, settings: AgentConfig) -> Candidate | NoCandidate:
    """The program the plan describes, asked for again with the reason when a reply cannot be used."""
    author = _Author(brief, plan, prompts, settings, choose_mode(settings.mode, brief.operator))
    answer = author.ask(llm, settings.reasks, author.messages)
    if isinstance(answer.value, Refusal):
        return NoCandidate(plan, answer.value.reason, author.mode, answer.reasks, answer.notes)
    written = answer.value
    return Candidate(plan, written.files, written.mode, answer.reasks, (*answer.notes, *written.notes))


def rewrite(
    brief: Brief,
    plan: Plan,
    written: Candidate,
    objection: str,
    llm: LLM,
    prompts: Prompts,
    settings: AgentConfig,
) -> Candidate:
    """Another program for the same plan, told what speaks against the one written; that one if none comes of it."""
    mode = choose_mode(settings.mode, brief.operator, edits_refused=True)
    author = _Author(brief, plan, prompts, settings, mode)
    earlier = Refused(_as_reply(written.files, brief.base) if mode == "whole" else "", objection)
    notes = (*written.notes, objection)
    answer = author.ask(llm, 0, lambda _: author.messages(earlier), first=written.reasks + 2)
    if isinstance(answer.value, Refusal):
        return replace(written, reasks=written.reasks + 1, notes=(*notes, *answer.notes))
    again = answer.value
    # The edit that the plan describes may be the one that was made before.
    redone = replace(plan, hypothesis=f"redone: {plan.hypothesis}")
    return Candidate(redone, again.files, again.mode, written.reasks + 1, (*notes, *again.notes))


class _Author:
    """One conversation about one plan."""

    def __init__(self, brief: Brief, plan: Plan, prompts: Prompts, settings: AgentConfig, mode: Mode) -> None:
        self.mode = mode
        """The form the latest request asked for."""
        self._all_shown = True
        """Whether that request had the whole program in it."""
        self._brief, self._plan, self._prompts = brief, plan, prompts
        paths = editable(brief)
        self._only = paths[0] if len(paths) == 1 else None
        self._setting = settings.mode
        self._limit = settings.prompt_tokens * CHARACTERS_PER_TOKEN

    def ask(
        self, llm: LLM, reasks: int, call: Callable[[Refused | None], tuple[Message, ...]], *, first: int = 1
    ) -> Answer[Written]:
        return ask(
            llm,
            call,
            self._read,
            name=self._brief.expansion_id,
            role="coder",
            reasks=reasks,
            materials=self._brief.materials,
            first=first,
        )

    def messages(self, refused: Refused | None) -> tuple[Message, ...]:
        """The whole conversation: an example where the form needs one, the task, and what was refused.

        A reply refused in another form than is now asked for is left out, since small models repeat what they see; its
        reason is told. A program too long to be shown whole can only be edited: written whole it would lose lines.
        """
        asked = self.mode
        if refused:
            self.mode = choose_mode(self._setting, self._brief.operator, edits_refused=True)
        messages = self._conversation(refused, asked)
        if self.mode == "whole" and not self._all_shown:
            self.mode = "diff"
            messages = self._conversation(refused, asked)
        return messages

    def _read(self, reply: Reply) -> Written | Refusal:
        return read_program(reply, self.mode, self._brief.base, self._brief.task, edits_only=not self._all_shown)

    def _conversation(self, refused: Refused | None, asked: Mode) -> tuple[Message, ...]:
        opening = [Message("system", self._prompts.render("coder/system.j2"))]
        if self.mode == "diff":
            opening += [
                Message("user", self._prompts.render("coder/example_request.j2")),
                Message("assistant", self._prompts.render("coder/example_reply.j2")),
            ]
        closing: list[Message] = []
        reason = clip(refused.reason, self._limit // 8) if refused else ""
        if refused and asked == self.mode:
            closing = [
                Message("assistant", clip(clean(refused.text), self._limit // 4) or "(no text)"),
                Message(
                    "user", self._prompts.render("coder/refused.j2", reason=reason, mode=self.mode, only=self._only)
                ),
            ]
        rest = sum(len(message.content) for message in (*opening, *closing))
        told = "" if closing else reason
        request, shown = fit(self._brief, self._limit - rest, lambda brief: self._request(brief, told))
        self._all_shown = shows_program(shown, self._brief)
        return (*opening, Message("user", request), *closing)

    def _request(self, shown: Brief, refused: str) -> str:
        given = {"plan": self._plan, "only": self._only, "refused": refused}
        return self._prompts.render(f"coder/{self.mode}.j2", **given, **facts(shown))


def _as_reply(files: Files, base: Files) -> str:
    """The files that differ from the base, as a reply in whole mode has them."""
    changed = (path for path in sorted(files) if files[path] != base.get(path))
    return "\n\n".join(fenced(files[path], f"path={path}") for path in changed)
