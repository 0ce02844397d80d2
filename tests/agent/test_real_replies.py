"""Replies that a real model of 1.5 billion parameters gave to these prompts, and what becomes of them.

All but the turned arrows answer the plan "set circles[i] to (x, y, room)" for replies/program.txt.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from evolve.agent.brief import Brief, Plan
from evolve.agent.program import Written, read_program
from evolve.agent.replies import Refusal, read_plan
from evolve.llm.base import Reply

FOLDER = Path(__file__).parent / "replies"
PROGRAM = (FOLDER / "program.txt").read_text()
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
