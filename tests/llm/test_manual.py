"""The `manual` provider: prompts out, replies in, never half a file."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from evolve.errors import BadReply, BudgetSpent, ConfigError
from evolve.llm.base import Reply
from evolve.llm.manual import Config, Manual
from evolve.plugins import BuildContext
from evolve.testing.llm_contract import contract_request

REQUEST = contract_request("n12/coder/1", text="Improve caf\u00e9 \udcff.")
PROMPT = "n12-coder-1.prompt.md"
REPLY = "n12-coder-1.reply.md"


class Looks:
    """Stands in for the stop event: does one thing at each pause between looks, then asks for a stop."""

    def __init__(self, *actions: Callable[[], object]) -> None:
        self._actions = list(actions)

    def wait(self, timeout: float | None = None) -> bool:
        if not self._actions:
            return True
        self._actions.pop(0)()
        return False


def complete(run: Path, *actions: Callable[[], object], timeout_s: float | None = None) -> Reply:
    llm = Config(timeout_s=timeout_s).build(BuildContext(base_dir=run, run_dir=run))
    llm.interrupt_by(Looks(*actions))  # type: ignore[arg-type]
    return llm.complete(REQUEST)


def nothing() -> None:
    pass


def test_the_prompt_is_whole_when_the_wait_begins(tmp_path: Path) -> None:
    seen = []
    with pytest.raises(BudgetSpent, match="stopped"):
        complete(tmp_path, lambda: seen.append((tmp_path / "manual" / PROMPT).read_text(encoding="utf-8")))
    assert seen == ["<!-- system -->\n\nYou write programs.\n\n<!-- user -->\n\nImprove caf\u00e9 ?.\n"]
    assert [path.name for path in (tmp_path / "manual").iterdir()] == [PROMPT]


def test_a_reply_is_taken_once_it_no_longer_changes(tmp_path: Path) -> None:
    path = tmp_path / "manual" / REPLY
    reply = complete(
        tmp_path,
        nothing,
        path.touch,  # empty: somebody has just opened it
        lambda: path.write_text("half"),
        lambda: path.write_text("half and half"),
        nothing,
    )
    assert reply == Reply("half and half", "manual")


def test_a_reply_may_be_there_beforehand_and_may_have_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "manual").mkdir()
    (tmp_path / "manual" / REPLY).write_bytes(b"\xef\xbb\xbfyes \xff")
    assert complete(tmp_path, nothing).text == "yes \ufffd"


def test_a_resumed_call_takes_the_reply_to_the_same_prompt(tmp_path: Path) -> None:
    with pytest.raises(BudgetSpent):
        complete(tmp_path)
    (tmp_path / "manual" / REPLY).write_text("answered meanwhile")
    assert complete(tmp_path, nothing).text == "answered meanwhile"


def test_a_reply_to_another_prompt_is_set_aside(tmp_path: Path) -> None:
    folder = tmp_path / "manual"
    folder.mkdir()
    (folder / PROMPT).write_text("an older prompt")
    (folder / REPLY).write_text("its answer")
    with pytest.raises(BudgetSpent):
        complete(tmp_path, nothing)
    assert (folder / "n12-coder-1.reply.stale.md").read_text() == "its answer"
    assert not (folder / REPLY).exists()


def test_a_wait_can_have_an_end(tmp_path: Path) -> None:
    with pytest.raises(BadReply, match=r"n12-coder-1\.reply\.md: no reply within 1e-09 s"):
        complete(tmp_path, nothing, nothing, timeout_s=1e-9)


def test_one_line_says_which_file_waits(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    with pytest.raises(BudgetSpent):
        complete(tmp_path)
    assert [record.getMessage() for record in caplog.records] == [
        f"n12/coder/1 waits for a reply to {tmp_path / 'manual' / PROMPT} in {REPLY}"
    ]


def test_no_call_id_leaves_the_folder(tmp_path: Path) -> None:
    llm = Manual(tmp_path / "manual", Config())
    llm.interrupt_by(Looks())  # type: ignore[arg-type]
    with pytest.raises(BudgetSpent):
        llm.complete(replace(REQUEST, call_id="../../etc/x y"))
    assert [path.name for path in (tmp_path / "manual").iterdir()] == ["..-..-etc-x-y.prompt.md"]


def test_a_folder_that_cannot_be_written_is_an_error_of_the_service(tmp_path: Path) -> None:
    (tmp_path / "manual").write_text("in the way")
    with pytest.raises(BadReply, match="manual: File exists"):
        complete(tmp_path)


def test_it_needs_a_run(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="only in a run"):
        Config().build(BuildContext(base_dir=tmp_path))


def test_calls_wait_side_by_side_and_a_real_stop_ends_them(tmp_path: Path) -> None:
    stop = threading.Event()
    llm = Manual(tmp_path, Config(poll_s=0.01))
    llm.interrupt_by(stop)

    def call(step: int) -> str:
        try:
            return llm.complete(replace(REQUEST, call_id=f"n{step}/coder/1")).text
        except BudgetSpent:
            return "stopped"

    (tmp_path / "n2-coder-1.reply.md").write_text("two")
    with ThreadPoolExecutor(3) as pool:
        two, three, four = (pool.submit(call, step) for step in (2, 3, 4))
        assert two.result(timeout=20) == "two"
        stop.set()
        assert [three.result(timeout=20), four.result(timeout=20)] == ["stopped", "stopped"]
