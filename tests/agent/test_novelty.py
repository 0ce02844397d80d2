"""A plan that was tried is told from one that was not."""

from __future__ import annotations

import dataclasses
import json

import pytest
from agent.briefs import BRIEFS, Script
from hypothesis import given
from hypothesis import strategies as st

from evolve.agent import strategist
from evolve.agent.brief import Change, Plan, Planned
from evolve.agent.novelty import LIKENESS, PlanFingerprint, Tried, twin_of
from evolve.config import AgentConfig
from evolve.prompts import Prompts

PROMPTS = Prompts()
ANNEAL = Plan(
    "Use simulated annealing over the centres with temperature 0.05",
    changes=(Change("pack", "accept a worse move with probability exp(-loss / 0.05)"),),
)
TRIED = Tried(ANNEAL, "n4", "scored", 2.25)


def likeness(one: Plan, other: Plan) -> float:
    return PlanFingerprint.of(one).likeness(PlanFingerprint.of(other))


def said(hypothesis: str, where: str = "pack", what: str = "") -> str:
    changes = [{"where": where, "what": what}] if what else []
    return json.dumps({"hypothesis": hypothesis, "changes": changes})


@pytest.mark.parametrize(
    ("hypothesis", "near"),
    [
        ("Use simulated annealing over the centres with temperature 0.05", True),
        ("use SIMULATED annealing, over centres, at a temperature of 5e-2", True),
        ("Use simulated annealing over the centres with temperature 0.1", False),
        ("Use simulated annealing over the centres with temperature 0.05 and 3 restarts", False),
        ("Use gradient ascent on the radii with temperature 0.05", False),
    ],
)
def test_the_same_words_and_numbers_are_the_same_plan(hypothesis: str, near: bool) -> None:
    other = dataclasses.replace(ANNEAL, hypothesis=hypothesis)
    assert (likeness(ANNEAL, other) >= LIKENESS) is near
    assert (twin_of(other, [TRIED]) == TRIED) is near


def test_edits_drawn_at_random_are_alike_only_if_they_are_the_same() -> None:
    one = Plan("mutation: replace literal 6 by 7 at line 12", changes=(Change("p.py:12", "replace literal 6 by 7"),))
    other = Plan("mutation: replace literal 6 by 8 at line 12", changes=(Change("p.py:12", "replace literal 6 by 8"),))
    assert twin_of(other, [Tried(one)]) is None
    assert twin_of(one, [Tried(other), Tried(one, "n2")]) == Tried(one, "n2")


def test_the_likest_plan_is_named_and_the_first_of_equals() -> None:
    close = Tried(dataclasses.replace(ANNEAL, hypothesis=f"{ANNEAL.hypothesis} slowly"), "n3")
    assert twin_of(ANNEAL, [close, TRIED, dataclasses.replace(TRIED, node_id="n9")]) == TRIED
    assert twin_of(ANNEAL, []) is None


@given(st.text(), st.text())
def test_likeness_is_symmetric_and_bounded(one: str, other: str) -> None:
    first, second = Plan(one), Plan(other)
    assert likeness(first, second) == likeness(second, first)
    assert 0 <= likeness(first, second) <= 1
    assert likeness(first, first) in (0, 1)


REPEATED = said(ANNEAL.hypothesis, what=ANNEAL.changes[0].what)


def test_a_repeated_plan_is_sent_back_once_with_what_came_of_it() -> None:
    llm = Script([REPEATED, said("Grow the circles from the corners")])
    planned = strategist.plan(BRIEFS["improve"], llm, PROMPTS, AgentConfig(), [TRIED])
    assert isinstance(planned, Planned)
    assert (planned.plan.title, planned.reasks) == ("Grow the circles from the corners", 1)
    assert planned.notes == ("strategist: nearly the plan of n4; asked for another",)
    assert [request.call_id for request in llm.requests] == ["n8/strategist/1", "n8/strategist/2"]
    *first, reply, objection = llm.requests[1].messages
    assert (tuple(first), reply.content) == (llm.requests[0].messages, REPEATED)
    assert 'plan of n4, "Use simulated annealing' in objection.content
    assert "which ended as scored with score 2.25" in objection.content


def test_the_second_plan_stands_whatever_it_is() -> None:
    llm = Script(["", REPEATED, REPEATED])
    planned = strategist.plan(BRIEFS["improve"], llm, PROMPTS, AgentConfig(), [Tried(ANNEAL)])
    assert isinstance(planned, Planned)
    assert (planned.plan, planned.reasks) == (ANNEAL, 2)
    assert llm.requests[-1].call_id == "n8/strategist/3"


def test_without_another_plan_the_first_one_stays() -> None:
    planned = strategist.plan(BRIEFS["improve"], Script([REPEATED, "No."]), PROMPTS, AgentConfig(), [TRIED])
    assert isinstance(planned, Planned)
    assert (planned.plan, planned.reasks) == (ANNEAL, 1)
    assert "refused" in planned.notes[1]
