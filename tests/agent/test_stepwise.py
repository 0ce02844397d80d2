"""Long programs are written part by part and put together."""

from __future__ import annotations

import dataclasses

import pytest
from agent.briefs import BRIEFS, PROGRAM, TWO_FILES, Script

from evolve.agent import coder, stepwise
from evolve.agent.brief import Brief, Candidate, Change, NoCandidate, Plan
from evolve.agent.stepwise import Part, parts_of
from evolve.config import AgentConfig
from evolve.llm.base import Files, Reply
from evolve.prompts import Prompts

PROMPTS = Prompts()
LONG = PROGRAM.replace("def pack", "".join(f"value_{n} = {n}\n" for n in range(400)) + "\n\ndef pack")
PLAN = Plan(
    "Shift odd rows.",
    changes=(
        Change("pack()", "shift odd rows by SHIFT"),
        Change("SHIFT", "half a radius"),
        Change("function `pack`", "use 5 columns"),
    ),
)
PACK = "Here:\n```python\nimport math\n\n\ndef pack(n):\n    return [(SHIFT, math.pi, 1)] * n\n```\n"
SHIFT = "```python\nSHIFT = 0.1\n```"


def brief(files: Files | None = None, **changes: object) -> Brief:
    task = dataclasses.replace(BRIEFS["draft"].task, initial=files or {"program.py": LONG})
    return dataclasses.replace(BRIEFS["draft"], task=task, **changes)  # type: ignore[arg-type]


def write(llm: Script, plan: Plan = PLAN, **settings: object) -> Candidate | NoCandidate:
    return coder.write(brief(), plan, llm, PROMPTS, AgentConfig(**settings))  # type: ignore[arg-type]


def test_changes_are_carried_out_part_by_part() -> None:
    llm = Script([PACK, SHIFT])
    written = write(llm)
    assert isinstance(written, Candidate)
    assert (written.mode, written.reasks, written.calls, written.notes) == ("stepwise", 0, 2, ())
    text = written.files["program.py"]
    assert "import json\nimport math\n" in text
    assert "return [(SHIFT, math.pi, 1)] * n\n" in text
    assert "SHIFT = 0.1\n" in text
    assert all(f"value_{n} = {n}\n" in text for n in range(400))
    first, second = (request.messages[-1].content for request in llm.requests)
    assert "this is part 1 of 2. Write only pack:\n- shift odd rows by SHIFT\n- use 5 columns\n" in first
    assert "part 2 of 2. The program above already has the new pack. Write only SHIFT:\n- half a radius\n" in second
    assert "math.pi" in second
    assert [request.call_id for request in llm.requests] == ["n7/coder/1", "n7/coder/2"]


def test_a_part_is_asked_for_again_with_the_reason() -> None:
    llm = Script([PACK, "```python\nOTHER = 1\n```\n<<<<<<< SEARCH\n", SHIFT])
    written = write(llm)
    assert isinstance(written, Candidate)
    assert (written.reasks, written.calls) == (1, 3)
    *_, reply, reason = llm.requests[2].messages
    assert reply.content.startswith("```python\nOTHER = 1")
    assert "SEARCH/REPLACE blocks where the part itself was asked for" in reason.content
    assert "write that part completely" in reason.content


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        ("Use five columns.", "no fenced block"),
        ("```python\ndef pack(n):\n    return [\n```", "syntax error in program.py, line 2"),
        ("```python\ndef other(n):\n    return []\n```", "does not define pack"),
        (Reply(PACK, "script", finish="length"), "token limit"),
    ],
)
def test_half_a_plan_is_no_candidate(reply: str | Reply, why: str) -> None:
    found = write(Script([reply]), reasks=0)
    assert isinstance(found, NoCandidate)
    assert found.reason.startswith("part 1 of 2: ")
    assert why in found.reason
    assert (found.mode, found.plan) == ("stepwise", PLAN)


def test_parts_that_do_not_fit_together_are_mended_in_one_more_call() -> None:
    undefined = PACK.replace("SHIFT,", "TURN,")
    mend = "<<<<<<< SEARCH\n    return [(TURN, math.pi, 1)] * n\n=======\n    return [(SHIFT, math.pi, 1)] * n\n>>>>>>> REPLACE"
    llm = Script([undefined, SHIFT, mend])
    written = write(llm)
    assert isinstance(written, Candidate)
    assert (written.mode, written.calls) == ("stepwise", 3)
    assert "TURN" not in written.files["program.py"]
    request = llm.requests[2]
    assert "these names are used and defined nowhere: TURN" in request.messages[-1].content
    assert "<<<<<<< SEARCH" in request.messages[2].content
    for reply in ("No.", mend.replace("(TURN", "(WHAT"), Reply(mend, "script", finish="length")):
        written = write(Script([undefined, SHIFT, reply]))
        assert isinstance(written, Candidate), "it may run all the same"
        assert "TURN" in written.files["program.py"]


def test_parts_that_change_nothing_are_no_candidate() -> None:
    same = PROGRAM[PROGRAM.index("def pack") : PROGRAM.index("with open")]
    plan = dataclasses.replace(PLAN, changes=PLAN.changes[:1])
    llm = Script([f"```python\n{same}```"])
    found = coder.write(brief(), plan, llm, PROMPTS, AgentConfig())
    assert isinstance(found, NoCandidate)
    assert "exactly the one it started from" in found.reason
    assert len(llm.requests) == 1


def test_a_program_too_long_to_be_shown_is_edited() -> None:
    edit = "<<<<<<< SEARCH\n    side = 6\n=======\n    side = 5\n>>>>>>> REPLACE\n"
    written = write(Script([edit]), prompt_tokens=1500)
    assert isinstance(written, Candidate)
    assert (written.mode, written.files["program.py"]) == ("diff", LONG.replace("side = 6", "side = 5"))


def test_another_program_for_a_stepwise_plan_is_a_whole_one_under_a_new_name() -> None:
    llm = Script([PACK, SHIFT])
    written = write(llm)
    assert isinstance(written, Candidate)
    again = Script([f"```python path=program.py\n{LONG.replace('side = 6', 'side = 4')}```"])
    redone = coder.rewrite(brief(), PLAN, written, "The same as n2.", again, PROMPTS, AgentConfig())
    assert (redone.mode, redone.calls, again.requests[0].call_id) == ("whole", 3, "n7/coder/3")


@pytest.mark.parametrize(
    ("where", "named"),
    [
        ("pack", "pack"),
        ("`pack(n)`", "pack"),
        ("def pack", "pack"),
        ("the Solver class", "Solver"),
        ("Solver.step", "Solver"),
        ("program.py: pack", "pack"),
        ("program.py", ""),
        ("", ""),
        ("the loop over rows", "the loop over rows"),
    ],
)
def test_where_a_change_is_made(where: str, named: str) -> None:
    assert parts_of(Plan("x", changes=(Change(where, "y"),))) == (Part(named, ("y",)),)


LINES = Plan("x", changes=(Change("program.py:12", "y"),))
MANY = Plan("x", changes=tuple(Change(f"part_{n}", "y") for n in range(5)))
SHORTER = {"program.py": "x = 1\n" * 200}


@pytest.mark.parametrize(
    ("files", "plan", "mode", "wanted"),
    [
        ({"program.py": LONG}, PLAN, "adaptive", True),
        ({"program.py": PROGRAM}, PLAN, "adaptive", False),
        ({"program.py": PROGRAM}, PLAN, "stepwise", True),
        ({"program.py": LONG}, Plan("no changes told"), "stepwise", False),
        ({"program.py": LONG}, LINES, "stepwise", False),
        (SHORTER, PLAN, "adaptive", False),
        (SHORTER, MANY, "adaptive", True),
        ({"program.py": LONG + "x = ("}, PLAN, "stepwise", False),
        ({"program.rs": LONG}, PLAN, "stepwise", False),
        ({"program.py": f"# EVOLVE-BLOCK-START\n{LONG}# EVOLVE-BLOCK-END\n"}, PLAN, "stepwise", False),
        (TWO_FILES.initial, PLAN, "stepwise", False),
    ],
)
def test_when_a_program_is_written_stepwise(files: Files, plan: Plan, mode: str, wanted: bool) -> None:
    settings = AgentConfig.model_validate({"mode": mode})
    assert stepwise.is_for(brief(files), plan, settings) is wanted


def test_no_prompt_is_over_the_limit() -> None:
    references = (dataclasses.replace(BRIEFS["fuse"].references[0], files={"a.py": "x = 1\n" * 2000}),) * 3
    llm = Script([PACK.replace("SHIFT,", "TURN,"), "word\n" * 20000, SHIFT, "No."])
    coder.write(brief(references=references), PLAN, llm, PROMPTS, AgentConfig(prompt_tokens=4000))
    sizes = [sum(len(message.content) for message in request.messages) for request in llm.requests]
    assert len(sizes) == 4
    assert max(sizes) <= 16000
