"""Everything that can go wrong for a user, with what to do about it and the exit code it ends with.

A failing candidate, a spent budget and Ctrl-C are not errors: they are data, a stop reason and an interruption.
"""

from __future__ import annotations


class EvolveError(Exception):
    """Says where and what in `message`, and what to do in `hint`."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class ConfigError(EvolveError):
    """The job file or a `--set` is wrong. `message` may hold one problem a line."""

    exit_code = 2


class RunError(EvolveError):
    """The run directory cannot be used as asked."""

    exit_code = 3


class RunNotFound(RunError):
    """No run has that path or name, or several do."""


class RunExists(RunError):
    """A run of that name is there already."""


class RunLocked(RunError):
    """Another process is writing this run."""


class JournalCorrupt(RunError):
    """A journal line other than a torn last one cannot be read."""


class SchemaTooNew(RunError):
    """The run was written by a newer version."""


class DiskFull(RunError):
    """A durable write failed for want of space; everything written before it is intact."""


class PromptError(EvolveError):
    """A template is missing or does not match the facts it is given."""

    exit_code = 5


class ServiceError(EvolveError):
    """A service the run depends on failed. No candidate is to blame."""

    exit_code = 4
    retryable = False
    """The same request may well succeed a little later."""
    stops_run = False
    """No other request can succeed either; expansions in flight stay in flight and are resumed."""


class LLMError(ServiceError):
    """A model endpoint failed."""


class RateLimited(LLMError):
    """The endpoint asks for patience; `retry_after_s` is its own wish where it gave one."""

    retryable = True

    def __init__(self, message: str, *, hint: str, retry_after_s: float | None = None) -> None:
        super().__init__(message, hint=hint)
        self.retry_after_s = retry_after_s


class Overloaded(LLMError):
    """Server error, refused connection or timeout."""

    retryable = True


class AuthRefused(LLMError):
    """The endpoint refused the key."""

    stops_run = True


class EndpointDown(LLMError):
    """The circuit breaker is open: too many failures in a row."""

    stops_run = True


class ContextTooLong(LLMError):
    """The prompt does not fit the model's context."""


class BadReply(LLMError):
    """The endpoint answered with something that is not a reply, or refused the request itself."""


class SandboxError(ServiceError):
    """The sandbox, not the program in it, failed."""


class SandboxUnavailable(SandboxError):
    """No sandbox of the wanted strength works here, or the engine went away."""

    retryable = True


class ImageMissing(SandboxError):
    """The container image is not there and cannot be fetched."""

    stops_run = True


class BudgetSpent(Exception):
    """Ends a rollout early because a limit was reached. Not an error: the expansion stays in flight for a resume."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
