"""Carry out a plan. The coder decides how, never what, unless there is nobody to plan for it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Literal

from evolve.agent import stepwise
from evolve.agent.brief import NO_PLAN, Brief, Candidate, Mode, NoCandidate, Plan
from evolve.agent.context import CHARACTERS_PER_TOKEN, editable, facts, fit, shows_program
from evolve.agent.dialogue import Answer, Refused, ask
from evolve.agent.program import Written, read_program
from evolve.agent.replies import Refusal, prose_plan, without_thoughts
from evolve.agent.strategist import template
from evolve.agent.text import clean, clip
from evolve.agent.touched import touched
from evolve.config import AgentConfig
from evolve.llm.base import LLM, Files, Message, Reply
from evolve.prompts import Prompts, fenced

OPENING = frozenset({"draft", "aggregate"})
"""Operators that write a new solution."""
_CODE = re.compile(r"^\s*(?:`{3,}|~{3,}|<{5,9}|>{5,9})", re.MULTILINE)


def choose_mode(
    setting: Literal["adaptive", "whole", "stepwise", "diff"],
    operator: str,
    *,
    edits_refused: bool = False,
    by_parts: bool = False,
) -> Mode:
    """How the coder is to answer; `by_parts` says whether the program can, and should, be written stepwise.

    Adaptive: whole programs, or long ones part by part, for new solutions, whole ones after refused edits, else edits.
    """
    match setting:
        case "whole" | "diff":
            return setting
        case "stepwise":
            return "stepwise" if by_parts and not edits_refused else "whole"
        case "adaptive":
            if edits_refused:
                return "whole"
            return ("stepwise" if by_parts else "whole") if operator in OPENING else "diff"


def write(
    brief: Brief, plan: Plan | None, llm: LLM, prompts: Prompts, settings: AgentConfig
) -> Candidate | NoCandidate:
    """The program the plan describes, asked for again with the reason when a reply cannot be used.

    Without a plan the coder decides what to try, and its plan is what it says about that.
    """
    by_parts = plan is not None and stepwise.is_for(brief, plan, settings)
    mode = choose_mode(settings.mode, brief.operator, by_parts=by_parts)
    if plan is not None and mode == "stepwise":
        written = stepwise.write(brief, plan, llm, prompts, settings)
        if written is not None:
            return written
        mode = "diff"  # too long to be shown
    author = _Author(brief, plan, prompts, settings, mode)
    answer = author.ask(llm, settings.reasks, author.messages)
    if isinstance(answer.value, Refusal):
        return NoCandidate(plan or Plan(NO_PLAN), answer.value.reason, author.mode, answer.reasks, answer.notes)
    done = answer.value
    return Candidate(
        plan=plan or own_plan(answer.text, done.files, brief.base),
        files=done.files,
        mode=done.mode,
        reasks=answer.reasks,
        notes=(*answer.notes, *done.notes),
        calls=answer.calls,
    )


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
    answer = author.ask(llm, 0, lambda _: author.messages(earlier), first=written.calls + 1)
    reasks, calls = written.reasks + 1, written.calls + 1
    if isinstance(answer.value, Refusal):
        return replace(written, reasks=reasks, notes=(*notes, *answer.notes), calls=calls)
    again = answer.value
    # The edit that the plan describes may be the one that was made before.
    return Candidate(plan, again.files, again.mode, reasks, (*notes, *again.notes), calls, redone=True)


def own_plan(reply: str, files: Files, base: Files) -> Plan:
    """What a coder without a plan said it tries before it wrote code, or else which parts it changed."""
    before = _CODE.split(without_thoughts(reply), maxsplit=1)[0]
    # A line of one word is the name of the file that follows.
    prose = prose_plan("\n".join(line for line in before.split("\n") if len(line.split()) > 1))
    return prose or Plan(hypothesis=f"change {', '.join(touched(files, base)) or 'the program'}")


class _Author:
    """One conversation about one plan, or about a change that the coder decides on itself."""

    def __init__(self, brief: Brief, plan: Plan | None, prompts: Prompts, settings: AgentConfig, mode: Mode) -> None:
        self.mode = mode
        """The form the latest request asked for."""
        self._all_shown = True
        """Whether that request had the whole program in it."""
        self._brief, self._plan, self._prompts = brief, plan, prompts
        paths = editable(brief)
        self._only = paths[0] if len(paths) == 1 else None
        self._setting = settings.mode
        self._limit = settings.prompt_tokens * CHARACTERS_PER_TOKEN
        self._references = settings.reference_tokens * CHARACTERS_PER_TOKEN

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
        system = "coder/system.j2" if self._plan else "coder/alone.j2"
        opening = [Message("system", self._prompts.render(system))]
        if self.mode == "diff":
            opening += stepwise.example(self._prompts, alone=self._plan is None)
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
        request, shown = fit(
            self._brief, self._limit - rest, lambda brief: self._request(brief, told), references=self._references
        )
        self._all_shown = shows_program(shown, self._brief)
        return (*opening, Message("user", request), *closing)

    def _request(self, shown: Brief, refused: str) -> str:
        given = {"only": self._only, "refused": refused, **facts(shown)}
        if self._plan is None:
            return self._prompts.render(template(self._brief.operator, self._prompts), alone=self.mode, **given)
        return self._prompts.render(f"coder/{self.mode}.j2", plan=self._plan, **given)


def _as_reply(files: Files, base: Files) -> str:
    """The files that differ from the base, as a reply in whole mode has them."""
    changed = (path for path in sorted(files) if files[path] != base.get(path))
    return "\n\n".join(fenced(files[path], f"path={path}") for path in changed)
