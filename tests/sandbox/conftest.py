"""Providers of each level, and what happens where a level is not to be had."""

from __future__ import annotations

import contextlib
import gc
import os
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from evolve.errors import SandboxError
from evolve.plugins import BuildContext, config_class
from evolve.sandbox.base import SandboxProvider
from evolve.testing.sandbox_contract import LIMITS


def built(kind: str, **settings: object) -> SandboxProvider:
    provider: SandboxProvider = config_class("sandbox", kind)(kind=kind, **settings).build(BuildContext(Path.cwd()))
    return provider


@contextlib.contextmanager
def prepared(kind: str, **settings: object) -> Iterator[SandboxProvider]:
    """A provider that works here. Without one, skip; where sandboxes are required, as in CI, fail."""
    provider = built(kind, **settings)
    try:
        try:
            provider.prepare()
        except SandboxError as error:
            said = f"NOT TESTED, no {kind} sandbox here: {error.message} ({error.hint})"
            if os.environ.get("EVOLVE_REQUIRE_SANDBOXES") == "1":
                pytest.fail(said)
            pytest.skip(said)
        yield provider
    finally:
        provider.close()


@pytest.fixture(scope="module")
def process() -> Iterator[SandboxProvider]:
    with prepared("process", **LIMITS) as provider:
        yield provider


@pytest.fixture(scope="module")
def namespace() -> Iterator[SandboxProvider]:
    with prepared("namespace", **LIMITS) as provider:
        yield provider


@pytest.fixture(scope="module")
def docker() -> Iterator[SandboxProvider]:
    with prepared("docker", **LIMITS) as provider:
        yield provider


@pytest.fixture
def build() -> Iterator[Callable[..., SandboxProvider]]:
    """Builds providers by kind, and closes them afterwards."""
    with contextlib.ExitStack() as stack:

        def make(kind: str, **settings: object) -> SandboxProvider:
            return stack.enter_context(contextlib.closing(built(kind, **settings)))

        yield make


@pytest.fixture
def no_engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """An engine that cannot be reached. Its client forgets the socket, whose warning must not reach a later test."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no.sock")
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
