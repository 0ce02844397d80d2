"""Without a strategist the coder decides what to try; after a run the analyst says what it taught."""

from __future__ import annotations

import dataclasses

import pytest
from agent.briefs import ATTEMPTS, BRIEFS, FAILED, PLAN, PROGRAM, SCORED, Script

from evolve.agent import analyst, coder
from evolve.agent.brief import NO_PLAN, Candidate, NoCandidate, Plan
from evolve.agent.replies import Refusal
from evolve.config import AgentConfig
from evolve.errors import Overloaded
from evolve.llm.base import Reply, Request
from evolve.prompts import Prompts

PROMPTS = Prompts()
SETTINGS = AgentConfig(strategist=False)
NEW = PROGRAM.replace("side = 6", "side = 5")
EDIT = "<<<<<<< SEARCH\n    side = 6\n=======\n    side = 5\n>>>>>>> REPLACE\n"


def write(case: str, llm: Script, settings: AgentConfig = SETTINGS) -> Candidate | NoCandidate:
    return coder.write(BRIEFS[case], None, llm, PROMPTS, settings)


def test_a_coder_alone_gets_situation_and_job_and_says_what_it_tries() -> None:
    llm = Script([f"Five columns waste less room. They are also larger.\n\nprogram.py\n```python\n{NEW}```"])
    written = write("draft", llm)
    assert isinstance(written, Candidate)
    assert written.plan == Plan("Five columns waste less room.", "They are also larger.")
    assert (written.files, written.mode) == ({"program.py": NEW}, "whole")
    system, request = llm.requests[0].messages
    assert "You decide what to change" in system.content
    assert "Plan a new solution from the ground up" in request.content
    assert "Do not only plan it, write it." in request.content
    assert "JSON" not in request.content
    assert "Plan to carry out" not in request.content


def test_silent_authors_are_told_by_what_they_changed() -> None:
    written = write("improve", Script([f"program.py\n{EDIT}"]))
    assert isinstance(written, Candidate)
    assert (written.plan, written.mode) == (Plan("change pack"), "diff")


def test_the_worked_example_shows_a_sentence_too() -> None:
    llm = Script([EDIT])
    write("improve", llm)
    assert [message.role for message in llm.requests[0].messages] == ["system", "user", "assistant", "user"]
    assert llm.requests[0].messages[2].content.startswith("Keep 12 digits")


def test_a_refused_answer_is_asked_for_again() -> None:
    llm = Script(["Five columns are a fine thing.", f"Use five columns instead of six.\n```python\n{NEW}```"])
    written = write("improve", llm)
    assert isinstance(written, Candidate)
    assert (written.plan.title, written.mode, written.reasks) == ("Use five columns instead of six.", "whole", 1)
    assert "An earlier answer was refused: there is no SEARCH/REPLACE block" in llm.requests[1].messages[-1].content


def test_nothing_usable_has_no_plan_either() -> None:
    found = write("improve", Script(["No.", "No."]))
    assert isinstance(found, NoCandidate)
    assert found.plan == Plan(NO_PLAN)


def test_no_prompt_of_a_coder_alone_is_over_the_limit() -> None:
    llm = Script(["No.", "word\n" * 9000])
    write("improve", llm, AgentConfig(strategist=False, prompt_tokens=1500))
    assert max(sum(len(one.content) for one in request.messages) for request in llm.requests) <= 6000


JUDGED = dataclasses.replace(SCORED, node_id="n8", files={"program.py": NEW})


def analyse(llm: Script, case: str = "improve") -> str | Refusal:
    plan = dataclasses.replace(PLAN, predicted_gain=0.5)
    return analyst.analyse(BRIEFS[case], plan, JUDGED, 0.01, llm, PROMPTS, SETTINGS)


def test_an_analysis_is_told_what_was_expected_changed_and_came_of_it() -> None:
    llm = Script(["<think>hm</think>The gain of 0.01 falls short of 0.5.\nTry 7 columns in `pack` next."])
    assert analyse(llm) == "The gain of 0.01 falls short of 0.5. Try 7 columns in `pack` next."
    [request] = llm.requests
    assert (request.call_id, request.role) == ("n8/analyst/1", "analyst")
    text = request.messages[1].content
    for part in ("Predicted gain: 0.5", "Gain: 0.01", "-    side = 6\n+    side = 5", "10 cells of the grid are empty"):
        assert part in text
    assert ATTEMPTS[0].title not in text


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        ("", "says nothing"),
        ("Good.", "says nothing"),
        (f"```python\n{NEW}```", "code block"),
        ("word " * 200, "nothing"),
    ],
)
def test_what_is_no_analysis(reply: str, why: str) -> None:
    found = analyse(Script([reply]))
    assert isinstance(found, Refusal)
    assert why in found.reason


def test_a_long_analysis_ends_with_a_sentence() -> None:
    found = analyse(Script(["Fewer columns gain more room. " * 40]))
    assert isinstance(found, str)
    assert found.endswith("more room.")
    assert 300 < len(found) <= analyst.LONGEST


def test_a_failing_service_is_no_bad_analysis() -> None:
    class Down:
        def complete(self, request: Request) -> Reply:
            raise Overloaded("down", hint="wait")

    with pytest.raises(Overloaded):
        analyst.analyse(BRIEFS["draft"], PLAN, JUDGED, None, Down(), PROMPTS, SETTINGS)


def test_an_analysis_of_much_output_fits() -> None:
    noisy = dataclasses.replace(FAILED, stderr="line\n" * 5000, files={"program.py": "y = 1\n" * 5000})
    llm = Script(["The program ran out of numbers to print."])
    settings = AgentConfig(prompt_tokens=1500)
    assert analyst.analyse(BRIEFS["improve"], PLAN, noisy, None, llm, PROMPTS, settings)
    assert sum(len(message.content) for message in llm.requests[0].messages) <= 6000
