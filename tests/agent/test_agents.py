"""Strategist, coder and reviewer: what they ask, what they accept, and how they give up."""

from __future__ import annotations

import dataclasses
import json
from typing import Literal

import pytest
from agent.briefs import BRIEFS, PLAN, PROGRAM, TWO_FILES, Script
from hypothesis import given
from hypothesis import strategies as st

from evolve.agent import coder, reviewer, strategist
from evolve.agent.brief import Brief, Candidate, NoCandidate, Plan, Planned
from evolve.agent.coder import choose_mode
from evolve.agent.program import Written, read_program
from evolve.agent.replies import Refusal
from evolve.config import AgentConfig
from evolve.errors import Overloaded
from evolve.llm.base import Reply, Request
from evolve.prompts import Prompts

SETTINGS = AgentConfig()
PROMPTS = Prompts()
GOOD_PLAN = json.dumps({"hypothesis": "Shift rows.", "why": "", "changes": [], "keep": "", "predicted_gain": None})
GOOD_EDIT = "<<<<<<< SEARCH\n    side = 6\n=======\n    side = 5\n>>>>>>> REPLACE\n"
BAD_EDIT = GOOD_EDIT.replace("side = 6", "side = 7")
NEW = PROGRAM.replace("side = 6", "side = 5")
WHOLE = f"Here it is:\n```python path=program.py\n{NEW}```\n"


def ids(llm: Script) -> list[str]:
    return [request.call_id for request in llm.requests]


Setting = Literal["adaptive", "whole", "stepwise", "diff"]

# strategist


def test_a_plan_at_once() -> None:
    llm = Script([GOOD_PLAN])
    assert strategist.plan(BRIEFS["improve"], llm, PROMPTS, SETTINGS) == Planned(Plan("Shift rows."))
    [request] = llm.requests
    assert (request.call_id, request.role) == ("n8/strategist/1", "strategist")
    assert request.schema == strategist.SCHEMA
    assert request.materials == BRIEFS["improve"].materials
    assert [message.role for message in request.messages] == ["system", "user"]


def test_the_reason_goes_back_with_the_reply_it_is_about() -> None:
    llm = Script(["I would shift rows somehow.", GOOD_PLAN])
    notes = ("strategist: reply 1 refused: there is no JSON object in the reply",)
    assert strategist.plan(BRIEFS["draft"], llm, PROMPTS, SETTINGS) == Planned(Plan("Shift rows."), 1, notes)
    assert ids(llm) == ["n7/strategist/1", "n7/strategist/2"]
    *first, reply, reason = llm.requests[1].messages
    assert tuple(first) == llm.requests[0].messages
    assert (reply.role, reply.content) == ("assistant", "I would shift rows somehow.")
    assert "no JSON object" in reason.content


def test_prose_is_a_plan_once_asking_again_did_not_help() -> None:
    llm = Script(["Shift the odd rows. It is denser.", ""])
    planned = strategist.plan(BRIEFS["draft"], llm, PROMPTS, SETTINGS)
    assert isinstance(planned, Planned)
    assert (planned.plan, planned.reasks) == (Plan("Shift the odd rows.", "It is denser."), 1)
    assert planned.notes[1:] == (
        "strategist: reply 2 refused: the reply is empty",
        "the plan is made of a reply's prose",
    )
    assert llm.requests[1].messages[2].content == "Shift the odd rows. It is denser."


def test_no_words_are_no_plan() -> None:
    found = strategist.plan(BRIEFS["draft"], Script(["", "{}"]), PROMPTS, SETTINGS)
    assert isinstance(found, NoCandidate)
    assert found.reason == "the strategist gave no plan: there is no JSON object in the reply"
    assert found.reasks == 1
    assert found.notes[0] == "strategist: reply 1 refused: the reply is empty"


def test_as_many_reasks_as_the_settings_say() -> None:
    llm = Script([""] * 4)
    strategist.plan(BRIEFS["draft"], llm, PROMPTS, AgentConfig(reasks=3))
    assert ids(llm)[-1] == "n7/strategist/4"
    assert llm.requests[1].messages[2].content == "(no text)"


def test_an_operator_without_a_template_of_its_own_uses_improves() -> None:
    assert strategist.template("mylab.fuser", PROMPTS) == "strategist/improve.j2"
    assert strategist.template("debug", PROMPTS) == "strategist/debug.j2"
    llm = Script([GOOD_PLAN])
    strategist.plan(dataclasses.replace(BRIEFS["improve"], operator="fuser"), llm, PROMPTS, SETTINGS)
    assert "# The program to improve" in llm.requests[0].messages[1].content


class Down:
    def complete(self, request: Request) -> Reply:
        raise Overloaded("down", hint="wait")


def test_a_failing_service_is_no_bad_reply() -> None:
    candidate = Candidate(PLAN, {"program.py": NEW}, "whole")
    with pytest.raises(Overloaded):
        strategist.plan(BRIEFS["draft"], Down(), PROMPTS, SETTINGS)
    with pytest.raises(Overloaded):
        coder.write(BRIEFS["draft"], PLAN, Down(), PROMPTS, SETTINGS)
    with pytest.raises(Overloaded):
        reviewer.review(BRIEFS["draft"], PLAN, candidate, Down(), PROMPTS, SETTINGS)


# coder


@pytest.mark.parametrize(
    ("setting", "operator", "refused", "mode"),
    [
        ("adaptive", "draft", False, "whole"),
        ("adaptive", "aggregate", False, "whole"),
        ("adaptive", "fuse", False, "diff"),
        ("adaptive", "evolve", False, "diff"),
        ("stepwise", "draft", False, "whole"),
        ("adaptive", "improve", False, "diff"),
        ("adaptive", "debug", False, "diff"),
        ("adaptive", "fuser", False, "diff"),
        ("adaptive", "improve", True, "whole"),
        ("diff", "draft", False, "diff"),
        ("diff", "improve", True, "diff"),
        ("whole", "improve", False, "whole"),
    ],
)
def test_choice_of_mode(setting: Setting, operator: str, refused: bool, mode: str) -> None:
    assert choose_mode(setting, operator, edits_refused=refused) == mode


@pytest.mark.parametrize(
    ("setting", "operator", "refused", "mode"),
    [
        ("adaptive", "draft", False, "stepwise"),
        ("adaptive", "aggregate", False, "stepwise"),
        ("adaptive", "draft", True, "whole"),
        ("adaptive", "improve", False, "diff"),
        ("stepwise", "improve", False, "stepwise"),
        ("stepwise", "improve", True, "whole"),
        ("whole", "draft", False, "whole"),
        ("diff", "draft", False, "diff"),
    ],
)
def test_choice_of_mode_for_a_long_program(setting: Setting, operator: str, refused: bool, mode: str) -> None:
    assert choose_mode(setting, operator, edits_refused=refused, by_parts=True) == mode


def test_a_draft_is_a_whole_program() -> None:
    llm = Script([WHOLE])
    assert coder.write(BRIEFS["draft"], PLAN, llm, PROMPTS, SETTINGS) == Candidate(PLAN, {"program.py": NEW}, "whole")
    assert ids(llm) == ["n7/coder/1"]
    assert len(llm.requests[0].messages) == 2


def test_an_improvement_is_edits_shown_by_an_example() -> None:
    llm = Script([GOOD_EDIT])
    assert coder.write(BRIEFS["improve"], PLAN, llm, PROMPTS, SETTINGS) == Candidate(PLAN, {"program.py": NEW}, "diff")
    roles = [message.role for message in llm.requests[0].messages]
    assert roles == ["system", "user", "assistant", "user"]
    assert "<<<<<<< SEARCH" in llm.requests[0].messages[2].content


def test_after_refused_edits_the_whole_program_is_asked_for() -> None:
    llm = Script([BAD_EDIT, WHOLE])
    written = coder.write(BRIEFS["improve"], PLAN, llm, PROMPTS, SETTINGS)
    assert isinstance(written, Candidate)
    assert (written.mode, written.reasks) == ("whole", 1)
    assert (
        "coder: reply 1 refused: block 1 (program.py): the SEARCH line `side = 7` is not in the file"
        in written.notes[0]
    )
    # The refused edits are not shown: a real small model wrote edits again when they were.
    _, request = llm.requests[1].messages
    assert "path=program.py and holds the complete new file" in request.content
    assert "was refused: block 1 (program.py): the SEARCH line `side = 7` is not in the file" in request.content


def test_where_only_edits_are_wanted_edits_are_asked_for_again() -> None:
    llm = Script([BAD_EDIT, GOOD_EDIT])
    written = coder.write(BRIEFS["improve"], PLAN, llm, PROMPTS, AgentConfig(mode="diff"))
    assert isinstance(written, Candidate)
    assert (written.mode, written.reasks) == ("diff", 1)
    *_, reply, reason = llm.requests[1].messages
    assert reply.content == BAD_EDIT
    assert "SEARCH/REPLACE blocks, corrected" in reason.content


def test_a_whole_program_instead_of_edits_is_taken_as_such() -> None:
    written = coder.write(BRIEFS["improve"], PLAN, Script([WHOLE]), PROMPTS, SETTINGS)
    assert written == Candidate(PLAN, {"program.py": NEW}, "whole")


def test_nothing_usable_is_no_candidate_with_the_reason() -> None:
    found = coder.write(BRIEFS["improve"], PLAN, Script([BAD_EDIT, "Sorry."]), PROMPTS, SETTINGS)
    assert isinstance(found, NoCandidate)
    assert (found.reason, found.mode, found.reasks) == (
        "there is no fenced code block in the reply, only prose",
        "whole",
        1,
    )
    assert len(found.notes) == 2


def test_another_program_for_the_same_plan() -> None:
    earlier = Candidate(PLAN, {"program.py": NEW}, "diff", reasks=1, notes=("a",), calls=2)
    other = WHOLE.replace("side = 5", "side = 4")
    llm = Script([other])
    again = coder.rewrite(BRIEFS["improve"], PLAN, earlier, "The same as n2.", llm, PROMPTS, SETTINGS)
    assert again.files == {"program.py": PROGRAM.replace("side = 6", "side = 4")}
    assert (again.mode, again.reasks, again.notes) == ("whole", 2, ("a", "The same as n2."))
    # What was written now may not be what the plan describes.
    assert (again.plan, again.title) == (PLAN, "redone: Shift odd rows.")
    assert ids(llm) == ["n8/coder/3"]
    *_, reply, reason = llm.requests[0].messages
    assert reply.content == f"```path=program.py\n{NEW}```"
    assert "The same as n2." in reason.content


def test_without_another_program_the_first_one_stays() -> None:
    earlier = Candidate(PLAN, {"program.py": NEW}, "diff")
    for settings in (SETTINGS, AgentConfig(mode="diff")):
        again = coder.rewrite(BRIEFS["improve"], PLAN, earlier, "A twin.", Script(["No."]), PROMPTS, settings)
        assert (again.plan, again.files, again.mode, again.reasks) == (PLAN, earlier.files, "diff", 1)
        assert again.notes[0] == "A twin."
        assert "refused" in again.notes[1]


def test_no_prompt_is_over_the_limit() -> None:
    brief = BRIEFS["debug"]
    assert brief.parent
    brief = dataclasses.replace(brief, parent=dataclasses.replace(brief.parent, stderr="line\n" * 5000))
    llm = Script(["{}" + "word\n" * 9000, "", BAD_EDIT + "x\n" * 9000, "y\n" * 9000])
    settings = AgentConfig(prompt_tokens=1500)
    strategist.plan(brief, llm, PROMPTS, settings)
    coder.write(brief, PLAN, llm, PROMPTS, settings)
    sizes = [sum(len(message.content) for message in request.messages) for request in llm.requests]
    assert len(sizes) == 4
    assert max(sizes) <= 6000


LONG = PROGRAM + "".join(f"value_{number} = {number}\n" for number in range(2000))
LONG_TASK = dataclasses.replace(BRIEFS["draft"].task, initial={"program.py": LONG})
LONG_DRAFT = dataclasses.replace(BRIEFS["draft"], task=LONG_TASK)


@pytest.mark.parametrize("mode", ["adaptive", "whole", "diff"])
def test_a_program_too_long_to_be_shown_is_edited_and_loses_nothing(mode: Literal["adaptive", "whole", "diff"]) -> None:
    llm = Script([WHOLE, GOOD_EDIT])
    written = coder.write(LONG_DRAFT, PLAN, llm, PROMPTS, AgentConfig(mode=mode, prompt_tokens=2000))
    assert isinstance(written, Candidate)
    assert (written.mode, written.reasks) == ("diff", 1)
    assert written.files == {"program.py": LONG.replace("side = 6", "side = 5")}
    assert "too long to be written whole" in written.notes[0]
    for request in llm.requests:
        assert "lines left out" in request.messages[3].content
        assert "SEARCH/REPLACE" in request.messages[3].content


def test_a_program_that_just_fits_is_written_whole() -> None:
    new = LONG.replace("side = 6", "side = 5")
    llm = Script([f"```python\n{new}```"])
    written = coder.write(LONG_DRAFT, PLAN, llm, PROMPTS, AgentConfig(mode="whole", prompt_tokens=20_000))
    assert written == Candidate(PLAN, {"program.py": new}, "whole")


# reading programs


def read(text: str, mode: Literal["whole", "diff"], finish: Literal["stop", "length"] = "stop") -> Written | Refusal:
    return read_program(Reply(text, "script", finish=finish), mode, {"program.py": PROGRAM}, BRIEFS["draft"].task)


@pytest.mark.parametrize(
    ("mode", "reply", "why"),
    [
        ("whole", "I would use five columns.", "only prose"),
        ("whole", "", "empty"),
        ("whole", "<think>five columns", "empty"),
        ("whole", WHOLE.removesuffix("```\n"), "not closed"),
        ("whole", "```python\n" + GOOD_EDIT + "```", "SEARCH/REPLACE blocks where whole files"),
        ("whole", "```python\n" + NEW + ">>>>>>> REPLACE\n```", "marker line"),
        ("whole", "```python\n" + NEW + "x = (\n```", "syntax error in program.py, line 14"),
        ("whole", "```python\nreturn 1\n```", "syntax error in program.py, line 1: 'return' outside function: `return 1`"),
        ("whole", "```python\nx = '\x00'\n```", "program.py"),
        ("whole", "```python\nx = '\ud800'\n```", "program.py cannot be compiled: UnicodeEncodeError"),
        ("whole", f"```python\n{PROGRAM}\n```", "exactly the one it started from"),
        ("whole", "```bash\npip install x\n```", "no code block in the language of program.py"),
        ("whole", "```python\nx = 1\n```\n```python\ny = 1\n```", "2 code blocks"),
        ("diff", "I would use five columns.", "no SEARCH/REPLACE block"),
        ("diff", BAD_EDIT, "not in the file"),
        ("diff", GOOD_EDIT.replace("side = 5", "side = ("), "syntax error"),
        ("diff", GOOD_EDIT.replace("side = 5", "side = 6  "), "the same"),
        ("diff", "path=../x.py\n<<<<<<< SEARCH\n=======\nx\n>>>>>>> REPLACE\n", "cannot be named"),
    ],
)  # fmt: skip
def test_replies_that_cannot_be_used(mode: Literal["whole", "diff"], reply: str, why: str) -> None:
    refusal = read(reply, mode)
    assert isinstance(refusal, Refusal)
    assert why in refusal.reason


@pytest.mark.parametrize(("mode", "reply"), [("whole", WHOLE), ("diff", GOOD_EDIT)])
def test_a_reply_cut_at_the_token_limit_is_refused(mode: Literal["whole", "diff"], reply: str) -> None:
    refusal = read(reply, mode, "length")
    assert isinstance(refusal, Refusal)
    assert "token limit" in refusal.reason


@pytest.mark.parametrize(
    "reply",
    [
        WHOLE,
        f"```python\n{NEW}\n```",
        f"```\n{NEW}\n```\nRun it with:\n```bash\npython program.py\n```",
        f"```python path=./src/program.py\n{NEW}```",
        f"**program.py**\n\n```py\n{NEW}```",
        f"```python path=program.py\nx = 1\n```\nNo, rather:\n```python path=program.py\n{NEW}```",
        f"<think>\n```\nx\n```\n</think>```python\n{NEW}\n```",
        f"```python path=packing.py\n{NEW}```",
        WHOLE.replace("\n", "\r\n"),
    ],
)
def test_ways_to_send_the_one_file(reply: str) -> None:
    written = read(reply, "whole")
    assert isinstance(written, Written), written.reason
    assert written.files["program.py"].strip() == NEW.strip()


def test_several_files() -> None:
    base = dict(TWO_FILES.initial)

    def of(text: str) -> Written | Refusal:
        return read_program(Reply(text, "script"), "whole", base, TWO_FILES)

    two = of("```python path=geometry.py\nx = 1\n```\n```python path=lib/new.py\ny = 1\n```")
    assert two == Written({**base, "lib/geometry.py": "x = 1\n", "lib/new.py": "y = 1\n"}, "whole")
    unnamed, judge = of("```python\nx = 1\n```"), of("```python path=judge.py\nx = 1\n```")
    assert isinstance(unnamed, Refusal)
    assert "no code block names a file of the program (lib/geometry.py, program.py)" in unnamed.reason
    assert judge == Refusal("judge.py is protected and must not change")


def test_text_outside_markers_is_put_back_in_whole_files_and_refused_in_edits() -> None:
    base = dict(TWO_FILES.initial)
    new = base["program.py"].replace("side = 6", "side = 5").replace("import json", "import json, math")
    written = read_program(Reply(f"```path=program.py\n{new}```", "script"), "whole", base, TWO_FILES)
    assert isinstance(written, Written)
    assert written.files["program.py"] == base["program.py"].replace("side = 6", "side = 5")
    assert written.notes
    edit = "program.py\n" + GOOD_EDIT.replace("    side = 6", "import json").replace("    side = 5", "import math")
    refusal = read_program(Reply(edit, "script"), "diff", base, TWO_FILES)
    assert isinstance(refusal, Refusal)
    assert "outside the EVOLVE-BLOCK markers" in refusal.reason


def test_other_languages_are_not_checked_for_syntax() -> None:
    task = dataclasses.replace(BRIEFS["draft"].task, initial={"main.xyz": "a"})
    assert read_program(Reply("```\n(\n```", "script"), "whole", {"main.xyz": "a"}, task) == Written(
        {"main.xyz": "(\n"}, "whole"
    )


pieces = st.sampled_from(
    ["```", "```python", "```python path=program.py", "~~~", "<<<<<<< SEARCH", "=======", ">>>>>>> REPLACE", "    side = 6", "", "x = 1", "path=a/b.py", "# EVOLVE-BLOCK-START", "# EVOLVE-BLOCK-END", "</think>"]
)  # fmt: skip


@given(
    reply=st.text() | st.lists(pieces | st.text(max_size=8), max_size=15).map("\n".join),
    mode=st.sampled_from(["whole", "diff"]),
    two=st.booleans(),
)
def test_no_reply_raises(reply: str, mode: Literal["whole", "diff"], two: bool) -> None:
    task = TWO_FILES if two else BRIEFS["draft"].task
    written = read_program(Reply(reply, "script"), mode, task.initial, task)
    if isinstance(written, Written):
        assert written.files.keys() >= task.initial.keys()
        assert all(written.files[path] == task.initial[path] for path in task.protected)


# reviewer

CANDIDATE = Candidate(PLAN, {"program.py": NEW}, "diff", notes=("before",))


def reviewed(reply: str | Reply, brief: Brief = BRIEFS["improve"]) -> Candidate:
    return reviewer.review(brief, PLAN, CANDIDATE, Script([reply]), PROMPTS, SETTINGS)


@pytest.mark.parametrize(
    ("reply", "note"),
    [
        ("LGTM", "nothing to mend"),
        ("It looks fine to me, mostly.", "neither LGTM nor edits"),
        ("", "neither LGTM nor edits"),
        (BAD_EDIT, "edits refused: block 1"),
        (
            GOOD_EDIT.replace("side = 6", "side = 5").replace("side = 5\n>", "side = (\n>"),
            "edits refused: syntax error",
        ),
        (Reply(GOOD_EDIT.replace("side = 6", "side = 5", 1), "script", finish="length"), "cut off"),
    ],
)
def test_a_review_that_mends_nothing_leaves_the_candidate(reply: str | Reply, note: str) -> None:
    after = reviewed(reply)
    assert (after.files, after.mode, after.reasks) == (CANDIDATE.files, "diff", 0)
    assert after.notes[0] == "before"
    assert note in after.notes[1]


@given(reply=st.text() | st.lists(pieces, max_size=15).map("\n".join))
def test_no_review_raises(reply: str) -> None:
    assert reviewed(reply).plan == PLAN


def test_a_task_without_a_file_that_may_change_has_no_usable_reply() -> None:
    task = dataclasses.replace(TWO_FILES, protected=frozenset(TWO_FILES.initial))
    for mode, reply in (("whole", "```\nx\n```"), ("diff", GOOD_EDIT)):
        assert isinstance(read_program(Reply(reply, "script"), mode, task.initial, task), Refusal)  # type: ignore[arg-type]


@pytest.mark.parametrize("case", ["improve", "draft"])
def test_a_review_may_mend(case: str) -> None:
    llm = Script(["One thing:\n" + GOOD_EDIT.replace("side = 6", "side = 5").replace("side = 5\n>", "side = 4\n>")])
    after = reviewer.review(BRIEFS[case], PLAN, CANDIDATE, llm, PROMPTS, SETTINGS)
    assert after.files == {"program.py": PROGRAM.replace("side = 6", "side = 4")}
    assert after.notes == ("before", "review: mended")
    [request] = llm.requests
    assert request.call_id.endswith("/reviewer/1")
    assert "side = 5" in request.messages[1].content
    assert request.materials.files == CANDIDATE.files
