"""A small server that speaks the OpenAI chat-completions API on loopback, for tests of whatever talks to a model.

It says what it is told to say: completions (streamed when the request asks for it), errors, nonsense, silence or half
a reply; and it keeps what it was asked. Bounded in every direction: loopback only, limited request size, a deadline on
every socket, and closing it ends every reply that is still waiting.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

MAX_REQUEST_BYTES = 32 * 1024 * 1024
MAX_REQUESTS_KEPT = 10_000
SOCKET_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP reply."""

    body: bytes
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"
    delay_s: float = 0.0
    """Silence before anything is sent."""
    cut: int | None = None
    """Drop the connection after so many bytes of the body; 0 sends nothing at all, not even a status."""
    drip_s: float = 0.0
    """Pause between two bytes of the body."""
    completion: Mapping[str, Any] | None = None
    """What `body` encodes, where it is a completion that can be streamed."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One request as it came in."""

    path: str
    headers: Mapping[str, str]
    """Names in lower case."""
    body: dict[str, Any]


def completion(
    text: str | None,
    *,
    model: str = "toy-model",
    finish: str = "stop",
    prompt_tokens: int = 10,
    completion_tokens: int = 5,
    usage: bool = True,
    message: Mapping[str, Any] | None = None,
    delay_s: float = 0.0,
) -> Answer:
    """A chat completion; `message` adds fields such as `refusal` or `tool_calls`."""
    data: dict[str, Any] = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 0,
        "model": model,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": text, **(message or {})},
                "finish_reason": finish,
            }
        ],
    }
    if usage:
        data["usage"] = {
            "prompt_tokens": prompt_tokens,
            "completion_tokens": completion_tokens,
            "total_tokens": prompt_tokens + completion_tokens,
        }
    return Answer(json.dumps(data).encode(), delay_s=delay_s, completion=data)


def failure(
    status: int, message: str = "no", *, headers: Mapping[str, str] | None = None, **named: str | None
) -> Answer:
    """An error in OpenAI's form; `named` may hold its `code`, `type` and `param`."""
    body = json.dumps({"error": {"message": message, **named}}).encode()
    return Answer(body, status=status, headers=headers or {})


def dropped() -> Answer:
    """The connection ends without a reply."""
    return Answer(b"", cut=0)


def sse(*data: str) -> Answer:
    """A stream with these `data:` lines, word for word."""
    return Answer("".join(f"data: {line}\n\n" for line in data).encode(), content_type="text/event-stream")


def streamed(whole: Mapping[str, Any], *, usage: bool) -> Answer:
    """The same completion as a stream of its words, as a backend sends it for `stream: true`."""
    choice = whole["choices"][0]
    rest = {key: value for key, value in choice["message"].items() if key != "content"}
    words = [word + " " for word in (choice["message"]["content"] or "").split(" ")]
    words[-1] = words[-1][:-1]
    deltas: list[dict[str, Any]] = [rest, *({"content": word} for word in words if word)]
    chunks = [_chunk(whole, [{"index": 0, "delta": delta, "finish_reason": None}]) for delta in deltas]
    chunks.append(_chunk(whole, [{"index": 0, "delta": {}, "finish_reason": choice["finish_reason"]}]))
    if usage and "usage" in whole:
        chunks.append(_chunk(whole, []) | {"usage": whole["usage"]})
    return sse(*(json.dumps(chunk) for chunk in chunks), "[DONE]")


def _chunk(whole: Mapping[str, Any], choices: list[dict[str, Any]]) -> dict[str, Any]:
    return {**{key: whole[key] for key in ("id", "created", "model")}, "object": "chat.completion.chunk"} | {
        "choices": choices
    }


Respond = Callable[[Seen], Answer]


class _Http(ThreadingHTTPServer):
    daemon_threads = False  # so that closing waits for them
    request_queue_size = 128  # the default of 5 refuses connections when many threads call at once


class OpenAIServer:
    """`with OpenAIServer([answer, ...]) as server:` answers at `server.base_url`, in that order; the last one stays.

    A function answers by the request instead; it is called from several threads at once.
    """

    def __init__(self, answers: Sequence[Answer] | Respond, port: int = 0) -> None:
        """`port` 0 takes any that is free."""
        self.requests: list[Seen] = []
        self._respond = answers if callable(answers) else _in_order(answers)
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._http = _Http(("127.0.0.1", port), self._handler())
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), name="openai-server")

    @property
    def port(self) -> int:
        return int(self._http.server_address[1])

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    def _answer(self, seen: Seen) -> Answer:
        with self._lock:
            if len(self.requests) < MAX_REQUESTS_KEPT:
                self.requests.append(seen)
        answer = self._respond(seen)
        self._closing.wait(answer.delay_s)
        if answer.completion is not None and seen.body.get("stream"):
            return streamed(answer.completion, usage=bool((seen.body.get("stream_options") or {}).get("include_usage")))
        return answer

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = SOCKET_TIMEOUT_S

            def do_POST(self) -> None:
                self.close_connection = True
                length = int(self.headers.get("content-length", 0))
                if length > MAX_REQUEST_BYTES:
                    self.send_error(413)
                    return
                try:
                    body = json.loads(self.rfile.read(length))
                except ValueError:
                    self.send_error(400)
                    return
                headers = {name.lower(): value for name, value in self.headers.items()}
                self._send(server._answer(Seen(self.path, headers, body)))

            def _send(self, answer: Answer) -> None:
                if answer.cut == 0:
                    return
                try:
                    self.send_response(answer.status)
                    headers = {
                        "Content-Type": answer.content_type,
                        "Content-Length": str(len(answer.body)),
                        "Connection": "close",
                        **answer.headers,
                    }
                    for name, value in headers.items():
                        self.send_header(name, value)
                    self.end_headers()
                    self._send_body(answer)
                except (ConnectionError, TimeoutError):
                    return  # the client has gone, e.g. after its own timeout

            def _send_body(self, answer: Answer) -> None:
                body = answer.body if answer.cut is None else answer.body[: answer.cut]
                if not answer.drip_s:
                    self.wfile.write(body)
                    return
                for byte in body:
                    if server._closing.wait(answer.drip_s):
                        return
                    self.wfile.write(bytes([byte]))

            def log_message(self, format: str, *args: Any) -> None:
                """Tests read `requests` instead."""

        return Handler


def _in_order(answers: Sequence[Answer]) -> Respond:
    lock = threading.Lock()
    left: Iterator[Answer] = iter(answers)
    last = answers[-1]

    def respond(_: Seen) -> Answer:
        with lock:
            return next(left, last)

    return respond
