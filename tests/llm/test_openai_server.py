"""The loopback server keeps its bounds."""

from __future__ import annotations

import http.client
import time
from urllib.parse import urlsplit

import pytest

from evolve.testing.openai_server import MAX_REQUEST_BYTES, Answer, OpenAIServer, completion


def post(server: OpenAIServer, body: bytes, length: int | None = None) -> int:
    address = urlsplit(server.base_url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=10)
    try:
        connection.putrequest("POST", "/v1/chat/completions")
        connection.putheader("Content-Length", str(len(body) if length is None else length))
        connection.endheaders(body)
        response = connection.getresponse()
        response.read()
        return response.status
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("body", "length", "status"), [(b"{}", None, 200), (b"{", None, 400), (b"", MAX_REQUEST_BYTES + 1, 413)]
)
def test_requests_it_cannot_read_are_refused_and_not_kept(body: bytes, length: int | None, status: int) -> None:
    with OpenAIServer([completion("x")]) as server:
        assert post(server, body, length) == status
        assert len(server.requests) == (status == 200)


def test_it_listens_on_loopback_only() -> None:
    with OpenAIServer([completion("x")]) as server:
        assert urlsplit(server.base_url).hostname == "127.0.0.1"


def test_closing_ends_replies_that_still_wait() -> None:
    started = time.monotonic()
    with OpenAIServer([Answer(b"x" * 1000, drip_s=60)]) as server:
        address = urlsplit(server.base_url)
        connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=10)
        connection.request("POST", "/v1/chat/completions", b"{}")
        connection.getresponse()  # the head is here, the body would take a day
    connection.close()
    assert time.monotonic() - started < 30
