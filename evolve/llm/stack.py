"""What every provider is wrapped in: one small layer for each concern, put together by `build_role`.

    Logged(Fallback([Breaker(Retry(Budgeted(Priced(provider)))), ...]))

A recorded reply is served before anything is counted or sent. The budget is looked at before every try, so a failing
endpoint cannot outlast it. Only calls that failed after all their tries reach the breaker, and each provider has its
own, so that the next one takes over from a dead one without waiting. Knows nothing of any one provider.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from evolve.config import Price, RetryConfig, Sampling, arms, configured_model
from evolve.errors import BudgetSpent, EndpointDown, LLMError, RateLimited
from evolve.llm.base import LLM, CallStore, Meter, Reply, Request
from evolve.plugins import BuildContext, PluginConfig

if TYPE_CHECKING:
    from tenacity import RetryCallState

logger = logging.getLogger(__name__)

Wait = Callable[[float], bool]
"""Waits so many seconds; true if it was interrupted. `threading.Event.wait` is one."""


@runtime_checkable
class Interruptible(Protocol):
    """A provider that may wait long (for a person) and can be told to give up."""

    def interrupt_by(self, stop: threading.Event) -> None:
        """From now on, raise `BudgetSpent` soon after `stop` is set."""
        ...


class Priced:
    """Fills in the money where the provider did not: by the model the reply names, else by the configured one."""

    def __init__(self, inner: LLM, prices: Mapping[str, Price], model: str | None) -> None:
        self._inner = inner
        self._prices = prices
        self._model = model

    def complete(self, request: Request) -> Reply:
        reply = self._inner.complete(request)
        price = self._prices.get(reply.model) or self._prices.get(self._model or "")
        if price is None or reply.usage.money_usd:
            return reply
        tokens_usd = reply.usage.prompt_tokens * price.prompt_usd + reply.usage.completion_tokens * price.completion_usd
        return replace(reply, usage=replace(reply.usage, money_usd=tokens_usd / 1e6))


class Budgeted:
    """Asks the meter before every call."""

    def __init__(self, inner: LLM, meter: Meter) -> None:
        self._inner = inner
        self._meter = meter

    def complete(self, request: Request) -> Reply:
        self._meter.check()
        return self._inner.complete(request)


class Retry:
    """Tries again what may pass. Pauses double, with jitter; an endpoint's own wish is obeyed up to `wait_max_s`.

    A pause that is interrupted ends the call with BudgetSpent, so that the expansion stays in flight for a resume.
    """

    def __init__(self, inner: LLM, config: RetryConfig, wait: Wait) -> None:
        self._inner = inner
        self._config = config
        self._wait = wait

    def complete(self, request: Request) -> Reply:
        # tenacity pulls in asyncio, which a command that calls no model need not pay for.
        from tenacity import Retrying, retry_if_exception, stop_after_attempt

        retrying = Retrying(
            stop=stop_after_attempt(self._config.attempts),
            retry=retry_if_exception(lambda error: isinstance(error, LLMError) and error.retryable),
            wait=self._pause_s,
            sleep=self._sleep,
            before_sleep=lambda state: _log_retry(request, state),
            reraise=True,
        )
        return retrying(self._inner.complete, request)

    def _pause_s(self, state: RetryCallState) -> float:
        error = _failure(state)
        if isinstance(error, RateLimited) and error.retry_after_s is not None:
            pause_s = error.retry_after_s
        else:
            # Jitter keeps the workers of a run from coming back all at once.
            pause_s = self._config.wait_s * (2 ** (state.attempt_number - 1) + random.random())
        return min(pause_s, self._config.wait_max_s)

    def _sleep(self, seconds: float) -> None:
        if self._wait(seconds):
            raise BudgetSpent("stopped")


def _failure(state: RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None


def _log_retry(request: Request, state: RetryCallState) -> None:
    logger.info(
        "%s: try %d: %s; again in %.1f s",
        request.call_id,
        state.attempt_number,
        _failure(state),
        state.upcoming_sleep,
    )


PROBE = 20
"""Of so many calls to an endpoint that is given up one is tried all the same."""


class Breaker:
    """Ends the calls to an endpoint that is down instead of letting them eat the run's budget.

    Opens after `threshold` failed calls in a row, counted over all threads, or at once when an error says that no
    call can succeed. Open, it refuses every call, but where patience may help every `PROBE`th is let through, so that
    a model that has come back beside others is used again. A success closes it, as does a resume.
    """

    def __init__(self, inner: LLM, threshold: int, name: str) -> None:
        self._inner = inner
        self._threshold = threshold
        self._name = name
        self._lock = threading.Lock()
        self._failures = 0
        self._refusals = 0
        self._reason = ""
        """Why it is open; empty while it is closed."""
        self._lasting = False
        """Whether it was opened by what only a person can mend."""

    def complete(self, request: Request) -> Reply:
        if self._reason and not self._probes():
            raise self._down()
        try:
            reply = self._inner.complete(request)
        except LLMError as error:
            if self._opened_by(error) and not error.stops_run:
                raise self._down() from error
            raise
        with self._lock:
            self._failures, self._reason, self._lasting = 0, "", False
        return reply

    def _probes(self) -> bool:
        with self._lock:
            self._refusals += 1
            return not self._lasting and self._refusals % PROBE == 0

    def _opened_by(self, error: LLMError) -> bool:
        with self._lock:
            self._failures += 1
            if error.stops_run or self._failures >= self._threshold:
                calls = "" if error.stops_run else f"{self._failures} calls in a row failed; the last: "
                self._reason = f"{calls}{error.message}"
                self._lasting = self._lasting or error.stops_run
            return bool(self._reason)

    def _down(self) -> EndpointDown:
        return EndpointDown(
            f"{self._name} is given up: {self._reason}",
            hint="mend the endpoint, then resume the run: nothing is lost and no reply is paid for twice",
        )


class Fallback:
    """Asks the preferred provider, and the others in their order when one fails for good.

    A preferred one that is not there (the job was changed) is passed over. `BudgetSpent` is not a failure and passes
    through.
    """

    def __init__(self, providers: Mapping[str, LLM]) -> None:
        self._providers = providers

    def complete(self, request: Request) -> Reply:
        errors: list[LLMError] = []
        order = sorted(self._providers, key=lambda name: name != request.preferred)
        for name in order:
            try:
                reply = self._providers[name].complete(request)
            except LLMError as error:
                errors.append(error)
                if len(errors) < len(order):
                    logger.info("%s: %s; asking the next provider", request.call_id, error)
            else:
                return replace(reply, instead_of=order[0]) if errors else reply
        # The run must go on while one of them may recover, so an error that would end it counts only if all do.
        raise next((error for error in errors if not error.stops_run), errors[0])


class Logged:
    """Serves a recorded reply without spending anything; a new one is durable before anybody sees it."""

    def __init__(self, inner: LLM, calls: CallStore) -> None:
        self._inner = inner
        self._calls = calls

    def complete(self, request: Request) -> Reply:
        recorded = self._calls.find(request)
        if recorded is not None:
            return recorded
        started_s = time.monotonic()
        reply = self._inner.complete(request)
        # Half a surrogate pair, which JSON can hold and no file can: what is used must be what a resume will read.
        reply = replace(reply, text=reply.text.encode("utf-8", "replace").decode())
        self._calls.record(request, reply, time.monotonic() - started_s)
        return reply


class Directed:
    """Says for one expansion who is to answer first and how."""

    def __init__(self, inner: LLM, preferred: str | None, sampling: Sampling | None = None) -> None:
        self._inner = inner
        self._preferred = preferred
        self._sampling = sampling

    def complete(self, request: Request) -> Reply:
        return self._inner.complete(replace(request, preferred=self._preferred, sampling=self._sampling))


def unpriced_models(configs: Iterable[PluginConfig], prices: Mapping[str, Price]) -> list[str]:
    """Configured models without a price, sorted: a budget in money would never see what they cost."""
    models = {configured_model(config) for config in configs}
    return sorted(model for model in models if model is not None and model not in prices)


def build_role(
    configs: Sequence[PluginConfig],
    retry: RetryConfig,
    prices: Mapping[str, Price],
    context: BuildContext,
    calls: CallStore,
    meter: Meter,
    stop: threading.Event,
    wait: Wait | None = None,
) -> LLM:
    """The provider of one role, wrapped; several are fallbacks for the one that is preferred, in the order given.

    `stop` ends pauses and long waits early. `wait` replaces waiting for it, in tests. Raises ConfigError.
    """

    def layered(name: str, config: PluginConfig) -> LLM:
        provider: LLM = config.build(context)
        if isinstance(provider, Interruptible):
            provider.interrupt_by(stop)
        spending = Budgeted(Priced(provider, prices, configured_model(config)), meter)
        return Breaker(Retry(spending, retry, wait or stop.wait), retry.breaker, name)

    return Logged(Fallback({name: layered(name, config) for name, config in arms(configs).items()}), calls)
