"""Read what models reply: plans, fenced files, thoughts to skip. Any text gives a value or a refusal, never an error."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

from evolve.agent.brief import Change, Plan
from evolve.agent.lenient_json import Json, objects
from evolve.agent.text import clean

_THOUGHTS = re.compile(r"\A\s*<(think|thinking|reasoning)>.*?(?:</\1>|\Z)", re.DOTALL | re.IGNORECASE)
_THOUGHTS_END = re.compile(r"</(?:think|thinking|reasoning)>", re.IGNORECASE)
_FENCE = re.compile(r"\s{0,8}(`{3,}|~{3,})([^`]*)")
_NAMED = re.compile(r"(?:path|file|filename|name)\s*[=:]\s*(\"[^\"]+\"|'[^']+'|[^\s,}]+)", re.IGNORECASE)
_FILE_NAME = re.compile(r"[\w./\\-]*\w\.[A-Za-z]\w*")
_SENTENCE = re.compile(r"(.+?[.!?])(?:\s|$)", re.DOTALL)
_MARKUP = re.compile(r"^[\s#>*_\-\d.)]+|[*_`]+")

_MOST_CHANGES = 12
_HYPOTHESIS, _DETAIL = 500, 1000
"""Most characters of a hypothesis and of each other text of a plan."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a reply cannot be used, in words its author can act on."""

    reason: str


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block of a reply."""

    info: str
    """What follows the opening fence, e.g. `python path=main.py`."""
    text: str
    before: str
    """The last line of prose before it; it often names the file."""
    closed: bool = True

    @property
    def language(self) -> str:
        words = self.info.split()
        return words[0].lower() if words and "=" not in words[0] and "." not in words[0] else ""


def without_thoughts(text: str) -> str:
    """The reply without the reasoning some models put before it; an opening tag may be missing."""
    text = _THOUGHTS.sub("", text, count=1)
    end = _THOUGHTS_END.search(text)
    if end and "```" not in text[: end.start()]:
        text = text[end.end() :]
    return text


def fenced_blocks(text: str) -> list[Block]:
    """The fenced blocks of a reply in order; one that never closes runs to the end."""
    blocks: list[Block] = []
    fence, info, before, lines = "", "", "", list[str]()
    for line in text.split("\n"):
        found = _FENCE.fullmatch(line.rstrip())
        if not fence and found:
            fence, info, lines = found.group(1), found.group(2).strip(), []
        elif fence and found and found.group(1).startswith(fence) and not found.group(2).strip():
            blocks.append(Block(info, "\n".join(lines), before))
            fence, before = "", ""
        elif fence:
            lines.append(line)
        elif line.strip():
            before = line.strip()
    if fence:
        blocks.append(Block(info, "\n".join(lines), before, closed=False))
    return blocks


def named_path(hint: str, known: Iterable[str]) -> str | None:
    """The file a line names: `path=` anything, a known file mentioned in prose, or a line that is nothing but a name."""
    paths = tuple(known)
    named = _NAMED.search(hint)
    if named:
        return _known(named.group(1).strip("\"'`*"), paths)
    words = [word.strip("`*\"'():,#") for word in hint.split()]
    words = [word for word in words if word]
    mentioned = [path for path in (_known(word, paths) for word in words) if path in paths]
    if mentioned:
        return mentioned[-1]
    return _known(words[0], paths) if len(words) == 1 and _FILE_NAME.fullmatch(words[0]) else None


def _known(path: str, known: tuple[str, ...]) -> str:
    path = path.replace("\\", "/").removeprefix("./")
    if path in known:
        return path
    same_name = [one for one in known if PurePosixPath(one).name == PurePosixPath(path).name]
    return same_name[0] if len(same_name) == 1 else path


def read_plan(reply: str) -> Plan | Refusal:
    """The plan in a reply, however its JSON is wrapped or damaged."""
    found_object = False
    for found in objects(clean(without_thoughts(reply))):
        found_object = True
        inner = next(iter(found.values())) if len(found) == 1 else None
        plan = _plan(found) or (_plan(inner) if isinstance(inner, dict) else None)
        if plan:
            return plan
    if found_object:
        return Refusal("the JSON object has no `hypothesis`, or it is not a sentence")
    return Refusal("there is no JSON object in the reply")


def prose_plan(reply: str) -> Plan | None:
    """A plan made of the reply's own prose: its first sentence, and the rest as the reason. None if there is no prose."""
    text = clean(without_thoughts(reply))
    for block in fenced_blocks(text):
        text = text.replace(block.text, "") if block.text else text
    lines = (_MARKUP.sub("", line).strip() for line in text.split("\n") if not line.strip().startswith(("```", "~~~")))
    prose = " ".join(line for line in lines if line and line[0] not in "{}[]\"'")
    first = _SENTENCE.match(prose)
    hypothesis = first.group(1) if first else prose
    if sum(word.isalpha() for word in hypothesis.replace(".", " ").split()) < 3:
        return None
    return Plan(hypothesis=_cut(hypothesis, _HYPOTHESIS), why=_cut(prose[len(hypothesis) :].strip(), _DETAIL))


def _plan(found: dict[str, Json]) -> Plan | None:
    hypothesis = _cut(_words(found.get("hypothesis")), _HYPOTHESIS)
    if not any(sign.isalpha() for sign in hypothesis):
        return None
    return Plan(
        hypothesis=hypothesis,
        why=_cut(_words(found.get("why")), _DETAIL),
        changes=_changes(found.get("changes")),
        keep=_cut(_words(found.get("keep")), _DETAIL),
        predicted_gain=_number(found.get("predicted_gain")),
    )


def _changes(raw: Json) -> tuple[Change, ...]:
    items = raw if isinstance(raw, list) else [raw]
    changes = (_change(item) for item in items[:_MOST_CHANGES])
    return tuple(change for change in changes if change.what)


def _change(raw: Json) -> Change:
    if isinstance(raw, dict):
        where, what = _words(raw.get("where")), _words(raw.get("what"))
        # Keys nobody asked for hold what matters at times, e.g. the new value.
        further = _words({**raw, "where": None, "what": None})
        return Change(_cut(where, _DETAIL), _cut("; ".join(filter(None, (what, further))), _DETAIL))
    return Change("", _cut(_words(raw), _DETAIL))


def _words(raw: Json) -> str:
    """Any value as prose."""
    match raw:
        case None | bool():
            return ""
        case list():
            return "; ".join(filter(None, map(_words, raw)))
        case dict():
            return "; ".join(filter(None, map(_words, raw.values())))
        case _:
            return str(raw).strip()


def _number(raw: Json) -> float | None:
    if isinstance(raw, str):
        found = re.match(r"\s*[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?\s*$", raw, re.IGNORECASE)
        raw = float(found.group()) if found else None
    if isinstance(raw, bool) or not isinstance(raw, int | float):
        return None
    try:
        number = float(raw)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _cut(text: str, limit: int) -> str:
    text = clean(text).strip()
    return text if len(text) <= limit else text[: limit - 3] + "..."
