"""Whether a reviewer's words count against a score, and what it is asked.

After a change of the template that is meant: EVOLVE_UPDATE_GOLDEN=1 pytest tests/agent/test_integrity.py, then read the diff.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from agent.briefs import BRIEFS, Script
from hypothesis import given
from hypothesis import strategies as st

from evolve.agent.integrity import Opinion, examine, read_opinion
from evolve.config import AgentConfig
from evolve.errors import Overloaded
from evolve.llm.base import LLM, Reply, Request
from evolve.prompts import Prompts

GOLDEN = Path(__file__).parent / "golden"
PROGRAM = {"program.py": "print(open('answer.json').read())\n"}
SUSPICION = "jump of 14 spreads; reproduced"


def asked(case: str, llm: LLM, settings: AgentConfig) -> Opinion:
    return examine(BRIEFS[case], PROGRAM, 3.5, SUSPICION, llm, Prompts(), settings)


@pytest.mark.parametrize("case", ["improve", "draft"])
def test_golden(case: str) -> None:
    script = Script(["GENUINE"])
    assert asked(case, script, AgentConfig()) == Opinion(fake=False, said="reviewed")
    (request,) = script.requests
    assert (request.call_id, request.role) == (f"{BRIEFS[case].expansion_id}/integrity/1", "reviewer")
    (message,) = request.messages
    golden = GOLDEN / f"reviewer-integrity.{case}.md"
    if os.environ.get("EVOLVE_UPDATE_GOLDEN"):
        golden.write_text(message.content + "\n", encoding="utf-8")
    assert message.content + "\n" == golden.read_text(encoding="utf-8")


def test_the_prompt_keeps_to_its_budget() -> None:
    script = Script(["GENUINE"])
    long = {"program.py": "x = 1  # line\n" * 5000}
    settings = AgentConfig(prompt_tokens=1500)
    examine(BRIEFS["improve"], long, 3.5, SUSPICION, script, Prompts(), settings)
    assert len(script.requests[0].messages[0].content) <= 4 * 1500


@pytest.mark.parametrize(
    ("reply", "fake", "said"),
    [
        ("GENUINE", False, "reviewed"),
        ("**GENUINE**", False, "reviewed"),
        ("GENUINE: it packs denser rows", False, "reviewed"),
        ("FAKE: solve() reads the answers", True, "solve() reads the answers"),
        ("**FAKE:** solve() reads\x1b[31m the answers", True, "solve() reads the answers"),
        ("FAKE", True, "no reason given"),
        ("It looks odd at first.\n\nFAKE: hard-coded\n", True, "hard-coded"),
        ("FAKE: hard-coded?\nNo: a search found them.\nGENUINE", False, "reviewed"),
        ("<think>\nFAKE: maybe\n</think>\nGENUINE", False, "reviewed"),
        ("The score is FAKE news", False, "the review gave no verdict"),
        ("FAKED", False, "the review gave no verdict"),
        ("LGTM", False, "the review gave no verdict"),
        ("", False, "the review gave no verdict"),
    ],
)
def test_only_a_clear_verdict_counts(reply: str, fake: bool, said: str) -> None:
    assert read_opinion(reply) == Opinion(fake, said)


@given(st.text())
def test_any_reply_gives_an_opinion_in_one_short_line(reply: str) -> None:
    said = read_opinion(f"FAKE: {reply}").said
    assert said
    assert "\n" not in said
    assert len(said) <= 300


def test_what_the_model_raises_passes_through() -> None:
    class Away:
        def complete(self, request: Request) -> Reply:
            raise Overloaded("the endpoint is busy", hint="wait")

    with pytest.raises(Overloaded):
        asked("improve", Away(), AgentConfig())
