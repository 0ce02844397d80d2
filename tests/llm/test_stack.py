"""The layers around a provider: what is retried, given up, paid for and remembered."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evolve.config import Price, RetryConfig, Sampling
from evolve.errors import (
    AuthRefused,
    BadReply,
    BudgetSpent,
    ContextTooLong,
    EndpointDown,
    LLMError,
    Overloaded,
    RateLimited,
)
from evolve.llm import manual, openai, scripted
from evolve.llm.base import LLM, Reply, Request, Usage
from evolve.llm.scripted import Scripted
from evolve.llm.stack import (
    PROBE,
    Breaker,
    Budgeted,
    Directed,
    Fallback,
    Logged,
    Priced,
    Retry,
    build_role,
    unpriced_models,
)
from evolve.plugins import BuildContext, PluginConfig
from evolve.testing.llm_contract import contract_request
from evolve.testing.openai_server import Answer, OpenAIServer, completion, dropped, failure

REQUEST = contract_request()


class Pauses:
    """Stands in for waiting: remembers the seconds and never waits; `interrupted` from the n-th pause on."""

    def __init__(self, interrupted_from: int | None = None) -> None:
        self.seconds: list[float] = []
        self._interrupted_from = interrupted_from

    def __call__(self, seconds: float) -> bool:
        self.seconds.append(seconds)
        return self._interrupted_from is not None and len(self.seconds) >= self._interrupted_from


class Calls:
    """A call store in memory that keeps the order of what happened."""

    def __init__(self) -> None:
        self.recorded: dict[str, Reply] = {}
        self.trace: list[str] = []
        self._lock = threading.Lock()

    def find(self, request: Request) -> Reply | None:
        return self.recorded.get(request.call_id)

    def record(self, request: Request, reply: Reply, seconds: float) -> None:
        assert seconds >= 0
        with self._lock:
            assert request.call_id not in self.recorded, "paid twice"
            self.recorded[request.call_id] = reply
            self.trace.append(f"recorded {request.call_id}")


class Allowance:
    """A meter that lets so many calls pass."""

    def __init__(self, calls: int = 1_000_000) -> None:
        self.left = calls

    def check(self) -> None:
        if self.left <= 0:
            raise BudgetSpent("tokens")
        self.left -= 1


class Outcomes:
    """A provider that does as told, one outcome a call, the last one for ever."""

    def __init__(self, *outcomes: Exception | str) -> None:
        self._outcomes = outcomes
        self.calls = 0

    def complete(self, request: Request) -> Reply:
        outcome = self._outcomes[min(self.calls, len(self._outcomes) - 1)]
        self.calls += 1
        if isinstance(outcome, Exception):
            raise outcome
        return Reply(text=outcome, model="m")


def overloaded(text: str = "busy") -> Overloaded:
    return Overloaded(text, hint="wait")


def limited(seconds: float | None) -> RateLimited:
    return RateLimited("slow down", hint="wait", retry_after_s=seconds)


def refused() -> AuthRefused:
    return AuthRefused("bad key", hint="mend the key")


LASTING: list[LLMError] = [
    refused(),
    BadReply("no", hint="x"),
    ContextTooLong("long", hint="x"),
    EndpointDown("down", hint="x"),
]


# Retry


def test_what_may_pass_is_tried_again_until_it_does() -> None:
    inner, pauses = Outcomes(overloaded(), limited(None), "done"), Pauses()
    assert Retry(inner, RetryConfig(attempts=5), pauses).complete(REQUEST).text == "done"
    assert (inner.calls, len(pauses.seconds)) == (3, 2)


def test_the_last_error_comes_out_as_it_is() -> None:
    error = overloaded()
    inner = Outcomes(error)
    with pytest.raises(Overloaded) as caught:
        Retry(inner, RetryConfig(attempts=3), Pauses()).complete(REQUEST)
    assert caught.value is error
    assert inner.calls == 3


@pytest.mark.parametrize("error", [*LASTING, BudgetSpent("tokens")])
def test_what_will_not_pass_is_not_tried_again(error: Exception) -> None:
    inner, pauses = Outcomes(error), Pauses()
    with pytest.raises(type(error)):
        Retry(inner, RetryConfig(attempts=5), pauses).complete(REQUEST)
    assert (inner.calls, pauses.seconds) == (1, [])


def test_retry_after_is_obeyed_up_to_the_longest_pause() -> None:
    inner, pauses = Outcomes(limited(7.5), limited(3600), limited(0), "done"), Pauses()
    Retry(inner, RetryConfig(attempts=5, wait_s=1, wait_max_s=60), pauses).complete(REQUEST)
    assert pauses.seconds == [7.5, 60, 0]


@settings(deadline=None)
@given(wait_s=st.floats(0, 100), wait_max_s=st.floats(0, 100), attempts=st.integers(1, 12))
def test_pauses_double_with_jitter_and_stay_below_the_longest(wait_s: float, wait_max_s: float, attempts: int) -> None:
    pauses = Pauses()
    config = RetryConfig(attempts=attempts, wait_s=wait_s, wait_max_s=wait_max_s)
    with pytest.raises(Overloaded):
        Retry(Outcomes(overloaded()), config, pauses).complete(REQUEST)
    assert len(pauses.seconds) == attempts - 1
    for number, seconds in enumerate(pauses.seconds):
        assert min(wait_s * 2**number, wait_max_s) <= seconds <= min(wait_s * (2**number + 1), wait_max_s)


def test_a_pause_that_is_interrupted_leaves_the_expansion_in_flight() -> None:
    inner = Outcomes(overloaded())
    with pytest.raises(BudgetSpent, match="stopped"):
        Retry(inner, RetryConfig(attempts=5), Pauses(interrupted_from=2)).complete(REQUEST)
    assert inner.calls == 2


def test_an_event_ends_a_real_pause() -> None:
    stop = threading.Event()

    def busy(_: Request) -> str:
        stop.set()
        raise overloaded()

    with pytest.raises(BudgetSpent):
        Retry(Scripted(busy), RetryConfig(wait_s=3600, wait_max_s=3600), stop.wait).complete(REQUEST)


# Breaker


def test_it_opens_after_so_many_failures_in_a_row_and_stays_open() -> None:
    inner = Outcomes(overloaded("first"), overloaded("second"), overloaded("third"), "too late")
    breaker = Breaker(inner, threshold=3, name="m")
    kinds = []
    for _ in range(5):
        with pytest.raises(LLMError) as caught:
            breaker.complete(REQUEST)
        kinds.append(type(caught.value))
    assert kinds == [Overloaded, Overloaded, EndpointDown, EndpointDown, EndpointDown]
    assert inner.calls == 3
    assert "3 calls in a row" in caught.value.message
    assert "third" in caught.value.message
    assert caught.value.stops_run


def test_a_success_starts_the_count_again() -> None:
    inner = Outcomes(overloaded(), "fine", overloaded(), "fine", overloaded(), "fine")
    breaker = Breaker(inner, threshold=2, name="m")
    for _ in range(3):
        with pytest.raises(Overloaded):
            breaker.complete(REQUEST)
        assert breaker.complete(REQUEST).text == "fine"


def test_a_refused_key_opens_it_at_once() -> None:
    inner = Outcomes(refused(), "never")
    breaker = Breaker(inner, threshold=5, name="m")
    with pytest.raises(AuthRefused):
        breaker.complete(REQUEST)
    with pytest.raises(EndpointDown, match="bad key"):
        breaker.complete(REQUEST)
    assert inner.calls == 1


def test_now_and_then_a_call_is_let_through_to_see_whether_it_is_back() -> None:
    inner = Outcomes(overloaded(), overloaded(), "back")
    breaker = Breaker(inner, threshold=1, name="m")

    def refusals() -> int:
        count = 0
        while True:
            try:
                breaker.complete(REQUEST)
            except EndpointDown:
                count += 1
            else:
                return count

    assert refusals() == 1 + (PROBE - 1) + 1 + (PROBE - 1), "one probe failed, the next did not"
    assert inner.calls == 3
    assert breaker.complete(REQUEST).text == "back"


def test_a_refused_key_is_never_tried_again() -> None:
    inner = Outcomes(refused())
    breaker = Breaker(inner, threshold=5, name="m")
    for _ in range(3 * PROBE):
        with pytest.raises((AuthRefused, EndpointDown)):
            breaker.complete(REQUEST)
    assert inner.calls == 1


def test_a_spent_budget_is_no_failure() -> None:
    breaker = Breaker(Outcomes(BudgetSpent("tokens")), threshold=1, name="m")
    for _ in range(3):
        with pytest.raises(BudgetSpent):
            breaker.complete(REQUEST)


def test_failures_of_all_threads_count_and_a_late_success_closes_it() -> None:
    together = threading.Barrier(4)
    failed = threading.Semaphore(0)

    def answer(request: Request) -> str:
        if request.call_id == "later":
            return "later"
        together.wait()
        if request.call_id == "slow success":
            for _ in range(3):
                failed.acquire()
            return "alive after all"
        raise overloaded()

    breaker = Breaker(Scripted(answer), threshold=3, name="m")

    def call(name: str) -> str:
        try:
            return breaker.complete(contract_request(name)).text
        except LLMError as error:
            return type(error).__name__
        finally:
            failed.release()

    with ThreadPoolExecutor(4) as pool:
        outcomes = list(pool.map(call, ["a", "b", "c", "slow success"]))
    assert sorted(outcomes[:3]) == ["EndpointDown", "Overloaded", "Overloaded"]
    assert outcomes[3] == "alive after all"
    assert call("later") == "later"


# Fallback


def test_the_next_provider_is_asked_only_after_a_failure() -> None:
    second = Outcomes("second")
    assert Fallback({"a": Outcomes("first"), "b": second}).complete(REQUEST).text == "first"
    assert second.calls == 0


@pytest.mark.parametrize("error", [overloaded(), limited(1), *LASTING])
def test_every_error_falls_through(error: LLMError) -> None:
    assert Fallback({"a": Outcomes(error), "b": Outcomes("second")}).complete(REQUEST).text == "second"


def test_a_spent_budget_does_not_fall_through() -> None:
    second = Outcomes("second")
    with pytest.raises(BudgetSpent):
        Fallback({"a": Outcomes(BudgetSpent("tokens")), "b": second}).complete(REQUEST)
    assert second.calls == 0


@pytest.mark.parametrize(
    ("errors", "raised"),
    [
        ([refused(), refused()], AuthRefused),
        ([refused(), overloaded()], Overloaded),
        ([overloaded(), refused()], Overloaded),
        ([BadReply("no", hint="x"), overloaded()], BadReply),
        ([refused(), EndpointDown("down", hint="x")], AuthRefused),
    ],
)
def test_the_run_ends_only_if_nobody_can_recover(errors: list[LLMError], raised: type[LLMError]) -> None:
    with pytest.raises(LLMError) as caught:
        Fallback({str(number): Outcomes(error) for number, error in enumerate(errors)}).complete(REQUEST)
    assert type(caught.value) is raised


def test_the_preferred_provider_is_asked_first_and_the_others_in_their_order() -> None:
    providers = {name: Outcomes(overloaded(), name) for name in "abc"}
    fallback = Fallback(providers)
    request = replace(REQUEST, preferred="b")
    with pytest.raises(Overloaded):
        fallback.complete(request)
    assert [provider.calls for provider in providers.values()] == [1, 1, 1]
    reply = fallback.complete(request)
    assert (reply.text, reply.instead_of) == ("b", None)


@pytest.mark.parametrize(
    ("preferred", "answered", "instead_of"), [("c", "b", "c"), ("a", "b", "a"), (None, "b", "a"), ("b", "b", None)]
)
def test_who_answers_in_the_place_of_another_is_told(
    preferred: str | None, answered: str, instead_of: str | None
) -> None:
    providers = {"a": Outcomes(overloaded()), "b": Outcomes("b"), "c": Outcomes(refused())}
    reply = Fallback(providers).complete(replace(REQUEST, preferred=preferred))
    assert (reply.text, reply.instead_of) == (answered, instead_of)


def test_a_preferred_provider_that_is_no_longer_configured_is_passed_over() -> None:
    fallback = Fallback({"a": Outcomes("a"), "b": Outcomes("b")})
    assert fallback.complete(replace(REQUEST, preferred="gone")) == Reply("a", "m")


def test_directions_reach_every_request_and_leave_its_digest() -> None:
    seen: list[Request] = []

    def answer(request: Request) -> str:
        seen.append(request)
        return "x"

    sampling = Sampling(temperature=0.2, effort="high")
    Directed(Scripted(answer), "b", sampling).complete(REQUEST)
    Directed(Scripted(answer), None).complete(REQUEST)
    assert [(request.preferred, request.sampling) for request in seen] == [("b", sampling), (None, None)]
    assert {request.digest for request in seen} == {REQUEST.digest}


# Money and budget

PRICES = {"m": Price(prompt_usd=2, completion_usd=10), "m-2026": Price(prompt_usd=4, completion_usd=20)}


@pytest.mark.parametrize(
    ("reply_model", "configured", "expected_usd"),
    [
        ("m-2026", "m", (4 * 1000 + 20 * 500) / 1e6),
        ("m-2027", "m", (2 * 1000 + 10 * 500) / 1e6),
        ("other", "another", 0.0),
        ("other", None, 0.0),
    ],
)
def test_money_by_the_replying_model_else_by_the_configured_one(
    reply_model: str, configured: str | None, expected_usd: float
) -> None:
    inner = Scripted(lambda _: Reply("x", reply_model, Usage(1000, 500)))
    usage = Priced(inner, PRICES, configured).complete(REQUEST).usage
    assert usage == Usage(1000, 500, pytest.approx(expected_usd))


def test_money_that_is_known_is_left_alone() -> None:
    inner = Scripted(lambda _: Reply("x", "m", Usage(1000, 500, money_usd=0.25)))
    assert Priced(inner, PRICES, "m").complete(REQUEST).usage.money_usd == 0.25


def test_models_without_a_price_are_listed() -> None:
    configs: list[PluginConfig] = [
        openai.Config(model="m"),
        openai.Config(model="z"),
        openai.Config(model="new"),
        openai.Config(model="z"),
        manual.Config(),
        scripted.Config(path=Path("x.yaml")),
        scripted.Config(path=Path("x.yaml"), model="billed"),
    ]
    assert unpriced_models(configs, PRICES) == ["billed", "new", "z"]


def test_a_spent_budget_makes_no_call() -> None:
    inner = Outcomes("x")
    budgeted = Budgeted(inner, Allowance(1))
    budgeted.complete(REQUEST)
    with pytest.raises(BudgetSpent):
        budgeted.complete(REQUEST)
    assert inner.calls == 1


# The call log


def test_a_reply_is_recorded_before_anybody_sees_it() -> None:
    calls = Calls()

    def answer(request: Request) -> str:
        calls.trace.append(f"answered {request.call_id}")
        return "x"

    Logged(Scripted(answer), calls).complete(REQUEST)
    calls.trace.append("returned")
    assert calls.trace == ["answered n2/coder/1", "recorded n2/coder/1", "returned"]


def test_a_reply_that_cannot_be_recorded_is_not_used() -> None:
    class Full(Calls):
        def record(self, request: Request, reply: Reply, seconds: float) -> None:
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        Logged(Outcomes("x"), Full()).complete(REQUEST)


def test_a_recorded_reply_costs_nothing() -> None:
    inner, calls = Outcomes("paid"), Calls()
    logged = Logged(Budgeted(inner, Allowance(1)), calls)
    assert logged.complete(REQUEST) == logged.complete(REQUEST)
    assert inner.calls == 1


def test_a_failed_call_leaves_no_record() -> None:
    calls = Calls()
    with pytest.raises(Overloaded):
        Logged(Outcomes(overloaded()), calls).complete(REQUEST)
    assert calls.recorded == {}


# All together, against a server


def role(
    servers: Sequence[OpenAIServer],
    *,
    retry: RetryConfig | None = None,
    calls: Calls | None = None,
    meter: Allowance | None = None,
    wait: Callable[[float], bool] | None = None,
    **settings: Any,
) -> LLM:
    return build_role(
        [openai.Config(model="m", base_url=server.base_url, **settings) for server in servers],
        retry or RetryConfig(attempts=5, breaker=3),
        PRICES,
        BuildContext(base_dir=Path()),
        calls or Calls(),
        meter or Allowance(),
        threading.Event(),
        wait or Pauses(),
    )


def test_five_attempts_are_five_requests_for_each_call_and_provider() -> None:
    with OpenAIServer([failure(503)]) as one, OpenAIServer([failure(503)]) as two:
        llm = role([one, two])
        with pytest.raises(Overloaded):
            llm.complete(REQUEST)
        assert (len(one.requests), len(two.requests)) == (5, 5)
        with pytest.raises(Overloaded):
            llm.complete(REQUEST)
        assert (len(one.requests), len(two.requests)) == (10, 10)


def test_a_dead_endpoint_stops_the_run_instead_of_burning_it() -> None:
    with OpenAIServer([failure(500)]) as server:
        llm = role([server])
        kinds = []
        for step in range(20):
            with pytest.raises(LLMError) as caught:
                llm.complete(contract_request(f"n{step}/coder/1"))
            kinds.append(type(caught.value))
        assert kinds == [Overloaded] * 2 + [EndpointDown] * 18
        assert len(server.requests) == 15


def test_a_refused_key_is_one_request_for_the_whole_run() -> None:
    with OpenAIServer([failure(401, "bad key")]) as server:
        llm = role([server])
        for kind in (AuthRefused, EndpointDown, EndpointDown):
            with pytest.raises(kind):
                llm.complete(REQUEST)
        assert len(server.requests) == 1


def test_a_dead_provider_is_not_waited_for_once_its_breaker_is_open() -> None:
    with OpenAIServer([failure(503)]) as dead, OpenAIServer([completion("alive")]) as alive:
        llm = role([dead, alive])
        for step in range(10):
            assert llm.complete(contract_request(f"n{step}/coder/1")).text == "alive"
        assert (len(dead.requests), len(alive.requests)) == (15, 10)


def test_the_server_is_obeyed_and_the_reply_priced_and_logged() -> None:
    pauses, calls = Pauses(), Calls()
    answers = [
        failure(429, headers={"Retry-After": "4"}),
        dropped(),
        completion("done", model="m-2026", prompt_tokens=1000, completion_tokens=500),
    ]
    with OpenAIServer(answers) as server:
        llm = role([server], calls=calls, wait=pauses)
        reply = llm.complete(REQUEST)
        assert llm.complete(REQUEST) == reply
        assert len(server.requests) == 3
    assert reply.usage == Usage(1000, 500, pytest.approx(0.014))
    assert calls.recorded[REQUEST.call_id] == reply
    assert pauses.seconds[0] == 4
    assert len(pauses.seconds) == 2


def test_the_budget_is_looked_at_before_every_try() -> None:
    with OpenAIServer([failure(503)]) as server:
        with pytest.raises(BudgetSpent):
            role([server], meter=Allowance(2)).complete(REQUEST)
        assert len(server.requests) == 2


def test_a_structured_fall_back_is_no_try() -> None:
    answers = [failure(400, "json_schema is not supported"), *[failure(503)] * 4, completion("{}")]
    with OpenAIServer(answers) as server:
        reply = role([server]).complete(contract_request(with_schema=True))
        assert reply.text == "{}"
        assert len(server.requests) == 6


def test_sixteen_threads_pay_once_for_each_call() -> None:
    hiccup = threading.Semaphore(10)

    def respond(seen: Any) -> Answer:
        if hiccup.acquire(blocking=False):
            return failure(429, headers={"Retry-After": "1"})
        return completion(seen.body["messages"][1]["content"])

    calls = Calls()
    with OpenAIServer(respond) as server, ThreadPoolExecutor(16) as pool:
        llm = role([server], calls=calls, retry=RetryConfig(attempts=11))
        requests = [contract_request(f"n{step}/coder/1", text=f"prompt {step}") for step in range(48)]
        replies = [reply.text for reply in pool.map(llm.complete, requests)]
        assert replies == [f"prompt {step}" for step in range(48)]
        assert len(server.requests) == 58
        assert len(calls.recorded) == 48


def test_a_provider_that_waits_for_people_hears_of_a_stop(tmp_path: Path) -> None:
    stop = threading.Event()
    stop.set()
    context = BuildContext(base_dir=tmp_path, run_dir=tmp_path)
    llm = build_role([manual.Config(poll_s=3600)], RetryConfig(), {}, context, Calls(), Allowance(), stop)
    with pytest.raises(BudgetSpent):
        llm.complete(REQUEST)
