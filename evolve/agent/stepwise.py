"""Carry out a plan part by part: one request for each function, class or constant it changes, put together in between.

For long programs, which a model cannot write again in one reply without losing something. Knows Python only.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from evolve.agent import syntax
from evolve.agent.brief import Brief, Candidate, Change, NoCandidate, Plan
from evolve.agent.context import CHARACTERS_PER_TOKEN, editable, facts, fit, showing, shows_program
from evolve.agent.dialogue import Refused, ask
from evolve.agent.edits import has_edits
from evolve.agent.markers import has_markers
from evolve.agent.merge import Merged, merge, names_of, undefined
from evolve.agent.program import Written, finished, fitting_blocks, read_patch
from evolve.agent.replies import Refusal, without_thoughts
from evolve.agent.text import clean, clip
from evolve.config import AgentConfig
from evolve.llm.base import LLM, Files, Message, Reply
from evolve.prompts import Prompts

T = TypeVar("T")

MANY_CHANGES = 4
"""More changes than this are carried out one by one in a program half as long, too."""

_KIND = r"(?:the|async|def|class|function|method|constant|variable)"
_NAME = re.compile(rf"(?:{_KIND}\s+)*`?([A-Za-z_]\w*)(?:\.\w+)*(?:\(.*\))?`?(?:\s+{_KIND})?")
_FILE = re.compile(r"`?[\w./-]+\.py`?(?::\s+|$)")
_LINE = re.compile(r"\S+:\d+")


@dataclass(frozen=True, slots=True)
class Part:
    """Changes of a plan that belong together."""

    where: str
    """A top-level name, words that say where, or nothing."""
    changes: tuple[str, ...]


def parts_of(plan: Plan) -> tuple[Part, ...]:
    """The changes by where they are made, in the plan's order; none where they are told by line numbers."""
    grouped: dict[str, list[str]] = {}
    for change in plan.changes:
        where = _named(change)
        if _LINE.fullmatch(where):
            return ()
        grouped.setdefault(where, []).append(change.what)
    return tuple(Part(where, tuple(changes)) for where, changes in grouped.items())


def is_for(brief: Brief, plan: Plan, settings: AgentConfig) -> bool:
    """Whether the program can be written part by part and, unless that is what the settings want, is long enough."""
    paths = editable(brief)
    if not parts_of(plan) or len(paths) != 1 or not syntax.is_python(paths[0]) or has_markers(brief.task.initial):
        return False
    text = brief.base[paths[0]]
    lines = text.count("\n")
    long = lines > settings.stepwise_lines or (
        len(plan.changes) > MANY_CHANGES and lines > settings.stepwise_lines // 2
    )
    return (long or settings.mode == "stepwise") and syntax.problem(paths[0], text) is None


def write(
    brief: Brief, plan: Plan, llm: LLM, prompts: Prompts, settings: AgentConfig
) -> Candidate | NoCandidate | None:
    """The program the plan describes; None if the program is too long to be shown, and is better edited.

    A part that cannot be used after all re-asks ends it: half a plan is not the plan.
    """
    return _Author(brief, plan, llm, prompts, settings).write()


class _Author:
    """One conversation for each part, and one to mend what they make together."""

    def __init__(self, brief: Brief, plan: Plan, llm: LLM, prompts: Prompts, settings: AgentConfig) -> None:
        self._brief, self._plan, self._llm, self._prompts, self._settings = brief, plan, llm, prompts, settings
        self._limit = settings.prompt_tokens * CHARACTERS_PER_TOKEN
        [self._path] = editable(brief)
        self._parts = parts_of(plan)
        self._files: Files = brief.base
        self._calls, self._reasks = 0, 0
        self._notes: list[str] = []

    def write(self) -> Candidate | NoCandidate | None:
        if not self._shows_program():
            return None
        for number, part in enumerate(self._parts, start=1):
            merged = self._ask(
                partial(self._part_messages, number), partial(self._read_part, part), self._settings.reasks
            )
            if isinstance(merged, Refusal):
                return self._given_up(f"part {number} of {len(self._parts)}: {merged.reason}")
            self._files = {**self._files, self._path: merged.text}
            self._notes += merged.notes
        return self._whole()

    def _whole(self) -> Candidate | NoCandidate:
        """The parts as one program, mended in one more call where they do not fit together."""
        written = finished(self._files, "stepwise", self._brief.base, self._brief.task)
        problems = written.reason if isinstance(written, Refusal) else self._undefined()
        if problems and self._files[self._path].strip() != self._brief.base[self._path].strip():
            mended = self._ask(lambda _: self._merge_messages(problems), self._read_merge, 0)
            if isinstance(mended, Written):
                written = mended
        if isinstance(written, Refusal):
            return self._given_up(written.reason)
        notes = (*self._notes, *written.notes)
        return Candidate(self._plan, written.files, "stepwise", self._reasks, notes, calls=self._calls)

    def _given_up(self, reason: str) -> NoCandidate:
        return NoCandidate(self._plan, reason, "stepwise", self._reasks, tuple(self._notes))

    def _undefined(self) -> str:
        """What the program uses and never defines, as far as it was not so before."""
        names = undefined(self._files[self._path]) - undefined(self._brief.base[self._path])
        return f"these names are used and defined nowhere: {', '.join(sorted(names))}" if names else ""

    def _ask(
        self,
        call: Callable[[Refused | None], tuple[Message, ...]],
        read: Callable[[Reply], T | Refusal],
        reasks: int,
    ) -> T | Refusal:
        answer = ask(
            self._llm,
            call,
            read,
            name=self._brief.expansion_id,
            role="coder",
            reasks=reasks,
            materials=self._brief.materials,
            first=self._calls + 1,
        )
        self._calls += answer.calls
        self._reasks += answer.reasks
        self._notes += answer.notes
        return answer.value

    def _read_part(self, part: Part, reply: Reply) -> Merged | Refusal:
        if reply.finish == "length":
            return Refusal("the reply was cut off at the token limit; write this part shorter")
        text = without_thoughts(reply.text).replace("\r\n", "\n")
        if has_edits(text):
            return Refusal("the reply has SEARCH/REPLACE blocks where the part itself was asked for")
        code = "\n\n\n".join(fitting_blocks(text, self._path))
        if not code.strip():
            return Refusal("there is no fenced block with Python code in the reply")
        if found := syntax.problem(self._path, code):
            return Refusal(found)
        if part.where in names_of(self._files[self._path]) - names_of(code):
            return Refusal(f"the code block does not define {part.where}")
        return merge(self._files[self._path], code)

    def _read_merge(self, reply: Reply) -> Written | Refusal:
        if reply.finish == "length":
            return Refusal("the reply was cut off at the token limit")
        mended = read_patch(without_thoughts(reply.text), self._files, self._brief.task)
        if isinstance(mended, Refusal):
            return mended
        return finished(mended.files, "stepwise", self._brief.base, self._brief.task)

    def _shows_program(self) -> bool:
        system = Message("system", self._prompts.render("coder/system.j2"))
        _, shown = self._fit(self._limit - len(system.content), lambda brief: self._part_request(brief, 1))
        return shows_program(shown, self._brief)

    def _part_messages(self, number: int, refused: Refused | None) -> tuple[Message, ...]:
        after: tuple[Message, ...] = ()
        if refused:
            reason = clip(refused.reason, self._limit // 8)
            words = self._prompts.render("coder/refused.j2", reason=reason, mode="stepwise", only=self._path)
            after = (
                Message("assistant", clip(clean(refused.text), self._limit // 4) or "(no text)"),
                Message("user", words),
            )
        return self._messages((), lambda brief: self._part_request(brief, number), after)

    def _part_request(self, shown: Brief, number: int) -> str:
        given = {
            "part": self._parts[number - 1],
            "number": number,
            "parts": len(self._parts),
            "done": [part.where for part in self._parts[: number - 1] if part.where],
        }
        return self._prompts.render("coder/stepwise.j2", **given, **self._told(shown))

    def _merge_messages(self, problems: str) -> tuple[Message, ...]:
        def request(shown: Brief) -> str:
            return self._prompts.render("coder/merge.j2", problems=problems, **self._told(shown))

        return self._messages(example(self._prompts), request, ())

    def _told(self, shown: Brief) -> dict[str, object]:
        return {"plan": self._plan, "only": self._path, "refused": "", **facts(shown)}

    def _messages(
        self, example: tuple[Message, ...], request: Callable[[Brief], str], after: tuple[Message, ...]
    ) -> tuple[Message, ...]:
        before = (Message("system", self._prompts.render("coder/system.j2")), *example)
        rest = sum(len(message.content) for message in (*before, *after))
        text, _ = self._fit(self._limit - rest, request)
        return (*before, Message("user", text), *after)

    def _fit(self, limit: int, request: Callable[[Brief], str]) -> tuple[str, Brief]:
        references = self._settings.reference_tokens * CHARACTERS_PER_TOKEN
        return fit(showing(self._brief, self._files), limit, request, references=references)


def example(prompts: Prompts, *, alone: bool = False) -> tuple[Message, ...]:
    """An edit that was asked for, and made: small models need to see one."""
    return (
        Message("user", prompts.render("coder/example_request.j2", alone=alone)),
        Message("assistant", prompts.render("coder/example_reply.j2", alone=alone)),
    )


def _named(change: Change) -> str:
    """The top-level name that a change is about, if it is a name, and else the words as they are."""
    where = _FILE.sub("", change.where.strip()).strip()
    found = _NAME.fullmatch(where)
    return found.group(1) if found else where
