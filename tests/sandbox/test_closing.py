"""Closing a provider while one of its sandboxes is being started in another thread."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest

from evolve.errors import SandboxUnavailable
from evolve.sandbox.process import ChildCell, Config, ProcessLauncher
from evolve.sandbox.supervised import SupervisedProvider


@dataclass
class Slow:
    """A launcher that says when it has begun and goes on when it may."""

    inner: ProcessLauncher
    begun: threading.Event = field(default_factory=threading.Event)
    may: threading.Event = field(default_factory=threading.Event)

    def __getattr__(self, name: str) -> object:
        return getattr(self.inner, name)

    def launch(self) -> ChildCell:
        self.begun.set()
        assert self.may.wait(30)
        return self.inner.launch()


def test_a_half_started_sandbox_is_ended_too() -> None:
    launcher = Slow(ProcessLauncher(Config()))
    provider = SupervisedProvider(launcher)  # type: ignore[arg-type]
    with ThreadPoolExecutor(2) as pool:
        opening = pool.submit(provider.open)
        assert launcher.begun.wait(30)
        closing = pool.submit(provider.close)
        while True:  # until closing has begun, and with it the refusal of further ones
            with provider._changed:
                if provider._closed:
                    break
        assert not closing.done()
        launcher.may.set()
        sandbox = opening.result(30)
        closing.result(30)
    assert sandbox._cell._process.poll() is not None
    with pytest.raises(SandboxUnavailable, match="were closed"):
        provider.open()
