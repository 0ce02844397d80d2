"""The `openai` provider, with the real SDK, against a real server on loopback."""

from __future__ import annotations

import json
import logging
import socket
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from evolve.config import Sampling
from evolve.errors import (
    AuthRefused,
    BadReply,
    ConfigError,
    ContextTooLong,
    LLMError,
    Overloaded,
    RateLimited,
)
from evolve.llm.base import Message, Reply, Request
from evolve.llm.openai import Config, Dialect, OpenAI, request_body, retry_after_s
from evolve.plugins import BuildContext
from evolve.testing.llm_contract import SCHEMA, contract_request
from evolve.testing.openai_server import Answer, OpenAIServer, Seen, completion, dropped, failure, sse

KEY = "sk-very-secret-0123456789"


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_KEY", KEY)


def provider(server: OpenAIServer, **settings: Any) -> OpenAI:
    config = Config(model="m", base_url=server.base_url, api_key_env="TEST_KEY", **settings)
    return config.build(BuildContext(base_dir=Path()))


def ask(*answers: Answer, with_schema: bool = False, **settings: Any) -> tuple[Reply, list[Seen]]:
    with OpenAIServer(answers) as server:
        reply = provider(server, **settings).complete(contract_request(with_schema=with_schema))
        return reply, server.requests


def fails(*answers: Answer, with_schema: bool = False, **settings: Any) -> tuple[LLMError, list[Seen]]:
    with OpenAIServer(answers) as server:
        with pytest.raises(LLMError) as caught:
            provider(server, **settings).complete(contract_request(with_schema=with_schema))
        return caught.value, server.requests


# What is sent


def test_a_plain_call_sends_only_what_was_configured() -> None:
    reply, [seen] = ask(completion("hello", model="m-2026", prompt_tokens=7, completion_tokens=2))
    assert (reply.text, reply.model, reply.finish) == ("hello", "m-2026", "stop")
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens, reply.usage.money_usd) == (7, 2, 0.0)
    assert seen.path == "/v1/chat/completions"
    assert seen.headers["authorization"] == f"Bearer {KEY}"
    assert seen.headers["connection"] == "close"
    assert seen.body == {
        "model": "m",
        "messages": [
            {"role": "system", "content": "You write programs."},
            {"role": "user", "content": "Improve the program."},
        ],
    }


def test_every_setting_reaches_the_endpoint() -> None:
    _, [seen] = ask(
        completion("x"),
        temperature=0.5,
        top_p=0.9,
        max_tokens=100,
        reasoning_effort="low",
        extra_body={"top_k": 20},
        extra_headers={"X-Title": "evolve"},
    )
    sent = {key: value for key, value in seen.body.items() if key not in ("model", "messages")}
    assert sent == {"temperature": 0.5, "top_p": 0.9, "max_tokens": 100, "reasoning_effort": "low", "top_k": 20}
    assert seen.headers["x-title"] == "evolve"


def wishing(request: Request, **sampling: Any) -> Request:
    return replace(request, sampling=Sampling(**sampling))


@pytest.mark.parametrize(
    ("wish", "sent"),
    [
        ({}, {"temperature": 0.5, "reasoning_effort": "low"}),
        ({"temperature": 0.0}, {"temperature": 0.0, "reasoning_effort": "low"}),
        ({"temperature": 1.5, "effort": "high"}, {"temperature": 1.5, "reasoning_effort": "high"}),
    ],
)
def test_a_request_may_wish_for_other_sampling(wish: dict[str, Any], sent: dict[str, Any]) -> None:
    with OpenAIServer([completion("x")]) as server:
        llm = provider(server, temperature=0.5, reasoning_effort="low")
        llm.complete(wishing(contract_request(), **wish))
        [seen] = server.requests
    assert {key: seen.body[key] for key in seen.body if key not in ("model", "messages")} == sent


TAKES_NO = {
    "temperature": failure(
        400,
        "Unsupported value: 'temperature' does not support 0.2 with this model. Only the default (1) value is supported.",
        code="unsupported_value",
        param="temperature",
    ),
    "reasoning_effort": failure(400, "Unrecognized request argument supplied: reasoning_effort"),
}


@pytest.mark.parametrize(
    ("refused", "left"), [("temperature", "reasoning_effort"), ("reasoning_effort", "temperature")]
)
def test_a_wish_that_is_refused_is_not_made_again(refused: str, left: str) -> None:
    with OpenAIServer([TAKES_NO[refused], completion("x")]) as server:
        llm = provider(server)
        for call_id in ("n2/coder/1", "n3/coder/1"):
            llm.complete(wishing(contract_request(call_id), temperature=0.2, effort="high"))
        sent = [sorted({"temperature", "reasoning_effort"} & seen.body.keys()) for seen in server.requests]
    assert sent == [sorted([refused, left]), [left], [left]]


def test_a_temperature_of_the_provider_itself_that_is_refused_is_an_error() -> None:
    error, requests = fails(TAKES_NO["temperature"], temperature=0.2)
    assert (type(error), len(requests)) == (BadReply, 1)


def test_a_wish_refused_for_its_size_is_an_error() -> None:
    with OpenAIServer([failure(400, "temperature must be between 0 and 1")]) as server:
        with pytest.raises(BadReply):
            provider(server).complete(wishing(contract_request(), temperature=1.5))
        assert len(server.requests) == 1


def test_lone_surrogates_are_sent_as_question_marks() -> None:
    with OpenAIServer([completion("x")]) as server:
        provider(server).complete(contract_request(text="broken \udcff byte"))
        assert server.requests[0].body["messages"][1]["content"] == "broken ? byte"


def test_thoughts_are_left_to_the_reader_of_the_reply() -> None:
    reply, _ = ask(completion("<think>hm</think>done"))
    assert reply.text == "<think>hm</think>done"


def test_openai_itself_gets_the_new_name_of_the_token_limit() -> None:
    config = Config(model="m", max_tokens=5)
    body = request_body(config, Dialect.first_guess(config), contract_request())
    assert {key: body[key] for key in body if "tokens" in key} == {"max_completion_tokens": 5}


def test_a_refused_name_of_the_token_limit_is_replaced_for_good() -> None:
    refusal = failure(
        400, "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens'."
    )
    with OpenAIServer([refusal, completion("x")]) as server:
        llm = provider(server, max_tokens=9)
        llm.complete(contract_request())
        llm.complete(contract_request("n3/coder/1"))
        limits = [{key: seen.body[key] for key in seen.body if "tokens" in key} for seen in server.requests]
    assert limits == [{"max_tokens": 9}, {"max_completion_tokens": 9}, {"max_completion_tokens": 9}]


def test_a_token_limit_refused_for_its_size_is_not_renamed() -> None:
    error, requests = fails(failure(400, "max_tokens is too large: 9000"), max_tokens=9000)
    assert type(error) is BadReply
    assert len(requests) == 1


# Structured replies


def formats(requests: list[Seen]) -> list[str | None]:
    return [seen.body.get("response_format", {}).get("type") for seen in requests]


def test_a_schema_is_sent_strictly_where_it_allows_that() -> None:
    _, [seen] = ask(completion("{}"), with_schema=True)
    assert seen.body["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "reply", "schema": SCHEMA, "strict": True},
    }


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": {"a": {}}},
        {"type": "object", "properties": {"a": {}}, "required": [], "additionalProperties": False},
        {"type": "array", "anyOf": [{"type": "object", "properties": {"a": {}}, "required": ["a"]}]},
    ],
)
def test_an_open_schema_is_not_called_strict(schema: Mapping[str, Any]) -> None:
    config = Config(model="m", base_url="http://127.0.0.1:1/v1")
    request = Request("n2/coder/1", "coder", (Message("user", "x"),), schema)
    assert (
        request_body(config, Dialect.first_guess(config), request)["response_format"]["json_schema"]["strict"] is False
    )


def test_without_a_schema_nothing_is_enforced() -> None:
    _, requests = ask(completion("x"))
    assert formats(requests) == [None]


def test_a_backend_without_schemas_is_asked_more_simply_and_that_is_remembered() -> None:
    with OpenAIServer(
        [
            failure(400, "response_format type json_schema is not supported"),
            failure(422, "unknown field", param="response_format"),
            completion("{}"),
        ]
    ) as server:
        llm = provider(server)
        for step in (2, 3):
            llm.complete(contract_request(f"n{step}/coder/1", with_schema=True))
        assert formats(server.requests) == ["json_schema", "json_object", None, None]


def test_a_format_asked_for_by_name_is_not_given_up() -> None:
    error, requests = fails(failure(400, "json_schema is not supported"), with_schema=True, structured="json_schema")
    assert type(error) is BadReply
    assert formats(requests) == ["json_schema"]


@pytest.mark.parametrize("chosen", ["json_object", "none"])
def test_a_simpler_format_can_be_asked_for(chosen: str) -> None:
    _, requests = ask(completion("{}"), with_schema=True, structured=chosen)
    assert formats(requests) == [None if chosen == "none" else chosen]


def test_an_unrelated_refusal_does_not_cost_the_schema() -> None:
    with OpenAIServer([failure(400, "temperature must be 1"), completion("{}")]) as server:
        llm = provider(server)
        with pytest.raises(BadReply):
            llm.complete(contract_request(with_schema=True))
        llm.complete(contract_request(with_schema=True))
        assert formats(server.requests) == ["json_schema", "json_schema"]


def test_threads_learn_together_what_a_backend_takes() -> None:
    def respond(seen: Seen) -> Answer:
        form = seen.body.get("response_format", {}).get("type")
        return completion("{}") if form == "json_object" else failure(400, f"response_format {form} not supported")

    with OpenAIServer(respond) as server, ThreadPoolExecutor(16) as pool:
        llm = provider(server)
        calls = [contract_request(f"n{step}/coder/1", with_schema=True) for step in range(16)]
        assert [reply.text for reply in pool.map(llm.complete, calls)] == ["{}"] * 16
        assert None not in formats(server.requests)  # nobody went past what works
        assert len(server.requests) <= 32


@settings(deadline=None)
@given(
    refused=st.lists(
        st.text(alphabet="response_format max_tokens unsupported stream_options temperature", max_size=60), max_size=20
    )
)
def test_asking_more_simply_comes_to_an_end(refused: list[str]) -> None:
    config = Config(model="m", base_url="http://127.0.0.1:1/v1", max_tokens=5, stream=True)
    dialect, steps = Dialect.first_guess(config), 0
    request = wishing(contract_request(with_schema=True), temperature=0.5, effort="low")
    last = "unknown response_format, max_tokens, max_completion_tokens, stream_options"
    for words in [*refused, *[last] * 6, "unknown temperature", "unknown reasoning_effort"]:
        body = request_body(config, dialect, request)
        simpler = dialect.without(words, body, request)
        assert simpler != dialect
        dialect, steps = simpler or dialect, steps + (simpler is not None)
    assert steps == 6
    assert dialect.wished(request) == {}


# Replies that are not completions

HTML = Answer(b"<html>hello</html>", content_type="text/html")


def body(data: object) -> Answer:
    return Answer(json.dumps(data).encode())


@pytest.mark.parametrize(
    ("answer", "kind", "says"),
    [
        (HTML, Overloaded, "not JSON"),
        (Answer(b'{"choices": [{"mess'), Overloaded, "not JSON"),
        (Answer(b""), Overloaded, "not JSON"),
        (Answer(b"[" * 100_000), Overloaded, "not JSON"),
        (body([]), BadReply, "not a completion"),
        (body({"object": "list", "data": []}), BadReply, "without choices"),
        (body({"choices": []}), BadReply, "without choices"),
        (body({"choices": [{"message": {"content": {"no": "text"}}}]}), BadReply, "content"),
        (completion("", finish="stop"), Overloaded, "empty"),
        (completion(None), Overloaded, "empty"),
        (completion(None, finish="tool_calls", message={"tool_calls": [{"id": "1"}]}), BadReply, "tool call"),
        (completion(None, finish="content_filter"), BadReply, "content filter"),
        (completion(None, message={"refusal": "I will not"}), BadReply, "I will not"),
        (body({"error": {"code": 429, "message": "slow down"}}), RateLimited, "slow down"),
        (body({"error": {"code": 502, "message": "upstream"}}), Overloaded, "upstream"),
        (body({"error": "boom"}), Overloaded, "boom"),
    ],
)
def test_a_200_that_is_no_reply(answer: Answer, kind: type[LLMError], says: str) -> None:
    error, requests = fails(answer)
    assert type(error) is kind
    assert says in error.message
    assert len(requests) == 1


def test_a_reply_cut_at_the_limit_says_so_even_if_nothing_is_left_of_it() -> None:
    reply, _ = ask(completion("half a pro", finish="length"))
    assert (reply.text, reply.finish) == ("half a pro", "length")
    reply, _ = ask(completion(None, finish="length", completion_tokens=900))
    assert (reply.text, reply.finish, reply.usage.completion_tokens) == ("", "length", 900)


def test_text_before_a_filter_is_kept() -> None:
    reply, _ = ask(completion("some", finish="content_filter"))
    assert (reply.text, reply.finish) == ("some", "other")


def test_tokens_are_estimated_where_nobody_counted_them() -> None:
    reply, _ = ask(completion("12345678", usage=False))
    assert reply.usage.completion_tokens == 2
    assert reply.usage.prompt_tokens > 0


# Errors

NOW_S = 1_700_000_000.0


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (failure(401, "bad key"), AuthRefused),
        (failure(403, "not yours"), AuthRefused),
        (failure(402, "Insufficient Balance"), AuthRefused),
        (failure(429, "You exceeded your current quota", code="insufficient_quota"), AuthRefused),
        (failure(429, "slow down", code="rate_limit_exceeded"), RateLimited),
        (failure(408), Overloaded),
        (failure(409), Overloaded),
        (failure(500), Overloaded),
        (failure(502), Overloaded),
        (failure(503), Overloaded),
        (failure(529), Overloaded),
        (Answer(b"<html>bad gateway</html>", status=502, content_type="text/html"), Overloaded),
        (failure(400, "too long", code="context_length_exceeded"), ContextTooLong),
        (failure(400, "This model's maximum context length is 8192 tokens"), ContextTooLong),
        (failure(400, "request exceeds the available context size"), ContextTooLong),
        (failure(413, "too big"), ContextTooLong),
        (failure(400, "temperature must be 1"), BadReply),
        (failure(404, "no such model"), BadReply),
        (failure(422, "what"), BadReply),
        (Answer(b'{"detail": "Not Found"}', status=404), BadReply),
        (dropped(), Overloaded),
        (Answer(b'{"choices": []}', cut=5), Overloaded),
    ],
)
def test_each_failure_has_its_error_and_one_request(answer: Answer, kind: type[LLMError]) -> None:
    error, requests = fails(answer)
    assert type(error) is kind
    assert len(requests) == 1
    assert error.message.startswith("m at http://127.0.0.1:")
    assert error.hint


def test_nobody_listening_is_overloaded() -> None:
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    llm = Config(model="m", base_url=f"http://127.0.0.1:{port}/v1").build(BuildContext(base_dir=Path()))
    with pytest.raises(Overloaded, match=r"connection failed.*refused"):
        llm.complete(contract_request())


def test_silence_is_a_timeout() -> None:
    error, _ = fails(completion("late", delay_s=20), timeout_s=0.2)
    assert type(error) is Overloaded
    assert "within 0.2 s" in error.message


@pytest.mark.parametrize("stream", [True, False])
def test_a_reply_that_drips_meets_the_whole_timeout(stream: bool) -> None:
    whole = sse(*["{}"] * 500) if stream else completion("long " * 500)
    error, _ = fails(Answer(whole.body, drip_s=0.01), timeout_s=0.3, stream=stream)
    assert type(error) is Overloaded
    assert "within 0.3 s" in error.message


def test_retry_after_comes_along() -> None:
    error, _ = fails(failure(429, headers={"Retry-After": "17"}))
    assert isinstance(error, RateLimited)
    assert error.retry_after_s == 17.0
    error, _ = fails(failure(429))
    assert isinstance(error, RateLimited)
    assert error.retry_after_s is None


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, None),
        ("", None),
        ("3", 3.0),
        (" 0.5 ", 0.5),
        ("soon", None),
        ("-1", None),
        (f"Mon, 01 Jan {10**30} 00:00:00 GMT", None),
        (formatdate(NOW_S + 30, usegmt=True), 30.0),
        (formatdate(NOW_S + 30, localtime=False), 30.0),
        (formatdate(NOW_S - 30, usegmt=True), 0.0),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str | None, expected: float | None) -> None:
    assert retry_after_s(header, NOW_S) == expected


@settings(deadline=None)
@given(header=st.text(max_size=30))
def test_no_retry_after_header_breaks_anything(header: str) -> None:
    seconds = retry_after_s(header, NOW_S)
    assert seconds is None or seconds >= 0


# Streaming


def test_a_stream_is_the_same_reply() -> None:
    answer = completion("one two  three\nfour", prompt_tokens=11, completion_tokens=4)
    whole, _ = ask(answer)
    pieces, [seen] = ask(answer, stream=True)
    assert pieces == whole
    assert seen.body["stream"] is True
    assert seen.body["stream_options"] == {"include_usage": True}


def test_a_backend_that_knows_no_stream_options_is_not_asked_again() -> None:
    with OpenAIServer([failure(400, "unknown field stream_options"), completion("one two")]) as server:
        llm = provider(server, stream=True)
        assert llm.complete(contract_request()).text == "one two"
        assert llm.complete(contract_request()).usage.completion_tokens == 2  # estimated
        assert ["stream_options" in seen.body for seen in server.requests] == [True, False, False]


def delta(text: str, finish: str | None = None) -> str:
    return json.dumps({"choices": [{"delta": {"content": text}, "finish_reason": finish}]})


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (sse(delta("half")), Overloaded),
        (sse(), Overloaded),
        (sse(delta("half"), '{"error": {"code": 429, "message": "enough"}}'), RateLimited),
        (sse(delta("half"), "{tor"), Overloaded),
        (sse("[DONE]"), BadReply),
        (Answer(sse(delta("half"), delta("", "stop")).body, cut=20), Overloaded),
        (failure(503), Overloaded),
    ],
)
def test_a_broken_stream_is_no_reply(answer: Answer, kind: type[LLMError]) -> None:
    error, requests = fails(answer, stream=True)
    assert type(error) is kind
    assert len(requests) == 1


def test_a_stream_may_end_without_the_marker_or_without_a_reason() -> None:
    reply, _ = ask(sse(delta("all"), delta("", "length")), stream=True)
    assert (reply.text, reply.finish, reply.model) == ("all", "length", "m")
    reply, _ = ask(sse(delta("all"), "[DONE]"), stream=True)
    assert (reply.text, reply.finish) == ("all", "stop")


# Keys


def test_a_missing_key_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TEST_KEY")
    config = Config(model="m", base_url="https://llm.example.org/v1", api_key_env="TEST_KEY")
    with pytest.raises(ConfigError, match="TEST_KEY is not set") as caught:
        config.build(BuildContext(base_dir=Path()))
    assert "export TEST_KEY=" in caught.value.hint


@pytest.mark.parametrize("value", ["k\u00e9y", "a\x07b", "\u201csk-1\u201d"])
def test_a_key_that_cannot_be_one_is_refused_unseen(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("TEST_KEY", value)
    config = Config(model="m", base_url="https://llm.example.org/v1", api_key_env="TEST_KEY")
    with pytest.raises(ConfigError, match="TEST_KEY") as caught:
        config.build(BuildContext(base_dir=Path()))
    assert value not in f"{caught.value.message} {caught.value.hint}"


def test_a_newline_copied_along_with_a_key_does_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_KEY", f"{KEY}\n")
    _, [seen] = ask(completion("x"))
    assert seen.headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "127.8.8.8"])
def test_this_machine_needs_no_key(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.delenv("TEST_KEY")
    Config(model="m", base_url=f"http://{host}:1/v1", api_key_env="TEST_KEY").build(BuildContext(base_dir=Path()))


def test_without_a_key_a_placeholder_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TEST_KEY")
    _, [seen] = ask(completion("x"))
    assert seen.headers["authorization"] == "Bearer unused"


@pytest.mark.parametrize(
    "answer",
    [
        failure(401, f"Incorrect API key provided: {KEY}"),
        failure(500, "x" * 280 + KEY),  # the cut must not leave half a key behind
        Answer(f"key {KEY}".encode()),
        body({"error": {"message": KEY, "code": KEY}}),
        completion(None, message={"refusal": KEY}),
    ],
)
def test_a_key_appears_nowhere(answer: Answer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with OpenAIServer([answer]) as server:
        llm = provider(server)
        with pytest.raises(LLMError) as caught:
            llm.complete(contract_request())
    seen = [caught.value.message, caught.value.hint, repr(caught.value), repr(llm), caplog.text]
    assert not any(KEY[:12] in text for text in seen)
    error = caught.value
    assert error.__suppress_context__ or error.__context__ is None  # nor in a traceback, by the SDK's own error


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"base_url": "llm.example.org/v1"}, "base_url"),
        ({"base_url": "https://user:pass@llm.example.org/v1"}, "must not hold"),
        ({"extra_headers": {"Authorization": "x"}}, "api_key_env"),
        ({"extra_headers": {"X-A": "line\nbreak"}}, "characters"),
        ({"timeout_s": 0}, "timeout_s"),
        ({"structured": "xml"}, "structured"),
    ],
)
def test_settings_that_cannot_be_meant(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        Config(**{"model": "m", **settings})


def test_sixteen_threads_get_their_own_replies() -> None:
    def respond(seen: Seen) -> Answer:
        return completion(seen.body["messages"][1]["content"])

    with OpenAIServer(respond) as server, ThreadPoolExecutor(16) as pool:
        llm = provider(server)
        texts = [f"prompt {number}" for number in range(64)]
        replies = pool.map(lambda text: llm.complete(contract_request(text=text)).text, texts)
        assert list(replies) == texts
