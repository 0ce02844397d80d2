"""The `openai` provider: any endpoint that speaks the OpenAI chat-completions API.

Knows nothing of retries, prices, budgets or logs (see evolve.llm.stack); the client's own retries are off.
"""

from __future__ import annotations

import importlib
import ipaddress
import json
import logging
import os
import re
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args
from urllib.parse import urlsplit

from pydantic import AliasChoices, BaseModel, Field, ValidationError, field_validator

from evolve.config import Sampling
from evolve.errors import AuthRefused, BadReply, ConfigError, ContextTooLong, LLMError, Overloaded, RateLimited
from evolve.llm.base import Reply, Request, Usage
from evolve.llm.tokens import estimated_usage
from evolve.plugins import BuildContext, PluginConfig

if TYPE_CHECKING:
    import openai

Format = Literal["json_schema", "json_object", "none"]
LimitKey = Literal["max_tokens", "max_completion_tokens"]
Wish = Literal["temperature", "reasoning_effort"]
Part = TypeVar("Part", str, bytes)

logger = logging.getLogger(__name__)

_CREDENTIAL_HEADERS = frozenset({"authorization", "proxy-authorization", "api-key", "x-api-key", "cookie"})


class Config(PluginConfig):
    """A model behind the OpenAI chat-completions API: OpenAI itself, vLLM, llama.cpp, Ollama, OpenRouter, ..."""

    kind: Literal["openai"] = "openai"
    model: str = Field(min_length=1)
    """Name of the model as the endpoint knows it."""
    base_url: str = "https://api.openai.com/v1"
    """Where the API is; usually ends in `/v1`."""
    api_key_env: str = "OPENAI_API_KEY"
    """Name of the environment variable that holds the key. It may be unset for an endpoint on this machine."""
    temperature: float | None = Field(default=None, ge=0, le=2)
    """Sampling temperature; the endpoint's own default when left out (some reasoning models take no other)."""
    top_p: float | None = Field(default=None, gt=0, le=1)
    """Nucleus sampling; the endpoint's own default when left out."""
    max_tokens: int | None = Field(default=None, ge=1)
    """Most tokens of one reply, reasoning included where the endpoint counts it."""
    reasoning_effort: str | None = None
    """How hard a reasoning model should think, in the endpoint's words, e.g. `low`, `medium`, `high`."""
    timeout_s: float = Field(default=600.0, gt=0)
    """Longest silence, and longest whole reply (looked at whenever data arrive)."""
    connect_timeout_s: float = Field(default=10.0, gt=0)
    """Longest wait for a connection."""
    stream: bool = False
    """Receive the reply piece by piece; helps where a proxy ends silent connections."""
    structured: Literal["auto", "json_schema", "json_object", "none"] = "auto"
    """How replies with a schema are enforced. `auto`: JSON schema, else JSON object, else not at all, by what the endpoint accepts."""
    extra_body: dict[str, Any] = Field(default_factory=dict)
    """Further fields of the request, passed on as they are."""
    extra_headers: dict[str, str] = Field(default_factory=dict)
    """Further HTTP headers. Not for secrets: they are written into the run directory."""

    @field_validator("base_url")
    @classmethod
    def _plain_url(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("expected a URL like http://127.0.0.1:8000/v1")
        if parts.username is not None or parts.password is not None:
            raise ValueError("must not hold a user name or password; `api_key_env` names the variable with the key")
        return url.rstrip("/")

    @field_validator("extra_headers")
    @classmethod
    def _no_secrets(cls, headers: dict[str, str]) -> dict[str, str]:
        for name, value in headers.items():
            if name.lower() in _CREDENTIAL_HEADERS:
                raise ValueError(f"{name} would put a secret into the run directory; use `api_key_env`")
            if not f"{name}{value}".isascii() or not f"{name}{value}".isprintable():
                raise ValueError(f"{name!r} has characters that no header may have")
        return headers

    def build(self, context: BuildContext) -> OpenAI:  # noqa: ARG002
        """Raises ConfigError when the key's variable is not set and the endpoint is not on this machine."""
        return OpenAI(self, _api_key(self, os.environ))


def _api_key(config: Config, environ: Mapping[str, str]) -> str | None:
    key = environ.get(config.api_key_env, "").strip()
    if not key:
        if _is_loopback(config.base_url):
            return None
        raise ConfigError(
            f"llm: no key for {config.model} at {config.base_url}: environment variable {config.api_key_env} is not set",
            hint=f"export {config.api_key_env}=..., or name the variable that holds the key with `api_key_env`",
        )
    if not (key.isascii() and key.isprintable()):
        raise ConfigError(
            f"llm: environment variable {config.api_key_env} does not hold a key: it has characters no key has",
            hint=f"set {config.api_key_env} again; a quote or invisible character was probably copied along",
        )
    return key


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


# What is sent ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Dialect:
    """What a backend is believed to understand. It only ever gets simpler, so asking again comes to an end."""

    formats: tuple[Format, ...]
    """Ways of enforcing a schema that are left to try, best first."""
    limit_keys: tuple[LimitKey, ...]
    """Names of the limit on a reply's tokens that are left to try. OpenAI's reasoning models refuse the old name,
    other backends may not know the new one."""
    stream_usage: bool = True
    """Whether a stream may be asked for its token counts."""
    wishes: frozenset[Wish] = frozenset(get_args(Wish))
    """What a request may wish for in the place of the provider's own settings. The same wishes go to every model of a
    role, and there are some that take no temperature or no effort."""

    @classmethod
    def first_guess(cls, config: Config) -> Dialect:
        host = urlsplit(config.base_url).hostname or ""
        new_name = host.endswith((".openai.com", ".openai.azure.com"))
        return cls(
            formats=("json_schema", "json_object", "none") if config.structured == "auto" else (config.structured,),
            limit_keys=("max_completion_tokens", "max_tokens") if new_name else ("max_tokens", "max_completion_tokens"),
        )

    def wished(self, request: Request) -> dict[Wish, float | str]:
        """What of the request's own sampling is sent."""
        sampling = request.sampling or Sampling()
        wishes: dict[Wish, float | str | None] = {
            "temperature": sampling.temperature,
            "reasoning_effort": sampling.effort,
        }
        return {wish: value for wish, value in wishes.items() if value is not None and wish in self.wishes}

    def without(self, refused: str, body: Mapping[str, Any], request: Request) -> Dialect | None:
        """The next simpler dialect after `body` was refused with these words; None if the words are about other things."""
        if "response_format" in body and len(self.formats) > 1 and _ABOUT_FORMAT.search(refused):
            return replace(self, formats=self.formats[1:])
        if self.limit_keys[0] in body and len(self.limit_keys) > 1 and _names_unknown(self.limit_keys[0], refused):
            return replace(self, limit_keys=self.limit_keys[1:])
        if "stream_options" in body and "stream_options" in refused:
            return replace(self, stream_usage=False)
        vain = {wish for wish in self.wished(request) if _names_unknown(wish, refused)}
        return replace(self, wishes=self.wishes - vain) if vain else None


_ABOUT_FORMAT = re.compile(r"response_?format|json_?(schema|object)|schema|grammar|structured|guided", re.IGNORECASE)
_UNKNOWN = re.compile(r"unsupported|not support|unrecogni[sz]ed|unknown|unexpected|extra|not permitted", re.IGNORECASE)


def _names_unknown(parameter: str, refused: str) -> bool:
    return re.search(rf"\b{parameter}\b", refused) is not None and _UNKNOWN.search(refused) is not None


def request_body(config: Config, dialect: Dialect, request: Request) -> dict[str, Any]:
    """Arguments of the SDK's `create`."""
    body: dict[str, Any] = {
        "model": config.model,
        "messages": [{"role": message.role, "content": _sendable(message.content)} for message in request.messages],
        "temperature": config.temperature,
        "top_p": config.top_p,
        dialect.limit_keys[0]: config.max_tokens,
        "reasoning_effort": config.reasoning_effort,
        "response_format": _response_format(dialect.formats[0], request.schema),
        "extra_body": config.extra_body or None,
    } | dialect.wished(request)
    if config.stream:
        body |= {"stream": True, "stream_options": {"include_usage": True} if dialect.stream_usage else None}
    return {key: value for key, value in body.items() if value is not None}


def _sendable(text: str) -> str:
    """Program output may hold lone surrogates, which JSON over UTF-8 cannot carry."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _response_format(form: Format, schema: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if schema is None or form == "none":
        return None
    if form == "json_object":
        return {"type": "json_object"}
    name = re.sub(r"[^A-Za-z0-9_-]", "_", str(schema.get("title", "reply")))[:64]
    return {
        "type": "json_schema",
        "json_schema": {"name": name, "schema": dict(schema), "strict": _is_closed(schema)},
    }


def _is_closed(schema: object) -> bool:
    """Whether every object in the schema requires all its properties and allows no others: what `strict` demands."""
    if isinstance(schema, Mapping):
        properties = schema.get("properties")
        if isinstance(properties, Mapping) and (
            schema.get("additionalProperties") is not False or set(properties) != set(schema.get("required", ()))
        ):
            return False
        return all(_is_closed(part) for part in schema.values())
    if isinstance(schema, list | tuple):
        return all(_is_closed(part) for part in schema)
    return True


# What comes back ------------------------------------------------------------------------------------------------------


class _Message(BaseModel):
    content: str | None = None
    refusal: str | None = None
    tool_calls: list[Any] | None = None


class _Choice(BaseModel):
    message: _Message = Field(default=_Message(), validation_alias=AliasChoices("message", "delta"))
    finish_reason: str | None = None


class _Usage(BaseModel):
    prompt_tokens: int = Field(ge=0)
    completion_tokens: int = Field(default=0, ge=0)


class _Completion(BaseModel):
    """A completion, or one piece of a streamed one."""

    choices: list[_Choice] = []
    model: str | None = None
    usage: _Usage | None = None


def _merged(pieces: Sequence[_Completion]) -> _Completion:
    """One completion out of a stream's pieces."""
    choices = [piece.choices[0] for piece in pieces if piece.choices]
    message = _Message(
        content="".join(choice.message.content or "" for choice in choices),
        refusal="".join(choice.message.refusal or "" for choice in choices) or None,
        tool_calls=[call for choice in choices for call in choice.message.tool_calls or ()] or None,
    )
    finish = next((choice.finish_reason for choice in choices if choice.finish_reason), None)
    return _Completion(
        choices=[_Choice.model_construct(message=message, finish_reason=finish)] if choices else [],
        model=next((piece.model for piece in pieces if piece.model), None),
        usage=next((piece.usage for piece in reversed(pieces) if piece.usage), None),
    )


class _Refused(Exception):
    """The backend answered with an error. `words` are its own."""

    def __init__(self, status: int, words: str, retry_after_s: float | None = None) -> None:
        super().__init__(words)
        self.status = status
        self.words = words
        self.retry_after_s = retry_after_s


class _Broken(Exception):
    """No whole answer came; another try may get one."""


_CONTEXT = re.compile(
    r"context[ _-]?(length|size|window)|maximum (prompt|input) length|prompt (is )?too long|input (is )?too long"
    r"|too many (input |prompt )?tokens|reduce the length",
    re.IGNORECASE,
)
_QUOTA = re.compile(
    r"insufficient_quota|exceeded your current quota|insufficient (balance|credit|funds)", re.IGNORECASE
)


def _words(body: object) -> str:
    """A backend's error in its own words, with the code and parameter it names."""
    if not isinstance(body, Mapping):
        return " ".join(str(body or "").split())
    said = body.get("message") or body.get("detail") or json.dumps(body, default=str)
    named = [str(body[key]) for key in ("code", "type", "param") if body.get(key)]
    return " ".join(str(said).split()) + (f" ({', '.join(named)})" if named else "")


def retry_after_s(header: str | None, now_s: float) -> float | None:
    """Seconds to wait by a Retry-After header: a number or an HTTP date (RFC 9110, 10.2.3). `now_s` is Unix time."""
    if not header:
        return None
    if re.fullmatch(r"\d+(\.\d+)?", header.strip()):
        return float(header)
    try:
        date = parsedate_to_datetime(header)
    except (ValueError, OverflowError):
        return None
    # A date without a zone is read as UTC, the only zone an HTTP date may have.
    return max(0.0, (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - now_s)


class OpenAI:
    """One model at one endpoint. Thread-safe; opens a connection for each call, so there is nothing to close."""

    def __init__(self, config: Config, api_key: str | None) -> None:
        self._config = config
        self._api_key = api_key
        self._lock = threading.Lock()
        self._dialect = Dialect.first_guess(config)
        self._client: openai.OpenAI | None = None

    def complete(self, request: Request) -> Reply:
        while True:
            dialect = self._dialect
            body = request_body(self._config, dialect, request)
            try:
                return self._reply(request, self._exchange(body))
            except _Broken as failure:
                raise Overloaded(
                    self._told(str(failure)),
                    hint="check that the server is up and `base_url` is right; raise `timeout_s` if replies take longer",
                ) from None
            except _Refused as failure:
                refusal = failure.status in (400, 404, 422, 500, 501)
                simpler = dialect.without(failure.words, body, request) if refusal else None
                if simpler is None:
                    raise self._error(failure) from None
                logger.info("%s", self._told(f"{failure.words}; asking in a simpler way from now on"))
            with self._lock:
                if self._dialect == dialect:  # otherwise another thread has learnt something meanwhile
                    self._dialect = simpler

    def _connected(self) -> openai.OpenAI:
        with self._lock:
            if self._client is None:
                import openai

                self._client = openai.OpenAI(
                    api_key=self._api_key or "unused",
                    base_url=self._config.base_url,
                    timeout=openai.Timeout(self._config.timeout_s, connect=self._config.connect_timeout_s),
                    max_retries=0,
                    # A new connection costs little beside a reply that takes seconds, and a pooled one may have died
                    # while a candidate ran.
                    default_headers={"Connection": "close", **self._config.extra_headers},
                )
            return self._client

    def _exchange(self, body: dict[str, Any]) -> _Completion:
        """Send one request. Raises _Refused or _Broken."""
        client = self._connected()
        import openai

        # The SDK wraps the HTTP library's errors, but not those met while a body is read. Which library it is depends
        # on the SDK's version; the client it derives from is the library's own.
        http = importlib.import_module(openai.DefaultHttpxClient.__mro__[1].__module__)
        deadline_s = time.monotonic() + self._config.timeout_s
        create = client.chat.completions.with_streaming_response.create
        try:
            with create(**body) as response:
                if body.get("stream"):
                    return _streamed(_until(deadline_s, response.iter_lines()))
                return _whole(b"".join(_until(deadline_s, response.iter_bytes())))
        except openai.APIStatusError as error:
            wait_s = retry_after_s(error.response.headers.get("retry-after"), time.time())
            raise _Refused(error.status_code, _words(error.body or error.message), wait_s) from None
        except (openai.APITimeoutError, http.TimeoutException, TimeoutError):
            raise _Broken(f"no whole reply within {self._config.timeout_s:g} s") from None
        except (openai.APIConnectionError, http.HTTPError) as error:
            raise _Broken(f"connection failed: {error.__cause__ or error}") from None

    def _reply(self, request: Request, completion: _Completion) -> Reply:
        if not completion.choices:
            raise self._bad("a reply without choices")
        choice = completion.choices[0]
        text = choice.message.content or ""
        # An empty reply cut at the limit was paid for: it is a reply, and its reader says what to do about it.
        if not text and choice.finish_reason != "length":
            if choice.message.tool_calls:
                raise self._bad("a tool call instead of text")
            if choice.message.refusal or choice.finish_reason == "content_filter":
                raise self._bad(f"the model refused: {choice.message.refusal or 'content filter'}")
            raise _Broken("an empty reply")
        usage = completion.usage
        return Reply(
            text=text,
            model=completion.model or self._config.model,
            usage=Usage(usage.prompt_tokens, usage.completion_tokens) if usage else estimated_usage(request, text),
            finish=_finish(choice.finish_reason),
        )

    def _error(self, failure: _Refused) -> LLMError:
        status, words = failure.status, failure.words
        message = self._told(f"{status}: {words}")
        if status in (401, 403):
            return AuthRefused(
                message, hint=f"check the key in {self._config.api_key_env} and that it may use {self._config.model}"
            )
        if status == 402 or (status == 429 and _QUOTA.search(words)):
            # Patience does not help; for the run it is as good as a refused key.
            return AuthRefused(message, hint="the account's quota is spent: top it up, then resume the run")
        if status == 429:
            return RateLimited(message, hint="use fewer `search.workers`", retry_after_s=failure.retry_after_s)
        if status == 413 or _CONTEXT.search(words):
            return ContextTooLong(message, hint="lower `agent.prompt_tokens` or `max_tokens`, or use a larger context")
        if status in (408, 409) or status >= 500:
            return Overloaded(message, hint="the server has trouble; its own log says more")
        return BadReply(message, hint="check `model`, `base_url` and the sampling settings against the server's manual")

    def _bad(self, what: str) -> BadReply:
        return BadReply(self._told(what), hint="try another model, or see the server's log")

    def _told(self, what: str) -> str:
        """A message that says who answered what; the key is cut out, since some servers repeat it."""
        if self._api_key:
            what = what.replace(self._api_key, "[key]")
        short = what if len(what) <= 300 else what[:297] + "..."
        return f"{self._config.model} at {self._config.base_url}: {short}"


def _until(deadline_s: float, parts: Iterator[Part]) -> Iterator[Part]:
    """Pass the parts on. Raises TimeoutError once the monotonic clock has passed the deadline."""
    for part in parts:
        if time.monotonic() > deadline_s:
            raise TimeoutError
        yield part


def _whole(data: bytes) -> _Completion:
    return _parsed(data.decode("utf-8", "replace"))


def _streamed(lines: Iterator[str]) -> _Completion:
    """Server-sent events: one piece on each `data:` line, and `[DONE]` at the end."""
    pieces = []
    done = False
    for line in lines:
        field, _, value = line.partition(":")
        if field == "data" and value.strip() == "[DONE]":
            done = True
            break
        if field == "data":
            pieces.append(_parsed(value))
    completion = _merged(pieces)
    if not done and not (completion.choices and completion.choices[0].finish_reason):
        raise _Broken("the stream ended before the reply did")
    return completion


def _parsed(text: str) -> _Completion:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        raise _Broken(f"not JSON: {' '.join(text.split())[:100]!r}") from None
    error = data.get("error") if isinstance(data, Mapping) else None
    if error:
        code = str(error.get("code")) if isinstance(error, Mapping) else ""
        raise _Refused(int(code) if re.fullmatch(r"[45]\d\d", code) else 502, _words(error))
    try:
        return _Completion.model_validate(data)
    except ValidationError as problem:
        first = problem.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(key) for key in first["loc"]) or "body"
        raise _Refused(200, f"not a completion: {where}: {first['msg']}") from None


def _finish(reason: str | None) -> Literal["stop", "length", "other"]:
    match reason:
        case "stop" | None:
            return "stop"
        case "length":
            return "length"
        case _:
            return "other"
