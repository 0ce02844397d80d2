"""Replies that a real model of 1.5 billion parameters gave to these prompts, and what becomes of them.

Edits, but for the turned arrows and the idle one, answer the plan "set circles[i] to (x, y, room)" for
replies/program.txt; the idle edit and the whole programs are for replies/points.txt.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from evolve.agent.brief import Brief, Change, Mode, Plan
from evolve.agent.program import Written, read_program
from evolve.agent.replies import Refusal, read_plan
from evolve.llm.base import Reply

FOLDER = Path(__file__).parent / "replies"
PROGRAM = (FOLDER / "program.txt").read_text()
POINTS = (FOLDER / "points.txt").read_text()
MENDED = PROGRAM.replace("circles[i][2] = room", "circles[i] = (x, y, room)")


def read(name: str, brief: Brief) -> Written | Refusal:
    reply = Reply((FOLDER / f"{name}.txt").read_text(), "small")
    return read_program(reply, "diff", {"program.py": PROGRAM}, brief.task)


@pytest.mark.parametrize("name", ["edit-repeated", "edit-idle-and-repeated", "edit-made-up-name"])
def test_edits_that_are_odd_but_clear_apply(name: str, briefs: dict[str, Brief]) -> None:
    assert read(name, briefs["debug"]) == Written({"program.py": MENDED}, "diff")


@pytest.mark.parametrize(
    ("name", "why"),
    [("edit-turned-arrows", "block 1 has no ======= line"), ("edit-without-search", "without its <<<<<<< SEARCH")],
)
def test_edits_that_leave_it_open_what_they_mean_are_refused(name: str, why: str, briefs: dict[str, Brief]) -> None:
    refusal = read(name, briefs["debug"])
    assert isinstance(refusal, Refusal)
    assert why in refusal.reason


def read_points(name: str, mode: Mode, brief: Brief) -> Written | Refusal:
    task = dataclasses.replace(brief.task, initial={"initial.py": POINTS})
    return read_program(Reply((FOLDER / f"{name}.txt").read_text(), "small"), mode, task.initial, task)


@pytest.mark.parametrize(
    ("name", "mode", "has"),
    [
        ("whole-name-in-brackets", "diff", "COLUMNS = 3\nGAP = 0.2\n"),
        ("whole-made-up-name", "whole", "COLUMNS = 4\nGAP = 0.15\n"),
    ],
)
def test_a_whole_program_is_the_only_file_there_is(name: str, mode: Mode, has: str, briefs: dict[str, Brief]) -> None:
    written = read_points(name, mode, briefs["draft"])
    assert isinstance(written, Written)
    assert (written.mode, set(written.files)) == ("whole", {"initial.py"})
    assert has in written.files["initial.py"]


@pytest.mark.parametrize(
    ("name", "mode", "why"),
    [
        ("edit-idle", "diff", "block 1 (initial.py): SEARCH and REPLACE are the same"),
        ("edit-no-divider", "diff", "block 1 has no ======= line between its halves"),
        ("whole-echo", "whole", "no fenced code block"),
        ("whole-empty", "whole", "the code block of initial.py is empty"),
    ],
)
def test_replies_that_hold_no_change_are_refused(name: str, mode: Mode, why: str, briefs: dict[str, Brief]) -> None:
    refusal = read_points(name, mode, briefs["draft"])
    assert isinstance(refusal, Refusal)
    assert why in refusal.reason


@pytest.mark.parametrize(
    ("name", "where", "keep"),
    [
        ("plan-keep-list", "grow function", "pack function; The pack"),
        ("plan-debug", "grow function", "the 'pack' function"),
    ],
)
def test_plans_of_another_shape_than_asked_for(name: str, where: str, keep: str) -> None:
    plan = read_plan((FOLDER / f"{name}.txt").read_text())
    assert isinstance(plan, Plan)
    assert plan.changes[0].where == where
    assert plan.keep.startswith(keep)


def test_a_change_keeps_what_stands_under_a_key_of_the_models_own() -> None:
    plan = read_plan((FOLDER / "plan-further-key.txt").read_text())
    assert isinstance(plan, Plan)
    assert plan.changes == (Change("initial.py", "GAP = 0.3; GAP = 0.2"),)


RECORDED = json.loads((FOLDER / "recorded.json").read_text())
"""Nineteen nodes of a run on `examples/max_min_distance`: all that its coder wrote, and its first plans."""


@pytest.mark.parametrize("call", [one for one in RECORDED["calls"] if "asked" in one], ids=lambda call: call["call"])
def test_a_recorded_program_is_taken_or_refused_for_its_reason(call: dict[str, Any], briefs: dict[str, Brief]) -> None:
    task = dataclasses.replace(briefs["draft"].task, initial={"initial.py": RECORDED["programs"][0]})
    base = {"initial.py": RECORDED["programs"][call["base"]]}
    found = read_program(Reply(call["reply"], "small", finish=call["finish"]), call["asked"], base, task)
    if isinstance(found, Written):
        assert found.mode == call.get("mode")
        assert found.files != base
    else:
        assert found.reason.startswith(call.get("refused", "nothing"))


@pytest.mark.parametrize(
    "call", [one for one in RECORDED["calls"] if "hypothesis" in one], ids=lambda call: call["call"]
)
def test_a_recorded_plan_is_read(call: dict[str, Any]) -> None:
    plan = read_plan(call["reply"])
    assert isinstance(plan, Plan)
    assert plan.hypothesis == call["hypothesis"]
