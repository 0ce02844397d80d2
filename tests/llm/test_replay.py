"""The `replay` provider: a run's replies again, with what they cost."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import zlib
from collections.abc import Iterable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evolve.errors import BadReply, ConfigError
from evolve.llm.base import Reply, Request, Usage
from evolve.llm.replay import Config, Replay, read_calls
from evolve.plugins import BuildContext, PluginConfig
from evolve.testing.llm_contract import LLMContract, contract_request

ONE = contract_request("n2/coder/1", text="one")
TWO = contract_request("n3/coder/1", text="two")
REPLY_ONE = Reply("first \U0001f600", "m", Usage(10, 5, 0.25), "stop")
REPLY_TWO = Reply("second", "m", Usage(20, 6, 0.5), "length")


def blob(text: str) -> tuple[str, bytes]:
    data = text.encode("utf-8", "surrogatepass")
    return hashlib.sha256(data).hexdigest(), zlib.compress(data)


def write_run(run: Path, calls: Iterable[tuple[Request, Reply]]) -> Path:
    run.mkdir(exist_ok=True)
    with closing(sqlite3.connect(run / "artifacts.sqlite")) as database, database:
        database.execute("CREATE TABLE artifacts (digest TEXT PRIMARY KEY, data BLOB)")
        for _, reply in calls:
            database.execute("INSERT OR IGNORE INTO artifacts VALUES (?, ?)", blob(reply.text))
    lines = [
        {
            "id": request.call_id,
            "role": request.role,
            "model": reply.model,
            "digest": request.digest,
            "prompt_ref": "",
            "reply_ref": blob(reply.text)[0],
            "finish": reply.finish,
            "prompt_tokens": reply.usage.prompt_tokens,
            "completion_tokens": reply.usage.completion_tokens,
            "money_usd": reply.usage.money_usd,
            "seconds": 1.5,
        }
        for request, reply in calls
    ]
    (run / "calls.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return run


def replay(run: Path) -> Replay:
    return Config(run=Path(run.name)).build(BuildContext(base_dir=run.parent))


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return write_run(tmp_path / "run", [(ONE, REPLY_ONE), (TWO, REPLY_TWO)])


def test_every_reply_comes_back_with_its_costs(run: Path) -> None:
    llm = replay(run)
    assert [llm.complete(TWO), llm.complete(ONE)] == [REPLY_TWO, REPLY_ONE]


def test_a_lone_surrogate_survives(tmp_path: Path) -> None:
    reply = replace(REPLY_ONE, text="broken \udcff")
    assert replay(write_run(tmp_path / "run", [(ONE, reply)])).complete(ONE) == reply


def test_a_renamed_call_is_found_by_its_prompt(run: Path) -> None:
    assert replay(run).complete(replace(ONE, call_id="n9/coder/1")) == REPLY_ONE


def test_a_prompt_with_several_replies_needs_its_call(tmp_path: Path) -> None:
    again = replace(ONE, call_id="n5/coder/1")
    llm = replay(write_run(tmp_path / "run", [(ONE, REPLY_ONE), (again, REPLY_TWO)]))
    assert [llm.complete(ONE), llm.complete(again)] == [REPLY_ONE, REPLY_TWO]
    with pytest.raises(BadReply, match=r"n9/coder/1 .*had 2 replies"):
        llm.complete(replace(ONE, call_id="n9/coder/1"))


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        (contract_request("n3/coder/1", text="changed"), "n3/coder/1 .*another prompt"),
        (contract_request("n4/coder/1", text="new"), "n4/coder/1 .*never made"),
    ],
)
def test_a_miss_says_which_call_and_what_to_do(run: Path, request_: Request, says: str) -> None:
    with pytest.raises(BadReply, match=says) as caught:
        replay(run).complete(request_)
    assert "after `replay`" in caught.value.hint


@settings(max_examples=30, deadline=None)
@given(cut=st.integers(0, 800))
def test_a_torn_last_line_is_left_out(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    run = write_run(tmp_path_factory.mktemp("run"), [(ONE, REPLY_ONE), (TWO, REPLY_TWO)])
    path = run / "calls.jsonl"
    data = path.read_bytes()[:cut]
    path.write_bytes(data)
    assert [call.id for call in read_calls(path)] == ["n2/coder/1", "n3/coder/1"][: data.count(b"\n")]


@pytest.mark.parametrize("damage", [b"{}\n", b"\x00\xff\n", b"\n", b'{"id": 3}\n'])
def test_damage_before_the_end_is_located(run: Path, damage: bytes) -> None:
    path = run / "calls.jsonl"
    first, second = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(first + damage + second)
    with pytest.raises(ConfigError, match=r"calls\.jsonl:2: not a call"):
        replay(run)


def test_no_such_run(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"calls\.jsonl: No such file"):
        replay(tmp_path / "none")


def test_a_text_that_is_gone_or_damaged_is_no_reply(run: Path) -> None:
    llm = replay(run)
    with closing(sqlite3.connect(run / "artifacts.sqlite")) as database, database:
        database.execute("UPDATE artifacts SET data = ? WHERE digest = ?", (blob("other")[1], blob(REPLY_ONE.text)[0]))
        database.execute("UPDATE artifacts SET data = ? WHERE digest = ?", (b"junk", blob(REPLY_TWO.text)[0]))
    for request in (ONE, TWO):
        with pytest.raises(BadReply, match=request.call_id):
            llm.complete(request)
    (run / "artifacts.sqlite").unlink()
    with pytest.raises(BadReply, match="unable to open"):
        llm.complete(ONE)
    assert not (run / "artifacts.sqlite").exists()  # reading makes nothing


def test_a_missing_row_is_no_empty_reply(run: Path) -> None:
    llm = replay(run)
    with closing(sqlite3.connect(run / "artifacts.sqlite")) as database, database:
        database.execute("DELETE FROM artifacts")
    with pytest.raises(BadReply, match="missing"):
        llm.complete(ONE)


def test_a_line_of_a_newer_version_may_hold_more(run: Path) -> None:
    path = run / "calls.jsonl"
    path.write_text(path.read_text(encoding="utf-8").replace('{"id"', '{"later_field": 1, "id"'), encoding="utf-8")
    assert replay(run).complete(ONE) == REPLY_ONE


class TestContract(LLMContract):
    def make_config(self, folder: Path) -> PluginConfig:
        requests = [contract_request(f"n{step}/coder/1") for step in range(2, 18)]
        calls = [(request, REPLY_ONE) for request in [*requests, contract_request(with_schema=True)]]
        return Config(run=write_run(folder / "earlier", calls))
