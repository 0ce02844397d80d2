"""The `scripted` provider: the reply depends on the call, and on nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from evolve.errors import (
    AuthRefused,
    BadReply,
    ConfigError,
    ContextTooLong,
    LLMError,
    Overloaded,
    RateLimited,
)
from evolve.llm.base import Message, Reply, Request, Role, Usage
from evolve.llm.scripted import Config, Entry, Script, Scripted, position
from evolve.plugins import BuildContext
from evolve.testing.llm_contract import contract_request

Write = Callable[..., Scripted]


@pytest.fixture
def script(tmp_path: Path) -> Write:
    def write(entries: object, name: str = "replies.yaml", **settings: Any) -> Scripted:
        text = entries if isinstance(entries, str) else yaml.safe_dump(entries)
        (tmp_path / name).write_text(text, encoding="utf-8")
        return Config(path=Path(name), **settings).build(BuildContext(base_dir=tmp_path))

    return write


def call(call_id: str, role: Role = "coder", text: str = "prompt") -> Request:
    return Request(call_id, role, (Message("user", text),))


def test_replies_follow_the_steps(script: Write) -> None:
    llm = script(["first", "second", "third"])
    texts = [llm.complete(call(f"n{step}/coder/1")).text for step in (3, 2, 4, 2)]
    assert texts == ["second", "first", "third", "first"]


def test_a_reask_moves_on_by_one(script: Write) -> None:
    llm = script(["first", "second"])
    assert llm.complete(call("n2/coder/2")).text == "second"


def test_each_role_has_its_own_line(script: Write) -> None:
    llm = script([{"role": "coder", "text": "code"}, {"role": "strategist", "text": "plan"}, "anyone"])
    assert llm.complete(call("n2/strategist/1", "strategist")).text == "plan"
    assert llm.complete(call("n2/coder/1")).text == "code"
    assert llm.complete(call("n3/coder/1")).text == "anyone"
    assert llm.complete(call("n2/reviewer/1", "reviewer")).text == "anyone"


def test_a_match_takes_precedence(script: Write) -> None:
    llm = script(["usual", {"match": "Trace.*Zero", "text": "guard"}, {"match": "n7/coder/.*", "text": "seventh"}])
    assert llm.complete(call("n2/coder/1", text="Traceback: ZeroDivisionError")).text == "guard"
    assert llm.complete(call("n7/coder/1")).text == "seventh"
    assert llm.complete(call("n2/coder/1", text="about n7/coder/1?")).text == "seventh"
    assert llm.complete(call("n2/coder/1")).text == "usual"


def test_a_script_that_is_used_up_says_so(script: Write) -> None:
    llm = script(["only"])
    with pytest.raises(BadReply, match="n9/coder/1: it wants number 8 of 1"):
        llm.complete(call("n9/coder/1"))


@settings(deadline=None)
@given(step=st.integers(2, 10_000), attempt=st.integers(1, 9), length=st.integers(1, 7))
def test_a_cycle_never_ends(step: int, attempt: int, length: int) -> None:
    entries = [Entry(text=str(number)) for number in range(length)]
    llm = Script(Config(path=Path("x"), cycle=True), entries)
    assert llm.answer(call(f"n{step}/coder/{attempt}")).text == str((step - 2 + attempt - 1) % length)


def test_an_empty_cycle_is_used_up(script: Write) -> None:
    with pytest.raises(BadReply):
        script([{"match": "never", "text": "x"}], cycle=True).complete(call("n2/coder/1"))


@pytest.mark.parametrize(
    ("call_id", "place"), [("n2/coder/1", 0), ("n12/coder/3", 12), ("n1/coder/1", 0), ("n2/a/b/2", 1), ("doctor", 0)]
)
def test_the_place_comes_from_the_call(call_id: str, place: int) -> None:
    assert position(call_id, first_step=2) == place


def test_the_file_may_be_json_or_json_lines(script: Write) -> None:
    entries = ["a", {"text": "b"}]
    for name, text in (("r.json", json.dumps(entries)), ("r.jsonl", '"a"\n\n{"text": "b"}\n')):
        assert script(text, name).complete(call("n3/coder/1")).text == "b"


def test_usage_is_estimated_or_told(script: Write) -> None:
    llm = script([{"text": "12345678"}, {"text": "x", "prompt_tokens": 70, "completion_tokens": 0, "finish": "length"}])
    assert llm.complete(call("n2/coder/1", text="1234")).usage == Usage(1, 2)
    assert llm.complete(call("n3/coder/1")) == Reply("x", "scripted", Usage(70, 0), "length")


def test_the_model_can_be_named(script: Write) -> None:
    assert script(["x"], model="priced").complete(call("n2/coder/1")).model == "priced"


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ("rate_limited", RateLimited),
        ("overloaded", Overloaded),
        ("auth", AuthRefused),
        ("context", ContextTooLong),
        ("bad_reply", BadReply),
    ],
)
def test_errors_can_be_scripted(script: Write, error: str, kind: type[LLMError]) -> None:
    llm = script([{"error": error, "retry_after_s": 3}])
    for _ in range(2):
        with pytest.raises(kind, match="n2/coder/1") as caught:
            llm.complete(call("n2/coder/1"))
    assert getattr(caught.value, "retry_after_s", 3) == 3


def test_an_error_can_pass(script: Write) -> None:
    llm = script([{"error": "overloaded", "times": 2, "text": "at last"}], cycle=True)
    for step in (2, 3):  # each call meets it anew
        for _ in range(2):
            with pytest.raises(Overloaded):
                llm.complete(call(f"n{step}/coder/1"))
        assert llm.complete(call(f"n{step}/coder/1")).text == "at last"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("- {txt: x}", "0.txt"),
        ("- {}", "needs a `text`"),
        ("- {error: overloaded, times: 2}", "needs a `text`"),
        ("- {text: x, match: '('}", "regular expression"),
        ("text: x", "list"),
        ("[", "replies.yaml"),
        ("- {error: tired}", "0.error"),
    ],
)
def test_a_wrong_file_is_explained(script: Write, content: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        script(content)
    assert says in caught.value.message
    assert "replies.yaml" in caught.value.message


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml: No such file"):
        Config(path=Path("none.yaml")).build(BuildContext(base_dir=tmp_path))


def test_a_function_may_answer_with_text_a_reply_or_an_error() -> None:
    assert Scripted(lambda request: request.call_id).complete(contract_request()).text == "n2/coder/1"
    reply = Reply("x", "m")
    assert Scripted(lambda _: reply).complete(contract_request()) is reply

    def busy(_: Request) -> str:
        raise Overloaded("busy", hint="wait")

    with pytest.raises(Overloaded):
        Scripted(busy).complete(contract_request())
